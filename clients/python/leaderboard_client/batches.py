"""A batch of grants, and those of its members that are to be sent again. No clock and no socket."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from .answers import BatchResult, Result
from .calls import Call, as_type, encode
from .grant import Grant
from .tries import full_jitter

#: Grants of one request; the server takes no more in an array.
BATCH_MAX = 1_000
#: Seconds: bounds of the first wait between two rounds of a batch, and of the longest.
BATCH_WAITS = (0.5, 5.0)


class BatchOptions(NamedTuple):
    """What is asked for all members of a batch."""

    rank: bool = False
    backfill: bool = False
    ack: str | None = None


_PLAIN = BatchOptions()


def batch_call(
    grants: Sequence[Grant],
    namespace: str | None,
    options: BatchOptions = _PLAIN,
    *,
    atomic: bool = False,
    deadline_s: float | None = None,
) -> Call[BatchResult]:
    """A batch for one namespace, or for those that the grants name. ValueError for more than BATCH_MAX."""
    if len(grants) > BATCH_MAX:
        raise ValueError(f"a batch has at most {BATCH_MAX} grants; a batcher sends any number")
    path = ("v1", "grants") if namespace is None else ("v1", "namespaces", namespace, "grants")
    return Call(
        method="POST",
        path=path,
        query={
            "atomic": atomic or None,
            "rank": options.rank or None,
            "backfill": options.backfill or None,
            "ack": options.ack,
        },
        body=encode(grants),
        read=as_type(BatchResult),
        may_repeat=True,
        deadline_s=deadline_s,
    )


class Rounds:
    """The rounds of one batch: members that were refused for a cause that passes are sent again while there is time."""

    def __init__(
        self, grants: Sequence[Grant], first: BatchResult, *, ends_at: float, random: Callable[[], float]
    ) -> None:
        self._grants = grants
        self._results = list(first.results)
        self._ends_at = ends_at
        self._random = random
        self._tries = 0

    @property
    def _places(self) -> list[int]:
        return [i for i, one in enumerate(self._results) if one.error is not None and one.error.retryable]

    @property
    def due(self) -> list[Grant]:
        """The members to send again, in order."""
        return [self._grants[i] for i in self._places]

    def wait(self, now: float) -> float | None:
        """Seconds until the next round; None: there is none."""
        wait = full_jitter(self._tries, BATCH_WAITS, self._random)
        self._tries += 1
        return wait if self._places and now + wait < self._ends_at else None

    def take(self, answer: BatchResult) -> None:
        """Puts the results of a round in their places."""
        for place, result in zip(self._places, answer.results, strict=True):
            self._results[place] = result

    @property
    def result(self) -> BatchResult:
        """What became of all."""
        return BatchResult(results=tuple[Result, ...](self._results))
