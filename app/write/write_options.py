"""How a request's grants are to be taken."""

from collections.abc import Mapping
from typing import NamedTuple

from ..access.guard import require_scope
from ..access.keys import Principal
from ..model.entry import PlannedEntry
from ..model.grant import Grant, plan
from ..model.namespace import Namespace
from .receipt_ranks import RanksBefore


class WriteOptions(NamedTuple):
    """How a request's grants are to be taken. atomic: all or none; backfill: however old they are; batch: a name for a
    request of many; held: takes where its users stood before, where ranks are to be told."""

    principal: Principal
    atomic: bool = False
    backfill: bool = False
    batch: str | None = None
    held: RanksBefore | None = None

    def check(self, name: str) -> None:
        """Unauthorized, Forbidden unless the principal may have grants taken so by a namespace of this name."""
        require_scope(self.principal, "admin" if self.backfill else "write", name)

    def plan(self, grant: Grant, namespace: Namespace, now: int, zones: Mapping[str, str]) -> PlannedEntry:
        """The plan of a grant, or what `model.grant.plan` raises. now: microseconds; zones: of users, for streaks."""
        actor, zone = self.principal.id, zones.get(grant.user_id)
        return plan(grant, namespace, now, actor, zone, backfill=self.backfill, batch=self.batch)
