"""Closed windows in lua/apply.lua, lua/read_board.lua and lua/evict_archived_window.lua."""

from typing import Any

import pytest
from msgspec import Raw, convert
from msgspec.structs import replace

from app.model.entry import PlannedEntry
from app.model.entry_kinds import BACKFILL, CORRECTION, HEAL
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.model.ops import SealOps
from app.model.seal import seal_entry
from app.model.visibility import HIDE, VisibilityIntent, visibility_entries
from app.store import keys
from app.store.archived_windows import EVICT_ARCHIVED_WINDOW
from app.store.boards import READ_BOARD, READ_BOARD_VERSIONS
from app.store.visibility import SET_USER_STATE, state_call
from tests.support.ops_text import cell_ops

P = 3
NOW = 1_700_000_000_000_000  # 2023-11-14
BACK = cell_ops("w1+-5w2+-5w3+-5w4+-5")
DAY, WEEK, MONTH = "2023-11-14", "2023-W46", "2023-11"


def seal(partition: Any, window: str = DAY) -> PlannedEntry:
    space: Namespace = partition.space
    span = space.calendar.find(window, NOW)
    assert span is not None
    entry: PlannedEntry = seal_entry(space, span)
    return entry


def backfilled(partition: Any, grant_id: str, amount: int = 5) -> PlannedEntry:
    entry: PlannedEntry = replace(partition.entry(grant_id, amount=amount), kind=BACKFILL)
    return entry


def board(partition: Any, window: str, user: str = "otter") -> Any:
    return partition.store.zscore(keys.board(P, 7, window), user)


def test_a_sealed_window_takes_no_grant(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    (outcome,) = partition.call(seal(partition))
    assert (outcome.code, outcome.seq, outcome.score) == ("applied", 2, None)
    assert partition.store.hget(keys.namespace(P, 7), f"x:{DAY}") == b"s"
    before = partition.dump()
    assert partition.codes(partition.entry("g2")) == ["window_closed"]
    assert partition.dump() == before
    assert partition.codes(partition.entry("g1"), seal(partition)) == ["duplicate", "duplicate"]


@pytest.mark.parametrize("mark", [b"s", b"a 9"], ids=["sealed", "archived"])
def test_a_window_is_closed_once_also_where_its_seal_is_forgotten(partition: Any, mark: bytes) -> None:
    """Else an archived board would be looked for in Redis again, where nothing of it stands."""
    partition.call(partition.entry("g1"), seal(partition))
    partition.store.hset(keys.namespace(P, 7), f"x:{DAY}", mark)
    partition.store.delete(keys.dedup(P, 1))
    before = partition.dump()
    assert partition.codes(seal(partition)) == ["window_closed"]
    assert partition.dump() == before


def test_a_window_is_closed_by_the_stores_own_clock(partition: Any) -> None:
    """Whoever submits a seal may have a clock that is ahead; it cannot be taken back."""
    partition.call(partition.entry("g1"))
    before = partition.dump()
    assert partition.codes(replace(seal(partition), ops=SealOps(10**16))) == ["not_over"]
    assert partition.dump() == before
    assert partition.codes(partition.entry("g2"), seal(partition)) == ["applied", "applied"]


def test_a_seal_closes_for_what_follows_in_its_bundle(partition: Any) -> None:
    bundle = [partition.entry("g1"), seal(partition), partition.entry("g2"), backfilled(partition, "g3")]
    assert partition.codes(*bundle) == ["applied", "applied", "window_closed", "applied"]
    assert (board(partition, "all"), board(partition, WEEK), board(partition, DAY)) == (10, 10, 5)


@pytest.mark.parametrize("rules", [{}, {"tie_break": "earliest", "ranking": "dense"}], ids=str)
def test_backfill_and_corrections_pass_a_closed_board_by(partition: Any, rules: dict[str, Any]) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(category_boards=True, **rules))
    partition.call(partition.entry("g1", category="red"), seal(partition))
    closed = [
        name
        for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores)
        for name in (kind(P, 7, DAY), kind(P, 7, f"{DAY}:red"))
    ]
    before, version = [partition.dump().get(name.encode()) for name in closed], f"v:{DAY}"
    ops = cell_ops("w1+3w2+3w3+3w4+3w5+3w6+3w7+3w8+3l1+3")
    corrected = replace(partition.entry("g2", category="red"), kind=CORRECTION, ops=ops)
    again = Grant("g3", "otter", Raw(b"5"), category="red")
    late = plan(again, partition.space, NOW, backfill=True)
    assert partition.codes(corrected, late) == ["applied", "applied"]
    assert [partition.dump().get(name.encode()) for name in closed] == before
    assert partition.store.hget(keys.namespace(P, 7), version) == b"1"
    assert partition.store.hget(keys.namespace(P, 7), "v:all") == b"4"
    assert partition.store.hget(keys.balances(P, 7) + "otter", "total") == b"13"


