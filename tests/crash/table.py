"""All faults, in the order of the table in docs/reliability.md."""

from __future__ import annotations

from tests.crash.faults import Fault
from tests.crash.link_faults import (
    CutPostgres,
    CutRedis,
    HalfOpenPostgres,
    HalfOpenRedis,
    LostCommits,
    LostReplies,
    SlowRedis,
)
from tests.crash.loss_faults import CutTail, CutUnrecorded, EmptyFolder, Flushall, FullRedis, OlderFolder, ShortMemory
from tests.crash.node_faults import KillMaster, MoveSlot, OldMaster, PromoteBehind
from tests.crash.postgres_faults import OlderPostgres
from tests.crash.process_faults import (
    Backlog,
    ImmediatePostgres,
    KillAll,
    KillPersister,
    KillPostgres,
    KillRedis,
    KillServer,
    StopPersister,
    StopPostgres,
    StopRedis,
    StopServer,
    TwoPersisters,
)
from tests.crash.sentinel_faults import (
    CutPrimary,
    CutPrimaryLink,
    HalfOpenPrimaryLink,
    KillMarker,
    KillPrimary,
    LatePersister,
    LostPrimaryReplies,
    PromotePrimaryBehind,
    StopPrimary,
)
from tests.crash.state_faults import LostState

FAULTS: tuple[type[Fault], ...] = (
    *(KillRedis, KillPostgres, KillPersister, KillServer, KillAll, ImmediatePostgres, Backlog),
    *(StopRedis, StopPostgres, StopPersister, StopServer, TwoPersisters),
    *(LostReplies, CutRedis, HalfOpenRedis, SlowRedis, CutPostgres, HalfOpenPostgres, LostCommits),
    *(FullRedis, ShortMemory, Flushall, CutTail, CutUnrecorded, OlderFolder, EmptyFolder, LostState),
    *(OlderPostgres,),
    *(KillMaster, PromoteBehind, OldMaster, MoveSlot),
    *(KillPrimary, PromotePrimaryBehind, StopPrimary, CutPrimary, LatePersister, KillMarker),
    *(CutPrimaryLink, LostPrimaryReplies, HalfOpenPrimaryLink),
)
