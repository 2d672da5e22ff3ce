"""Dead letters as tests make and settle them."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.support.checked_deployment import verify as run_verify
from tests.support.command_here import command_here
from tests.support.fault_isolation import Isolation

#: When grants were given that are dead letters, or stand beside one.
AT = "2024-05-01T10:00:00Z"


@contextmanager
def refusing(iso: Isolation, *grant_ids: str) -> Iterator[None]:
    """Postgres takes no row of these grants."""
    names = ", ".join(f"'{grant_id}'" for grant_id in grant_ids)
    with iso.raising("22P05", f"new.kind IN ('grant', 'correction') AND new.grant_id IN ({names})"):
        yield


def command(iso: Isolation, *args: str) -> tuple[int, str]:
    """`leaderboard dead-letters`: its exit code and what it printed."""
    done = command_here(iso.stack.environment, "dead-letters", *args)
    assert done.exit_code in (0, 1, 2), done.exception
    return done.exit_code, done.stdout + done.stderr


def places(iso: Isolation) -> list[str]:
    sql = (
        "SELECT partition || ':' || epoch || '-' || seq FROM dead_letters WHERE healed_seq IS NULL "
        "AND reason = 'poison'"
    )
    return [row[0] for row in iso.sql(f"{sql} ORDER BY partition, epoch, seq")]


def verify(iso: Isolation) -> tuple[int, str]:
    """Of the test's own namespaces, and of the ledger of their partitions."""
    code, lines = run_verify(iso.stack, *iso.spaces)
    return code, "".join(f"{line}\n" for line in lines)


def url(space: str, grant_id: str) -> str:
    return f"/v1/namespaces/{space}/grants/{grant_id}"


def edit(iso: Isolation, space: str, grant_id: str, amount: int, key: str | None = None) -> Any:
    headers = {} if key is None else {"idempotency-key": key}
    return iso.client.patch(url(space, grant_id), json={"amount": amount}, headers=headers)


def many(iso: Isolation, space: str, *asks: tuple[str, str, Any]) -> list[dict[str, Any]]:
    """Corrections in one request: verb, grant, amount; their results."""
    body = [{"op": op, "grant_id": g} | ({} if amount is None else {"amount": amount}) for op, g, amount in asks]
    answer = iso.client.post(f"/v1/namespaces/{space}/corrections", json=body)
    assert answer.status_code == 200, answer.text
    return list(answer.json()["results"])


def code_of(result: dict[str, Any]) -> str:
    """What became of a member of a batch."""
    return str(result["error"]["code"] if "error" in result else result["status"])


def score(iso: Isolation, space: str, user: str = "otter") -> Any:
    return iso.client.get(f"/v1/namespaces/{space}/users/{user}").json()["score"]


def letter_of_an_edit(iso: Isolation, user: str = "otter") -> str:
    """A grant of 3 whose edit to 8 could not be recorded; the letter's place."""
    iso.grant(iso.sick, "g1", 3, user=user, granted_at=AT)
    iso.stack.wait_flushed()
    with refusing(iso, "g1"):
        assert edit(iso, iso.sick, "g1", 8).status_code == 200
        iso.stack.wait_flushed()
    (place,) = places(iso)
    return place
