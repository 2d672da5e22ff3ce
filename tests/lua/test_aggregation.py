"""best, latest and the ascending order in the script, and what a correction's moves do."""

from typing import Any

import msgspec
import pytest

from app.model.entry import PlannedEntry
from app.model.entry_kinds import CORRECTION
from app.model.entry_names import entry_id
from app.model.namespace import Namespace, Rules
from app.store import keys
from tests.lua.conftest import NOW, P
from tests.support.ops_text import cell_ops

DAY = 86_400_000_000


def rules(partition: Any, aggregation: str, order: str = "desc") -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(aggregation=aggregation, order=order))  # type: ignore[arg-type]


def scores(partition: Any, user: str = "otter") -> dict[str, float | None]:
    scores_of = {}
    for key in sorted(partition.store.keys(keys.board(P, 7, "*"))):
        scores_of[key.decode().rsplit(":", 1)[1]] = partition.store.zscore(key, user)
    return {window: score for window, score in scores_of.items() if score is not None}


def logged_at(partition: Any, seq: int) -> bytes:
    """When an entry was recorded, as the log has it."""
    ((_, fields),) = partition.store.xrange(keys.log(P), f"1-{seq}", f"1-{seq}")
    return bytes(fields[b"r"].split(b" ")[0])


def correction(entry: PlannedEntry, ops: str, revision: int = 2, live_delta: int = 0) -> PlannedEntry:
    body = msgspec.structs.replace(
        entry.body, kind=CORRECTION.name, revision=revision, entry_amount=0, live_delta=live_delta
    )
    return PlannedEntry(
        kind=CORRECTION,
        namespace=entry.namespace,
        body=body,
        id=entry_id(CORRECTION, 7, body.grant_id, revision),
        content=f"{ops:>16}"[:16].encode(),
        labels=entry.labels,
        ops=cell_ops(ops),
    )


@pytest.mark.parametrize(
    ("aggregation", "order", "result"),
    [
        *(("sum", "desc", (8, 8)), ("sum", "asc", (8, -8)), ("best", "desc", (5, 5)), ("best", "asc", (1, -1))),
        *(("latest", "desc", (2, 2)), ("latest", "asc", (2, -2))),
    ],
)
@pytest.mark.parametrize("together", [True, False])
def test_how_amounts_make_a_score(
    partition: Any, aggregation: str, order: str, result: tuple[int, int], together: bool
) -> None:
    rules(partition, aggregation, order)
    entries = [partition.entry(f"g{i}", amount=amount, category="red") for i, amount in enumerate((5, 1, 2))]
    outcomes = partition.call(*entries) if together else [partition.call(entry)[0] for entry in entries]
    assert outcomes[-1].score == result[0]
    assert set(scores(partition).values()) == {result[1]}
    balances = partition.store.hgetall(keys.balances(P, 7) + "otter")
    assert (balances[b"total"], balances[b"count"], balances[b"c:red"]) == (
        str(result[0]).encode(),
        b"3",
        str(result[0]).encode(),
    )


def test_moves_add_set_and_take_away(partition: Any) -> None:
    grant = partition.entry("g1", category="red", source="race")
    assert partition.codes(grant, partition.entry("g2", "hare", 3)) == ["applied"] * 2
    assert partition.codes(correction(grant, "w1+2w2+2w3=9w4xl1+2l2x")) == ["applied"]
    assert scores(partition) == {"all": 7, "2023-11": 7, "2023-W46": 9}
    balances = partition.store.hgetall(keys.balances(P, 7) + "otter")
    assert balances == {
        b"total": b"7",
        b"count": b"1",
        b"last": str(NOW).encode(),
        b"seq": b"3",
        b"at": logged_at(partition, 3),
        b"corrected": b"3",
        b"c:red": b"7",
    }
    assert scores(partition, "hare") == {"all": 3, "2023-11": 3, "2023-W46": 3, "2023-11-14": 3}


def test_a_user_without_live_grants_leaves_the_boards_and_comes_back(partition: Any) -> None:
    grant = partition.entry("g1", category="red")
    (gone,) = (partition.call(grant), partition.call(correction(grant, "w1xw2xw3xw4xl1xaxu=1", live_delta=-1)))[1]
    assert (gone.code, gone.score, gone.previous) == ("applied", None, 5)
    assert scores(partition) == {}
    balances = partition.store.hgetall(keys.balances(P, 7) + "otter")
    assert balances == {
        b"total": b"0",
        b"count": b"0",
        b"seq": b"2",
        b"at": logged_at(partition, 2),
        b"corrected": b"2",
    }
    back = correction(grant, f"w1=5w2=5w3=5w4=5l1=5a={NOW}u=2", revision=3, live_delta=1)
    again = correction(grant, "w1xw2xw3xw4xl1xaxu=3", revision=4, live_delta=-1)
    third = correction(grant, f"w1=5w2=5w3=5w4=5l1=5a={NOW}u=4", revision=5, live_delta=1)
    outcomes = partition.call(back, again, third)
    assert {o.code for o in outcomes} == {"applied"}
    assert [(o.score, o.previous) for o in outcomes] == [(5, None), (None, 5), (5, None)]
    assert set(scores(partition).values()) == {5}
    assert partition.store.hget(keys.balances(P, 7) + "otter", "c:red") == b"5"


def test_a_plan_upon_an_older_user_is_refused(partition: Any) -> None:
    grant = partition.entry("g1")
    partition.call(grant, partition.entry("g2"))
    assert partition.codes(correction(grant, "w1xw2xw3xw4xaxu=1")) == ["stale_user"]
    assert scores(partition)["all"] == 10


