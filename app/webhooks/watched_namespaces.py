"""The namespaces whose boards webhooks watch, read together."""

import asyncio
from time import monotonic

from ..drivers.postgres import Fetch
from ..model.namespace import Namespace
from ..store.namespace_cache import namespace_from_row

#: Seconds for which a namespace's rules are remembered: they say which board the current window has.
RULES_S = 5.0


class WatchedNamespaces:
    """Namespaces by name, as they were RULES_S ago at most. One statement reads all that were looked for since the last
    one."""

    def __init__(self, fetch: Fetch) -> None:
        self._fetch = fetch
        self._known: dict[str, Namespace | None] = {}
        self._names: set[str] = set()
        self._until_s = float("-inf")
        self._turn = asyncio.Lock()

    async def find(self, name: str) -> Namespace | None:
        """A namespace; None where there is none. O(1), or O(names) after a while. asyncpg's errors."""
        self._names.add(name)
        async with self._turn:
            if monotonic() >= self._until_s:
                self._known = await self._read(sorted(self._names))
                self._names.clear()
                self._until_s = monotonic() + RULES_S
            elif name not in self._known:
                self._known |= await self._read([name])
        return self._known[name]

    async def _read(self, names: list[str]) -> dict[str, Namespace | None]:
        rows = await self._fetch("get_watched_namespaces", names)
        return dict.fromkeys(names) | {row["name"]: namespace_from_row(row) for row in rows}
