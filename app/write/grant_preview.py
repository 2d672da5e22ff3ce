"""What would become of grants: `?dry_run=true`. Nothing is written."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..drivers.postgres import Postgres
from ..model.entry import PlannedEntry
from ..model.grant_problem import grant_problem
from .receipts import refused_member

#: The status of a grant that would count.
WOULD_APPLY = "would_apply"


class GrantPreview:
    """Judges planned grants by their rules and by what the ledger has. What only Redis knows is left out: a score or a
    label too many, velocities, and grants of the last moments."""

    def __init__(self, postgres: Postgres, clock: Callable[[], int]) -> None:
        self._postgres = postgres
        self._clock = clock

    async def fill(self, parts: Mapping[int, Sequence[tuple[int, PlannedEntry]]], results: list[Any]) -> None:
        """Puts in the result of each entry. parts: index and entry, by partition. O(entries × log n);
        StoreUnavailable."""
        entries = sorted((i, entry) for part in parts.values() for i, entry in part)
        ids: dict[int, list[str]] = {}
        for _, entry in entries:
            ids.setdefault(entry.namespace.id, []).append(entry.body.grant_id)
        contents: dict[tuple[int, str], bytes] = {}
        for namespace_id, names in ids.items():
            for row in await self._postgres.fetch("find_recorded_grants", namespace_id, names):
                contents[namespace_id, row["grant_id"]] = bytes(row["digest"])
        for i, entry in entries:
            results[i] = self._judge(entry, contents)

    def _judge(self, entry: PlannedEntry, contents: dict[tuple[int, str], bytes]) -> dict[str, Any]:
        """The result of an entry, behind those before it in the request."""
        name = entry.namespace.id, entry.body.grant_id
        status = entry.verdict or WOULD_APPLY
        if name in contents:
            status = "duplicate" if contents[name] == entry.content else "grant_conflict"
        if status in (WOULD_APPLY, "quarantined", "duplicate"):
            contents[name] = entry.content
            return {"status": status, "grant_id": entry.body.grant_id}
        return refused_member(entry.body.grant_id, grant_problem(entry, status, None, self._clock()))


def preview_summary(results: list[Any]) -> dict[str, Any]:
    """The answer to a dry run."""
    counts = Counter(result["status"] for result in results)
    return {**{name: counts[name] for name in (WOULD_APPLY, "duplicate", "rejected")}, "results": results}