def test_a_loose_plan_stands_while_grants_come_and_nothing_else(partition: Any) -> None:
    first, second = partition.entry("g1"), partition.entry("g2", amount=3)
    assert partition.codes(first, second, partition.entry("g3", amount=2)) == ["applied"] * 3
    # Planned upon 2: a grant came since. In the call before it, too.
    minus = "w1-5w2-5w3-5w4-5".replace("-", "+-")
    void = correction(first, f"{minus}a+{NOW}g=2", live_delta=-1)
    assert partition.codes(partition.entry("g4", amount=1), void) == ["applied"] * 2
    assert scores(partition)["all"] == 6
    # Another correction came since, which one that is planned upon 2 does not know of; upon 5 it does.
    other = correction(second, f"w1+-3w2+-3w3+-3w4+-3a+{NOW}g=2", live_delta=-1)
    assert partition.codes(other) == ["stale_user"]
    assert (
        partition.codes(partition.entry("g5", amount=1), correction(second, "w1+-3g=5", live_delta=-1))
        == ["applied"] * 2
    )
    assert partition.codes(correction(partition.entry("g3", amount=2), "w1+-2g=6", live_delta=-1)) == ["stale_user"]
    # In one call: the plan of the second does not know of the first.
    pair = [correction(partition.entry(f"g{i}", amount=1), "w1+-1g=7", live_delta=-1) for i in (4, 5)]
    assert partition.codes(*pair) == ["applied", "stale_user"]
    # A user of whom nothing is kept any more has no plan.
    partition.store.delete(keys.balances(P, 7) + "otter")
    assert partition.codes(correction(partition.entry("g9"), "w1+-1g=99", live_delta=-1)) == ["stale_user"]


def test_the_last_moment_of_a_loose_plan(partition: Any) -> None:
    name = keys.balances(P, 7) + "otter"
    grants = [partition.entry(f"g{i}", at=NOW + i) for i in range(3)]
    assert partition.codes(*grants[:2]) == ["applied"] * 2

    def last() -> int:
        return int(partition.store.hget(name, "last"))

    # Nothing came since: it falls, as planned.
    assert partition.codes(correction(grants[1], f"w1+-5a={NOW}@{NOW + 1}g=2", live_delta=-1)) == ["applied"]
    assert last() == NOW
    back = correction(grants[1], f"w1+5a+{NOW + 1}g=3", revision=3, live_delta=1)
    assert (partition.codes(back), last()) == (["applied"], NOW + 1)
    # A later one came since: it is the last.
    fall = correction(grants[1], f"w1+-5a={NOW}@{NOW + 1}g=4", revision=4, live_delta=-1)
    assert (partition.codes(grants[2], fall), last()) == (["applied"] * 2, NOW + 2)
    # One came since that may be the last by now, or not.
    early = partition.entry("early", at=NOW + 1)
    fall = correction(grants[2], f"w1+-5a={NOW}@{NOW + 2}g=6", revision=2, live_delta=-1)
    assert partition.codes(early, fall) == ["applied", "stale_user"]
    rise = correction(grants[0], f"w1+0a+{NOW + 1}g=6", revision=2)
    assert (partition.codes(rise), last()) == (["applied"], NOW + 2)


def test_a_plan_upon_the_entry_before_it_takes_no_other(partition: Any) -> None:
    grants = [partition.entry(f"g{i}", amount=1) for i in range(4)] + [partition.entry("h", "hare", 1)]
    partition.call(*grants)
    first, others = "w1+1w2+1w3+1w4+1u=4", [correction(grant, "w1+1w2+1w3+1w4+1f=") for grant in grants[1:4]]
    # Nothing before it, and another user's entry before it.
    assert partition.codes(others[0]) == ["stale_user"]
    assert partition.codes(correction(grants[4], "w1+1w2+1w3+1w4+1u=5"), others[0]) == ["applied", "stale_user"]
    # A chain goes on to the first that is refused; a second plan upon the same user is refused whole.
    stale = msgspec.structs.replace(others[1], content=b"other content 16", ops=cell_ops("w1x"))
    codes = partition.codes(correction(grants[0], first), *others[:2], correction(grants[0], first, 3), others[2])
    assert codes == ["applied", "applied", "applied", "stale_user", "stale_user"]
    assert partition.codes(stale, others[2]) == ["grant_conflict", "stale_user"]
    assert (scores(partition)["all"], scores(partition, "hare")["all"]) == (7, 2)
    # One that had counted before moves nobody now.
    grant = partition.entry("g9", amount=1)
    assert partition.codes(grant) == ["applied"]
    chain = [correction(grants[0], "w1+1u=10", 3), grant, correction(grants[3], "w1+1f=", 3)]
    assert partition.codes(*chain) == ["applied", "duplicate", "stale_user"]


def test_the_moment_of_the_last_change_is_kept(partition: Any) -> None:
    rules(partition, "best")
    name = keys.balances(P, 7) + "otter"
    partition.call(partition.entry("g1", amount=5))
    first = partition.store.hget(name, "at")
    assert first == logged_at(partition, 1)
    partition.call(partition.entry("g2", amount=3))
    partition.call(partition.entry("g3", amount=9), partition.entry("g4", amount=1))
    assert first < partition.store.hget(name, "at") == logged_at(partition, 3)
    last = logged_at(partition, 3)
    partition.call(partition.entry("g5", amount=9), partition.entry("g3", amount=9))
    assert partition.store.hget(name, "at") == last < logged_at(partition, 5)


def test_moves_stay_within_the_exact_range(partition: Any) -> None:
    grant = partition.entry("g1", amount=10**15 - 1)
    partition.call(grant)
    assert partition.codes(correction(grant, "w1+1")) == ["score_overflow"]
    assert scores(partition)["all"] == 10**15 - 1
