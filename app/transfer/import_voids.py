"""Voids what counts on the server and is in no row of the source: `leaderboard import --void-missing`."""

from bisect import insort
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ..model.text import count_text
from .import_client import ImportClient, ImportStop, path_segment, problem_of
from .import_grant_ids import GrantIds, ServerGrant

#: Grants of a page of the server.
PAGE_GRANTS = 1_000
#: Voids of one request: the server takes 1 MiB of them.
VOIDS_A_REQUEST = 500
#: Grants that are named.
NAMED_MAX = 20
#: Bytes of the reason that a correction may give.
_REASON_BYTES_MAX = 256


class _LiveGrant(msgspec.Struct):
    grant_id: str
    granted_at: datetime
    revision: int


class _GrantPage(msgspec.Struct):
    grants: list[_LiveGrant]
    next_cursor: str | None


_read_page = msgspec.json.Decoder(_GrantPage).decode
_read_grant = msgspec.json.Decoder(ServerGrant).decode
_encode = msgspec.json.Encoder().encode


class VoidOptions(NamedTuple):
    """Which grants of the server are looked at: of a source, since ≤ granted_at < until. until: None: up to the latest
    row, because the source cannot know of later ones. most: how many may be voided; None: all that are missing."""

    source: str
    since: datetime
    until: datetime | None = None
    most: int | None = None


class VoidOutcome(NamedTuple):
    """looked_at: grants that count in the stretch; missing: how many of them no row names; firsts: the earliest of
    these; counts: what became of them: `voided`, `changed` meanwhile, or the code of a problem; obstacle: why none was
    voided."""

    obstacle: str = ""
    until: datetime | None = None
    looked_at: int = 0
    missing: int = 0
    firsts: Sequence[ServerGrant] = ()
    counts: Mapping[str, int] = {}

    @property
    def is_clean(self) -> bool:
        """Whether each of them was voided, or changed meanwhile."""
        return not self.obstacle and not self.counts.keys() - {"voided", "changed"}


class MissingGrants:
    """The grants of the server that no row names, as they are found and voided."""

    def __init__(self, client: ImportClient, namespace: str, ids: GrantIds, path: Path) -> None:
        """ids: of all rows; path: a file for the missing grants, some 60 bytes each."""
        self._client = client
        self._path = f"/v1/namespaces/{path_segment(namespace)}"
        self._ids = ids
        self._file = path

    async def void(
        self, options: VoidOptions, latest: datetime | None, source_name: str, *, is_dry: bool
    ) -> VoidOutcome:
        """Finds them, and voids them unless it is a dry run. latest: the time of the latest row; source_name: for the
        reason. ImportStop: what was voided before stays so. O(grants of the stretch + rows); memory does not grow with
        them."""
        obstacle = ""
        if self._ids.unnamed:
            rows = count_text(self._ids.unnamed, "row")
            obstacle = (
                f"of {rows} (the first in line {self._ids.line}) the grant id is not known, and one of them may name "
                "what seems to be missing: mend them, and import the whole source again"
            )
            if not is_dry:
                return VoidOutcome(obstacle)
        until = options.until
        if until is None:
            if latest is None:
                return VoidOutcome("no row has a time behind --since: say by --until up to when the source knows all")
            until = latest + timedelta(microseconds=1)
        looked_at = await self._look_up(options._replace(until=until))
        count = 0
        firsts: list[ServerGrant] = []
        with self._file.open("wb") as file:
            for grant in self._ids.missing():
                file.write(_encode(grant) + b"\n")
                count += 1
                insort(firsts, grant)
                del firsts[NAMED_MAX:]
        outcome = VoidOutcome(obstacle, until=until, looked_at=looked_at, missing=count, firsts=firsts)
        if is_dry:
            return outcome
        if options.most is not None and count > options.most:
            return outcome._replace(
                obstacle=f"{count:,} are missing, and --confirm allows {options.most:,}: look at them by --dry-run"
            )
        return outcome._replace(counts=await self._void(source_name))

    async def _look_up(self, options: VoidOptions) -> int:
        """Has all grants of the stretch looked up; how many there are. ImportStop."""
        assert options.until is not None
        count = 0
        query: dict[str, Any] = {"state": "live", "source": options.source, "limit": PAGE_GRANTS}
        query |= {"since": options.since.isoformat(), "until": options.until.isoformat()}
        while True:
            answer = await self._client.ask("GET", f"{self._path}/grants", params=query)
            if answer.status_code != 200:
                raise ImportStop(problem_of(answer))
            page = self._client.read(_read_page, answer)
            for grant in page.grants:
                self._ids.look_up(ServerGrant(grant.granted_at, grant.grant_id, grant.revision))
            count += len(page.grants)
            if page.next_cursor is None:
                return count
            query["cursor"] = page.next_cursor

    async def _void(self, source_name: str) -> Counter[str]:
        """Voids what the file has; a grant that was changed since it was found stays. ImportStop."""
        reason = f"import --void-missing: not in {source_name}"
        reason = reason.encode()[:_REASON_BYTES_MAX].decode(errors="ignore")
        counts: Counter[str] = Counter()
        with self._file.open("rb") as lines:
            while grants := [_read_grant(line) for line in islice(lines, VOIDS_A_REQUEST)]:
                voids = [
                    _encode({"op": "void", "grant_id": one.grant_id, "revision": one.revision, "reason": reason})
                    for one in grants
                ]
                for result in await self._client.correct(f"{self._path}/corrections", voids):
                    code = "voided" if result.error is None else result.error.code
                    counts["changed" if code == "revision_conflict" else code] += 1
        return counts
