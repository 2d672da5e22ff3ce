"""A Postgres older than Redis: it is known for sure, whatever was changed on it, and brings back nothing that was taken
away since."""

import time
from typing import Any

import httpx
import pytest

from tests.support.older_postgres import change_state, copy_postgres, swap_postgres

BOARD = "/v1/namespaces/race/boards/all"


class Deployment:
    """What an older Postgres would bring back: a key that is revoked since, a user who is hidden, and more."""

    def __init__(self, stack: Any, client: httpx.Client) -> None:
        self._stack = stack
        self._client = client
        self._revoked_key = ""

    def begin(self) -> None:
        """What the older Postgres has."""
        self._revoked_key = self._stack.new_key("read:*", "write:*")
        for name in ("race", "gone"):
            self._client.put(f"/v1/namespaces/{name}", json={}).raise_for_status()
        for user in ("seal", "otter"):
            self.grant(user)
        self._client.put("/v1/users/otter", json={"display_name": "Otter"}).raise_for_status()
        self._stack.wait_flushed()
        self._stack.wait_published()

    def change(self) -> None:
        """What it lacks: nine changes."""
        self._stack.revoke(self._revoked_key)
        self._client.post("/v1/users/seal/hide").raise_for_status()
        self._client.delete("/v1/namespaces/gone?confirm=gone").raise_for_status()
        self._client.put("/v1/namespaces/late", json={}).raise_for_status()
        self._client.put("/v1/namespaces/race", json={"mode": "frozen"}).raise_for_status()
        self._client.put("/v1/users/otter", json={"display_name": "Old Otter"}).raise_for_status()
        self._stack.wait_flushed()
        self._stack.wait_published()

    def grant(self, user: str, namespace: str = "race") -> httpx.Response:
        body = {"grant_id": user, "user_id": user, "amount": 1}
        return self._client.post(f"/v1/namespaces/{namespace}/grants", json=body)

    def check_nothing_is_back(self) -> None:
        board = self._client.get(BOARD)
        assert board.status_code == 200, board.text
        assert [(row["user_id"], row["display_name"]) for row in board.json()["entries"]] == [("otter", "Old Otter")]
        with self._stack.client(self._revoked_key) as revoked:
            assert revoked.get(BOARD).status_code == 401
        assert self._client.get("/v1/namespaces/gone").status_code == 404
        assert self._client.get("/v1/namespaces/late").status_code == 200
        assert self._client.get("/v1/namespaces/race").json()["mode"] == "frozen"


def wait_refused(client: httpx.Client, seconds: float = 20) -> str:
    """Waits until grants are refused for an older Postgres. Why."""
    deadline = time.monotonic() + seconds
    while "ledger_behind" not in (text := str((answer := client.get("/readyz")).json()["degraded"])):
        assert time.monotonic() < deadline, text
        time.sleep(0.05)
    assert answer.status_code == 503
    return text


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("changes", "reason"), [(0, "Redis was told of"), (40, "that was changed since")])
def test_an_older_postgres_brings_nothing_back(own_stack: Any, changes: int, reason: str) -> None:
    with own_stack.client() as client:
        deployment = Deployment(own_stack, client)
        deployment.begin()
        copy_postgres(own_stack)
        deployment.change()
        own_stack.kill("persist")
        swap_postgres(own_stack)
        change_state(own_stack, changes)

        # By a persister alone: the server's marks are valid, and it compares nothing.
        own_stack.start("persist")
        text = wait_refused(client)
        assert reason in text
        assert "leaderboard rebuild --from-redis" in text
        deployment.check_nothing_is_back()
        answer = deployment.grant("seal", "late")
        assert (answer.status_code, answer.json()["code"]) == (503, "recovering")

        for command in ("migrate", "rebuild"):
            done = own_stack.run(command)
            assert (done.returncode, "ledger_behind" in done.stderr) == (1, True), done
        deployment.check_nothing_is_back()
        own_stack.restart_unready()
        wait_refused(client)
        deployment.check_nothing_is_back()

        swap_postgres(own_stack, "newer", newer="older")
        own_stack.wait_ready()
        deployment.check_nothing_is_back()
        assert deployment.grant("otter", "late").status_code == 201
        own_stack.wait_flushed()
    assert own_stack.run("verify").returncode == 0


@pytest.mark.timeout(120)
def test_a_new_server_alone_refuses_an_older_postgres_that_was_changed(own_stack: Any) -> None:
    with own_stack.client() as client:
        deployment = Deployment(own_stack, client)
        deployment.begin()
        copy_postgres(own_stack)
        deployment.change()
        for part in ("persist", "serve"):
            own_stack.kill(part)
        swap_postgres(own_stack)
        change_state(own_stack, 40)
        own_stack.start("serve", ready=False)
        wait_refused(client)
        deployment.check_nothing_is_back()


@pytest.mark.timeout(120)
def test_a_change_that_was_published_and_not_noted_is_known_to_be_missing(own_stack: Any) -> None:
    """As where a standby takes over that lacks the last transaction."""
    with own_stack.client() as client:
        deployment = Deployment(own_stack, client)
        deployment.begin()
        own_stack.kill("persist")
        copy_postgres(own_stack)
        client.post("/v1/users/seal/hide").raise_for_status()
        swap_postgres(own_stack)
        done = own_stack.run("migrate")
        assert (done.returncode, "ledger_behind" in done.stderr) == (1, True), done
        own_stack.start("persist")
        wait_refused(client)
        assert [row["user_id"] for row in client.get(BOARD).json()["entries"]] == ["otter"]


CHANGES = [
    ("PUT", "/v1/namespaces/new", {}),
    ("PUT", "/v1/namespaces/race", {"mode": "live"}),
    ("DELETE", "/v1/namespaces/race?confirm=race", None),
    ("POST", "/v1/users/otter/hide", None),
    ("POST", "/v1/users/seal/unhide", None),
    ("POST", "/v1/namespaces/race/users/otter/hide", None),
    ("PUT", "/v1/users/otter", {"display_name": "Young Otter"}),
    ("PUT", "/v1/namespaces/race/users/otter", {"display_name": "Young Otter"}),
    ("DELETE", "/v1/users/otter", None),
]


@pytest.mark.timeout(120)
def test_no_change_of_the_state_is_taken_by_an_older_postgres(own_stack: Any) -> None:
    """No persister runs, and the server's marks are valid: the changes themselves ask."""
    with own_stack.client() as client:
        deployment = Deployment(own_stack, client)
        deployment.begin()
        copy_postgres(own_stack)
        deployment.change()
        own_stack.kill("persist")
        swap_postgres(own_stack)
        change_state(own_stack, 40)
        key = own_stack.sql("SELECT id FROM api_keys WHERE revoked_at IS NULL LIMIT 1")[0][0]
        before = own_stack.sql("SELECT state_version FROM deployment")
        for method, path, body in CHANGES:
            answer = client.request(method, path, json=body)
            assert (answer.status_code, answer.json()["code"]) == (503, "recovering"), (path, answer.text)
            assert "run leaderboard rebuild --from-redis" in answer.json()["detail"]
        for command in (["keys", "create", "--scope", "read:*"], ["keys", "revoke", key], ["erase", "otter"]):
            done = own_stack.run(*command)
            assert (done.returncode, "rebuild --from-redis" in done.stderr) == (1, True), done
        assert own_stack.sql("SELECT state_version FROM deployment") == before
        deployment.check_nothing_is_back()
