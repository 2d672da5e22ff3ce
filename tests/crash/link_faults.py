"""Links to the stores that are cut, held, slow, or lose what comes back."""

from __future__ import annotations

from tests.crash.faults import AWAY_S, NO_LOSS, STILL_S, Fault
from tests.crash.field import Field


class LostReplies(Fault):
    name = "replies of Redis are lost after it applied"
    is_short = True
    promise = "what is sent again is told its own outcome; nothing counts twice"

    def inject(self, field: Field) -> None:
        field.redis_link.lose_replies()
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.redis_link.mend()


class CutRedis(LostReplies):
    name = "connections to Redis cut"
    is_short = False
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.cut()
        field.wait(AWAY_S)


class HalfOpenRedis(LostReplies):
    name = "connections to Redis half-open"
    is_short = True
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.hold()
        field.wait(STILL_S)


class SlowRedis(LostReplies):
    name = "a slow link to Redis"
    is_short = False
    promise = NO_LOSS

    def inject(self, field: Field) -> None:
        field.redis_link.slow(0.05)
        field.wait(STILL_S)


class CutPostgres(Fault):
    topology = None
    name = "connections to Postgres cut"

    def inject(self, field: Field) -> None:
        field.postgres_link.cut()
        field.wait(AWAY_S)

    def heal(self, field: Field) -> None:
        field.postgres_link.mend()


class HalfOpenPostgres(CutPostgres):
    topology = None
    name = "connections to Postgres half-open"

    def inject(self, field: Field) -> None:
        field.postgres_link.hold()
        field.wait(STILL_S)


class LostCommits(CutPostgres):
    topology = None
    name = "replies of Postgres are lost after it committed"
    is_short = True

    def inject(self, field: Field) -> None:
        field.postgres_link.lose_replies()
        field.wait(AWAY_S)