def test_a_heal_takes_back_what_a_sealed_board_still_holds(partition: Any) -> None:
    partition.call(partition.entry("g1"), partition.entry("g2"), seal(partition))
    assert partition.codes(replace(partition.entry("h", amount=-5), kind=HEAL, ops=BACK)) == ["applied"]
    assert board(partition, DAY) == board(partition, "all") == 5
    archive(partition)
    assert partition.codes(replace(partition.entry("i", amount=-5), kind=HEAL, ops=BACK)) == ["applied"]
    assert (board(partition, DAY), board(partition, "all")) == (None, 0)


def archive(partition: Any, window: str = DAY, *versions: str | int) -> Any:
    names = [kind(P, 7, window) for kind in (keys.board, keys.tie_prefixes, keys.distinct_scores)]
    return partition.eval(EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7), *names], [window, len(names), *versions])


def read(partition: Any, window: str) -> list[Any]:
    names = [
        keys.board(P, 7, window),
        keys.namespace(P, 7),
        keys.meta(P),
        keys.tie_prefixes(P, 7, window),
        keys.distinct_scores(P, 7, window),
    ]
    return list(partition.eval(READ_BOARD, names, [window, "competition", "none", "0", "page", 0, 10]))


def test_a_grant_to_an_archived_window_is_refused(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    assert archive(partition) == 0, "it is not sealed"
    assert board(partition, DAY) == 5
    partition.call(seal(partition))
    assert read(partition, DAY)[7:] == [1, b"otter", b"5", 0]
    assert archive(partition) == 1
    assert not partition.store.exists(keys.board(P, 7, DAY))
    assert read(partition, DAY) == [*read(partition, f"{DAY}:red")[:2], b"1"] == [b"archived", b"1", b"1"]
    assert archive(partition, DAY, DAY, 7, f"{DAY}:red", 6) == 1
    assert archive(partition, DAY, DAY, 5) == 1, "what a revision adds may be older than what was told"
    assert read(partition, DAY) == read(partition, f"{DAY}:red") == [b"archived", b"1", b"8"], (
        "one for all its boards, which rises"
    )
    assert partition.codes(partition.entry("g2")) == ["window_closed"]
    assert partition.codes(backfilled(partition, "g2")) == ["applied"]
    assert not partition.store.exists(keys.board(P, 7, DAY))


def test_a_season_is_a_window_of_its_own(partition: Any) -> None:
    season = {"name": "s", "starts": "2023-01-01T00:00:00Z", "ends": "2023-12-01T00:00:00Z"}
    partition.space = Namespace(7, "race", P, 1, convert({"seasons": [season], "category_boards": True}, Rules))
    partition.call(partition.entry("g1", category="red"))
    assert partition.codes(seal(partition, "season:s")) == ["applied"]
    assert partition.store.hget(keys.namespace(P, 7), "x:season:s") == b"s"
    assert partition.codes(partition.entry("g2"), partition.entry("g3", category="red")) == ["window_closed"] * 2


def test_an_archived_window_leaves_one_field(partition: Any) -> None:
    """Fields of boards that stand elsewhere would be read over and kept for ever."""
    partition.space = Namespace(7, "race", P, 1, Rules(category_boards=True))
    for category in ("red", "blue"):
        partition.call(partition.entry(f"g-{category}", category=category))
    partition.call(seal(partition))
    boards = [DAY, f"{DAY}:red", f"{DAY}:blue"]
    assert (
        partition.eval(
            EVICT_ARCHIVED_WINDOW, [keys.namespace(P, 7)], [DAY, 0, *(part for name in boards for part in (name, 0))]
        )
        == 1
    )
    fields = partition.store.hgetall(keys.namespace(P, 7))
    assert {name: value for name, value in fields.items() if DAY.encode() in name} == {f"x:{DAY}".encode(): b"a 2"}
    names = [DAY, f"{DAY}:red", MONTH, "2030"]
    reply = partition.eval(READ_BOARD_VERSIONS, [keys.meta(P), keys.namespace(P, 7)], [len(names), *names])
    assert reply == [b"1", b"2", b"2", b"2", b"0"]
    # Who is hidden is on no board of it any more: its answers are others from then on.
    hide = state_call(P, VisibilityIntent(1, "otter", 1, HIDE, None))
    partition.eval(SET_USER_STATE, list(hide[3:5]), list(hide[5:]))
    entries = visibility_entries(partition.space, VisibilityIntent(1, "otter", 1, HIDE, None), [*boards, "all"])
    assert {outcome.code for outcome in partition.call(*entries)} == {"applied"}
    seq = partition.store.hget(keys.meta(P), "seq")
    assert read(partition, f"{DAY}:blue") == [b"archived", b"1", seq]
    assert partition.codes(partition.entry("g2")) == ["window_closed"]
    assert not partition.store.hexists(keys.namespace(P, 7), f"v:{DAY}")
