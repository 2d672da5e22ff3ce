"""How long a request waits for an erasure, and what it answers."""

from typing import Any

import pytest
from starlette.requests import Request

from app.access.keys import Keyring
from app.admin.erasures import Erasures
from app.admin.user_handlers import ERASE_S_MAX, UserHandlers
from app.model.errors import StoreUnavailable
from app.model.visibility import ERASE, VisibilityIntent
from app.store.namespace_cache import NamespaceCache
from tests.support.virtual_time import VirtualTime

TOKEN = "lb_me_0123456789abcdef"
LOOKS_ENOUGH = 3


class ErasingPostgres:
    """An intent that is gone after some looks: `enough`, None for never. is_away: no look is answered."""

    def __init__(self, enough: int | None, *, is_away: bool = False) -> None:
        self.enough = enough
        self.is_away = is_away
        self.looks = 0

    async def fetch_one(self, query: str, number: int) -> dict[str, Any] | None:
        assert (query, number) == ("get_intent", 7)
        if self.is_away:
            raise StoreUnavailable("away")
        self.looks += 1
        return None if self.looks == self.enough else {"version": 1, "desired_state": "erase"}


class RecordedErasures(Erasures):
    """Every user may be erased."""

    async def erase(self, user: str, actor: str) -> VisibilityIntent:
        assert actor == "me", "the id in the key"
        return VisibilityIntent(7, user, 1, ERASE, actor)


class Intents:
    """Notes the users that are announced to Redis."""

    def __init__(self) -> None:
        self.users: list[str] = []

    async def send_state(self, intent: VisibilityIntent) -> None:
        self.users.append(intent.name)


async def no_call(call: Any) -> None:
    raise AssertionError(call)


async def no_body() -> Any:
    return {"type": "http.request", "body": b"", "more_body": False}


def delete(time: VirtualTime, postgres: Any) -> tuple[int, bytes, list[str]]:
    """Status and body of `DELETE /v1/users/otter`, and whom Redis was told of."""
    intents: Any = Intents()
    unused: Any = None
    erasures = RecordedErasures(postgres, unused)
    handlers = UserHandlers(intents, erasures, unused, Keyring(NamespaceCache(no_call), TOKEN), None)
    scope = {
        "type": "http",
        "method": "DELETE",
        "path": "/v1/users/otter",
        "query_string": b"",
        "path_params": {"user": "otter"},
        "headers": [(b"authorization", f"Bearer {TOKEN}".encode())],
        "client": ("10.0.0.1", 1),
    }
    response = time.run(handlers.erase(Request(scope, no_body)))
    return response.status_code, bytes(response.body), intents.users


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> VirtualTime:
    return VirtualTime(monkeypatch)


def test_an_erasure_that_is_done_in_time_has_no_body(time: VirtualTime) -> None:
    postgres = ErasingPostgres(LOOKS_ENOUGH)
    assert delete(time, postgres) == (204, b"", ["otter"])
    assert (postgres.looks, time.passed_s < ERASE_S_MAX) == (LOOKS_ENOUGH, True)


def test_an_erasure_that_takes_longer_is_answered_in_time(time: VirtualTime) -> None:
    assert delete(time, ErasingPostgres(None)) == (202, b'{"user_id":"otter","status":"erasing"}', ["otter"])
    assert ERASE_S_MAX <= time.passed_s < ERASE_S_MAX + 1


def test_an_erasure_is_recorded_though_a_store_is_away(time: VirtualTime) -> None:
    status, _, _ = delete(time, ErasingPostgres(1, is_away=True))
    assert (status, time.passed_s) == (202, 0)
