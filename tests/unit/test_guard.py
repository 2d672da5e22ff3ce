"""A refusal names the scope that is needed, and those that the key has."""

import asyncio

import msgspec
import pytest

from app.access.guard import SCOPES_SHOWN_MAX, readable_namespace, require_any_scope, require_scope
from app.access.keys import ANONYMOUS, Principal
from app.drivers.redis import Call
from app.model.errors import Forbidden, Unauthorized
from app.model.namespace import Namespace, Rules
from app.store import keys
from app.store.changes import Changed
from app.store.namespace_cache import REFRESH_EVERY_S, NamespaceCache

MANY = tuple(f"read:r{i}" for i in range(SCOPES_SHOWN_MAX + 2))


@pytest.mark.parametrize(
    ("scopes", "has"),
    [
        (("read:gp*",), "it has read:gp*"),
        (("read:gp", "write:f1-*"), "it has read:gp, write:f1-*"),
        (MANY[:SCOPES_SHOWN_MAX], "it has " + ", ".join(MANY[:SCOPES_SHOWN_MAX])),
        (MANY, "it has " + ", ".join(MANY[:SCOPES_SHOWN_MAX]) + " and 2 more"),
    ],
)
def test_a_refusal_names_what_is_needed_and_what_is_there(scopes: tuple[str, ...], has: str) -> None:
    with pytest.raises(Forbidden) as refused:
        require_scope(Principal("k", scopes), "write", "gp")
    needed = "the key needs the scope write:gp, or write with a pattern that covers it"
    assert refused.value.detail == f"{needed}; {has}"


def test_the_whole_deployment_needs_the_widest_pattern() -> None:
    with pytest.raises(Forbidden, match=r"needs the scope read:\*.*; it has read:gp"):
        require_any_scope(Principal("k", ("read:gp",)), "read", "admin")


def test_without_a_key_nothing_is_named() -> None:
    with pytest.raises(Unauthorized) as refused:
        require_scope(ANONYMOUS, "read", "gp")
    assert (refused.value.detail, refused.value.field) == (
        "a key is needed here: send Authorization: Bearer <key>; `leaderboard keys create` makes one",
        "Authorization",
    )


class Shadow:
    """A namespace in shadow mode, in the cache of a process that learns of changes only when it asks."""

    def __init__(self) -> None:
        self.rules = Rules(mode="shadow")
        self.refreshes, self.at = 0, 0.0
        self.cache = NamespaceCache(self.call, lambda: self.at)

    async def call(self, call: Call) -> object:
        if call[1] == keys.DIRECTORY:
            return b"1 " + msgspec.json.encode(Namespace(1, "gp", 0, 1, self.rules))
        self.refreshes += 1
        await asyncio.sleep(0)
        if self.rules.mode == "live":
            self.cache.notice(self.refreshes, Changed(frozenset(("gp",))))
        return None

    async def read(self) -> bool:
        """Whether a reader is let in."""
        try:
            await readable_namespace(Principal("k", ("read:*",)), self.cache, "gp")
        except Forbidden:
            return False
        return True


def test_refused_readers_of_a_namespace_in_the_shadow_share_their_looks_for_a_change() -> None:
    async def act() -> None:
        shadow = Shadow()
        for _ in range(50):
            assert not any(await asyncio.gather(*(shadow.read() for _ in range(2))))
        assert shadow.refreshes == 1
        shadow.rules = Rules(mode="live")
        shadow.at += REFRESH_EVERY_S
        assert all(await asyncio.gather(*(shadow.read() for _ in range(50))))
        assert shadow.refreshes == 2

    asyncio.run(act())
