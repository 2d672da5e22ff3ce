"""Webhooks over HTTP and by command: who may make and see them, secrets, and what is refused."""

import httpx
import pytest

from tests.conftest import Names, Stack
from tests.support.receiver import Receiver, status
from tests.support.waits import until
from tests.support.webhooks import SETTINGS, Hook, arrive

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def body_of(namespaces: str) -> dict[str, object]:
    return {"url": "https://example.com/hook", "namespaces": namespaces, "types": ["granted"]}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def test_a_webhook_is_made_read_listed_and_deleted(api: httpx.Client, names: Names) -> None:
    name = names.fresh()
    path = f"/v1/webhooks/{name}"
    made = api.put(path, json=body_of(f"{name}-*"))
    assert made.status_code == 201
    assert made.json()["secret"].startswith("whsec_")
    changed = api.put(path, json=body_of(f"{name}-*") | {"types": ["voided"]})
    assert (changed.status_code, changed.json()["types"]) == (200, ["voided"])
    assert "secret" not in changed.json(), "it is shown once"
    one = api.get(path).json()
    expected: dict[str, object] = {
        "id": name,
        "state": "active",
        "stop_reason": None,
        "key_id": "test",
        "include": [],
        "board": None,
    }
    assert one | expected == one
    assert one in api.get("/v1/webhooks").json()["webhooks"]
    assert api.get(f"{path}/deliveries").json() == {"deliveries": [], "next_cursor": None}
    assert api.delete(path).status_code == 204
    assert code(api.get(path)) == (404, "webhook_not_found")
    assert code(api.delete(path)) == (404, "webhook_not_found")


@pytest.mark.parametrize(
    "url",
    ["https://127.0.0.2.nip.example@10.0.0.1/", "http://10.0.0.1/", "http://example.com/", "gopher://127.0.0.1/"],
)
def test_a_url_that_is_no_receiver_is_refused(api: httpx.Client, names: Names, url: str) -> None:
    name = names.fresh()
    answer = api.put(f"/v1/webhooks/{name}", json=body_of(name) | {"url": url})
    assert (*code(answer), answer.json()["field"]) == (422, "invalid", "$.url")


def test_a_key_needs_admin_over_every_namespace_that_matches(stack: Stack, names: Names) -> None:
    name = names.fresh()
    path = f"/v1/webhooks/{name}"
    callers = {
        scope: stack.new_key(scope) for scope in (f"write:{name}-*", f"admin:{name}-?", f"admin:{name}-*", "admin:x-*")
    }
    answers = {}
    for scope, key in callers.items():
        with stack.client(key) as client:
            answers[scope] = client.put(path, json=body_of(f"{name}-*")).status_code
    assert list(answers.values()) == [403, 403, 201, 403]
    with stack.client(None) as nobody:
        assert code(nobody.get(path)) == (401, "unauthorized")
    with stack.client(callers["admin:x-*"]) as stranger:
        assert code(stranger.get(path)) == (404, "webhook_not_found")
        assert code(stranger.delete(path)) == (404, "webhook_not_found")
        assert code(stranger.post(f"{path}/resend", json={"state": "dead"})) == (404, "webhook_not_found")
        assert code(stranger.put(path, json=body_of("x-1"))) == (409, "webhook_conflict")
        assert stranger.get("/v1/webhooks").json() == {"webhooks": []}


