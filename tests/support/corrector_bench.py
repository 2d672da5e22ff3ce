"""A corrector beside a ledger in memory, a committer that answers as a test says, and time that passes at once."""

from typing import Any

from app.model.correction import CorrectionRequest, GrantState
from app.model.errors import Problem
from app.model.namespace import Namespace, Rules
from app.store.changes import Changed
from app.write.corrections import Corrector
from app.write.plan_attempts import RulesReader
from app.write.receipts import CorrectionReceipt
from tests.support.fake_ledger import FakeCommitter, FakeLedger, FakeRedis
from tests.support.virtual_time import VirtualTime


class Services:
    """What a corrector asks of the rest. refreshed, released: how often rules were read again, and their lock freed."""

    def __init__(self) -> None:
        self.rules = Namespace(3, "race", 0, 1, Rules())
        self.refreshed = self.released = 0

    async def namespace(self, name: str) -> Namespace:
        return self.rules

    def forget(self, changed: Changed) -> None:
        assert changed.namespaces == {self.rules.name}
        self.refreshed += 1

    async def release_stale(self, name: str) -> None:
        self.released += 1

    async def score_of(self, namespace: Namespace, board: str, user: str) -> int:
        return 14

    async def zones_of(self, users: list[str]) -> dict[str, str]:
        return {}


class Bench:
    """A corrector with a ledger that holds some grants."""

    def __init__(self, time: VirtualTime) -> None:
        self.time = time
        self.services = Services()
        self.ledger, self.redis = FakeLedger(), FakeRedis()
        self.committer = FakeCommitter(self.ledger, self.redis)
        parts: dict[str, Any] = {"committer": self.committer, "batcher": self.redis, "ledger": self.ledger}
        parts |= dict.fromkeys(("namespace_cache", "boards", "profiles"), self.services)
        services: Any = self.services
        parts["rules"] = RulesReader(services, services)
        self.corrector = Corrector(**parts, clock=lambda: 100, ack="fsync")

    @property
    def namespace(self) -> Namespace:
        """Its rules as they are now."""
        return self.services.rules

    def hold(self, *grants: GrantState) -> None:
        """The ledger holds these, and Redis counted no more than them."""
        for one in grants:
            self.ledger.grants[one.grant_id] = one
            self.ledger.recorded_seq += 1
            for revision in range(1, one.revision + 1):
                self.redis.count(self.namespace, one.grant_id, revision, self.ledger.recorded_seq)
            self.redis.changes[one.user] = self.ledger.recorded_seq, 0

    def correct(self, *asks: CorrectionRequest) -> list[str]:
        """What becomes of each ask: its status and revision, or its problem's code."""
        reply = self.time.run(self.corrector.correct_all(self.namespace, asks))
        return [one.code if isinstance(one, Problem) else f"{one.status} {one.revision}" for one in reply]

    def correct_one(self, ask: CorrectionRequest) -> CorrectionReceipt:
        """Its receipt."""
        (result,) = self.time.run(self.corrector.correct_all(self.namespace, [ask]))
        if isinstance(result, Problem):
            raise result
        return result
