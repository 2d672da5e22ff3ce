"""A hub on a store of its own making."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import msgspec

from app.access.keys import Keyring, hash_key
from app.live.frames import BoardFrame, kind_of
from app.live.hub import Hub
from app.live.protocol import Resume
from app.live.subscriber import Subscriber, Viewer
from app.live.views import LiveView
from app.model.errors import StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.model.views import Top
from app.store import keys
from app.store.board_reader import BoardReader
from app.store.boards import READ_BOARD, READ_BOARD_VERSIONS
from app.store.namespace_cache import KeyRecord, NamespaceCache
from app.store.profile_cache import ProfileCache
from app.store.stats_reader import StatsReader

TOKEN = "lb_k_0123456789abcdef"
DAY = 86_400_000_000


class Store:
    """Answers the hub's calls and counts them; also the gatherer, and the clock."""

    def __init__(self) -> None:
        self.now = DAY
        self.changes = 1
        self.profiles: dict[str, str] = {}
        self.profile_changes = self.noticed = 0
        self.changed_users: tuple[str, ...] | None = None
        self.away: set[bytes | str] = set()
        self.spaces: dict[str, Namespace] = {}
        self.keys = {"k": KeyRecord("k", hash_key(TOKEN), ("read:*",))}
        self.boards: dict[str, tuple[int, list[str]]] = {}
        self.shift = 0  # how many more stand before each, by rank
        self.calls: list[Any] = []
        self.namespace_cache = NamespaceCache(self.call)
        self.keyring = Keyring(self.namespace_cache, None)
        self.names = ProfileCache(self.call)
        readers = BoardReader(self, None), StatsReader(self, None)  # type: ignore[arg-type]
        self.hub = Hub(self, *readers, self.namespace_cache, self.names, lambda: self.now)  # type: ignore[arg-type]

    async def call(self, call: Any) -> Any:
        await asyncio.sleep(0)
        self.calls.append(call)
        if call[1] in self.away:
            raise StoreUnavailable("away")
        self.namespace_cache.notice(self.changes)
        if self.profile_changes != self.noticed:
            self.noticed = self.profile_changes
            self.names.notice(self.profile_changes, self.changed_users)
        if call[:2] == ("HMGET", keys.PROFILES):
            values = map(self.profiles.get, call[2:])
            return [None if name is None else b'1 {"display_name":"%s"}' % name.encode() for name in values]
        if call == ("HKEYS", keys.NAMESPACES_WITH_PROFILES):
            self.calls.pop()
            return []
        if call[:2] == ("HGET", keys.DIRECTORY):
            in_redis = self.spaces.get(call[2])
            return None if in_redis is None else b"1 " + msgspec.json.encode(in_redis)
        if call[:2] == ("HGET", keys.API_KEYS):
            return b"1 " + msgspec.json.encode(self.keys[call[2]]) if call[2] in self.keys else None
        if call[1] == READ_BOARD_VERSIONS.sha:
            names = [arg for arg in call[3 + call[2] :] if isinstance(arg, str)]
            return [b"1", *(b"%d" % self.boards.get(name, (0, []))[0] for name in names)]
        assert call[1] == READ_BOARD.sha
        version, users = self.boards.get(call[8], (0, []))
        rows = [cell for i, user in enumerate(users) for cell in (i + 1, user.encode(), b"1", i + self.shift)]
        return [b"1", b"9", b"%d" % version, len(users), None, None, None, *rows]

    def space(self, name: str, **rules: Any) -> Namespace:
        self.spaces[name] = Namespace(len(self.spaces) + 1, name, 0, self.changes, Rules(**rules), 0)
        return self.spaces[name]

    def change(self, name: str, from_seq: int | None = 0, **rules: Any) -> None:
        """A new version of a namespace's rules."""
        old = self.spaces[name]
        merged = msgspec.structs.replace(old.rules, **rules)
        self.spaces[name] = Namespace(old.id, name, 0, old.version + 1, merged, from_seq)

    def reads(self) -> list[Any]:
        """The views read since asked last."""
        results = [call[12:] for call in self.calls if call[1] == READ_BOARD.sha]
        self.calls.clear()
        return results

    async def watch(self, name: str, window: str = "all", view: LiveView = Top(), **more: Any) -> Subscriber:  # noqa: B008
        subscriber = Subscriber(1, more.get("viewer") or Viewer(self.keyring), window, Resume(*more.get("resume", ())))
        self.hub.viewers.add(subscriber.viewer)
        await self.hub.subscribe(subscriber, name, window, view, category=more.get("category"))
        return subscriber

    async def tick(self) -> None:
        await self.hub._tick()


def taken(subscriber: Subscriber) -> Any:
    """What is in the slot, or the fault's code; the slot is free then."""
    if subscriber.fault is not None:
        return subscriber.fault.code
    frame, subscriber.slot = subscriber.slot, None
    return None if frame is None else plain(frame.body)


def plain(body: BoardFrame) -> dict[str, Any]:
    """A frame's members by the names that a client sees, its entries as they are."""
    members = {field.encode_name: getattr(body, field.name) for field in msgspec.structs.fields(body)}
    return {"type": kind_of(body)} | {name: value for name, value in members.items() if value is not msgspec.UNSET}


def within(
    act: Callable[[Store], Coroutine[Any, Any, None]],
    run: Callable[[Coroutine[Any, Any, None]], object] = asyncio.run,
) -> None:
    """Runs a test with a store that has one public namespace. run: of a loop with a clock of its own."""

    async def acted() -> None:
        store = Store()
        store.space("race", visibility="public")
        await act(store)

    run(acted())