def test_both_secrets_sign_for_a_day_after_a_change(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    hook = Hook(api, names.fresh(), receiver.url)
    answer = hook.put(secret=SECRET)
    assert (answer.status_code, answer.json()["secret"]) == (200, SECRET)
    assert answer.json()["previous_secret_until"] is not None
    assert "secret" not in hook.put(secret=SECRET).json(), "the same one is no change"
    hook.grant("g1")
    arrive(receiver, 1)
    for secret in (hook.secret, SECRET):
        assert receiver.deliveries[0].verify(secret)["data"]["grant_id"] == "g1"
    rotated = hook.put(rotate=True).json()["secret"]
    hook.grant("g2")
    arrive(receiver, 2)
    for secret in (SECRET, rotated):
        receiver.deliveries[1].verify(secret)
    with pytest.raises(Exception, match="signature"):
        receiver.deliveries[1].verify(hook.secret)


def test_a_secret_is_not_kept_in_clear(stack: Stack, api: httpx.Client, names: Names) -> None:
    name = names.fresh()
    assert api.put(f"/v1/webhooks/{name}", json=body_of(name) | {"secret": SECRET}).json()["secret"] == SECRET
    ((row,),) = stack.sql("SELECT w::text FROM webhooks w WHERE id = %s", name)
    assert "32f290f6bf0618" not in row


def test_a_receiver_may_ask_for_time(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    receiver.behave = status(503, retry_after="600")
    hook = Hook(api, names.fresh(), receiver.url)
    hook.grant("g1")
    arrive(receiver, 1)
    (delivery,) = until(hook.deliveries, "it is noted")
    assert delivery["next_attempt_at"] > delivery["last_attempt_at"]
    assert httpx.codes(delivery["status"]) == 503


def test_deliveries_come_in_pages(api: httpx.Client, receiver: Receiver, names: Names) -> None:
    hook = Hook(api, names.fresh(), receiver.url)
    for i in range(5):
        hook.grant(f"g{i}")
    arrive(receiver, 5)
    until(lambda: len(hook.deliveries()) == 5, "all are noted")
    page = api.get(f"{hook.path}/deliveries", params={"limit": 3}).json()
    rest = api.get(f"{hook.path}/deliveries", params={"limit": 3, "cursor": page["next_cursor"]}).json()
    ids = [one["message_id"] for one in (*page["deliveries"], *rest["deliveries"])]
    assert ids == [delivery.message_id for delivery in reversed(receiver.deliveries)]
    assert rest["next_cursor"] is None
    assert code(api.get(f"{hook.path}/deliveries", params={"state": "lost"})) == (422, "invalid")
    again = api.post(f"{hook.path}/resend", json={"message_ids": [ids[0], "msg_none"]})
    assert (again.status_code, again.json()) == (202, {"message_ids": [ids[0]]})
    arrive(receiver, 6)
    assert receiver.deliveries[-1].message_id == ids[0]
    assert code(api.post(f"{hook.path}/resend", json={})) == (422, "invalid")


def test_a_deployment_without_a_key_for_secrets_says_so(live_server: Stack, names: Names) -> None:
    name = names.fresh()
    with live_server.client() as client:
        answer = client.put(f"/v1/webhooks/{name}", json=body_of(name))
        assert code(answer) == (503, "not_configured")
        assert "LEADERBOARD_WEBHOOK_KEY" in answer.json()["detail"]
        assert client.get("/v1/webhooks").json() == {"webhooks": []}


def test_commands_do_the_same(stack: Stack, api: httpx.Client, receiver: Receiver, names: Names) -> None:
    name = names.fresh()
    assert api.put(f"/v1/namespaces/{name}", json={"accept_past": None}).status_code == 201
    options = ("--url", receiver.url, "--namespaces", name, "--type", "granted")
    made = stack.run("webhooks", "put", name, *options)
    assert (made.returncode, made.stdout.split()[0]) == (0, "made"), made.stderr
    secret = made.stdout.split()[1]
    api.post(f"/v1/namespaces/{name}/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1})
    arrive(receiver, 1)
    receiver.deliveries[0].verify(secret)
    until(lambda: api.get(f"/v1/webhooks/{name}/deliveries").json()["deliveries"], "it is noted")
    assert f"{name}\tactive\t{name}\tgranted\t{receiver.url}\n" in stack.run("webhooks", "list").stdout
    message = receiver.deliveries[0].message_id
    assert stack.run("webhooks", "deliveries", name).stdout.startswith(f"{message}\tgranted\tdelivered\t1\t")
    assert stack.run("webhooks", "resend", name, message).stdout == "1 to be sent once more\n"
    arrive(receiver, 2)
    absent = stack.run("webhooks", "resend", name, "msg_none")
    assert (absent.returncode, "msg_none" in absent.stderr) == (1, True)
    wrong = stack.run("webhooks", "put", name, *options, "--type", "no_such")
    assert (wrong.returncode, "types" in wrong.stderr) == (2, True)
    assert stack.run("webhooks", "put", name, *options, "--key", "nobody").returncode == 1
    assert stack.run("webhooks", "delete", name).returncode == 0
    assert stack.run("webhooks", "delete", name).stderr.startswith("leaderboard: there is no webhook")


def test_checkconfig_names_a_key_that_is_none(stack: Stack) -> None:
    stack.extra["LEADERBOARD_WEBHOOK_KEY"] = "/nowhere/at/all"
    try:
        checked = stack.run("checkconfig")
    finally:
        stack.extra["LEADERBOARD_WEBHOOK_KEY"] = SETTINGS["LEADERBOARD_WEBHOOK_KEY"]
    assert checked.returncode != 0
    assert "LEADERBOARD_WEBHOOK_KEY" in checked.stderr
