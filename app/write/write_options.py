"""How a request's grants are to be taken."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from ..access.guard import require_scope
from ..access.keys import Principal
from ..model.entry import PlannedEntry
from ..model.errors import Invalid, TooLarge
from ..model.grant import Grant, plan
from ..model.namespace import Namespace
from ..store.call_cost import CALL_ENTRIES_MAX, CALL_US_MAX, write_cost
from .acknowledgements import AckWait
from .receipt_ranks import RanksBefore


class WriteOptions(NamedTuple):
    """How a request's grants are to be taken. atomic: all or none; backfill: grants may be of any age; batch: a name
    for a request of many; ranks_before: collects its users' earlier ranks, if the answer has ranks; ack: waits for a
    higher acknowledgement, if one is asked for; digest_key: the deployment's; is_dry: nothing is written."""

    principal: Principal
    atomic: bool = False
    backfill: bool = False
    batch: str | None = None
    ranks_before: RanksBefore | None = None
    ack: AckWait | None = None
    digest_key: bytes = b""
    is_dry: bool = False

    def check(self, name: str) -> None:
        """Unauthorized, Forbidden unless the principal may write grants with these options to a namespace of this
        name."""
        require_scope(self.principal, "admin" if self.backfill else "write", name)

    def plan(self, grant: Grant, namespace: Namespace, now: int, zones: Mapping[str, str]) -> PlannedEntry:
        """The plan of a grant, or what `model.grant.plan` raises. now: microseconds; zones: of users, for streaks.
        Forbidden for an opening balance from a key without `admin`."""
        if grant.opening:
            require_scope(self.principal, "admin", namespace.name)
        actor, zone = self.principal.id, zones.get(grant.user_id)
        return plan(
            grant,
            namespace,
            now,
            actor=actor,
            zone=zone,
            backfill=self.backfill,
            batch=self.batch,
            digest_key=self.digest_key,
        )


def check_atomic(parts: Sequence[Sequence[PlannedEntry]]) -> None:
    """Invalid, TooLarge if the entries of an atomic request do not fit into one call. parts: one for each partition."""
    namespaces = [entry.namespace for part in parts for entry in part]
    if len({namespace.rules.group or namespace.name for namespace in namespaces}) > 1:
        raise Invalid("an atomic request needs namespaces of one group", field="$")
    for part in parts:
        for what, size, bound in (
            ("grants", len(part), CALL_ENTRIES_MAX),
            ("weight", write_cost(part), CALL_US_MAX),
        ):
            if size > bound:
                raise TooLarge(f"an atomic request is too large: {what} {size:,}, at most {bound:,}")
