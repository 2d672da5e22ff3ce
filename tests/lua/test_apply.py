from typing import Any

import pytest

from app.model.namespace import Namespace, Rules
from app.model.score import UNITS_MAX
from app.store import fields, keys
from app.store.apply import CallRefused, PartitionHead

P = 3
NOW = 1_700_000_000_000_000


def test_a_grant_moves_every_board_and_balance(partition: Any) -> None:
    (outcome,) = partition.call(partition.entry("g1", amount=5, category="red", source="race"))
    assert (outcome.code, outcome.epoch, outcome.seq, outcome.score, outcome.previous) == ("applied", 1, 1, 5, None)
    for window in ("all", "2023-11", "2023-W46", "2023-11-14"):
        assert partition.store.zscore(keys.board(P, 7, window), "otter") == 5
        assert partition.store.hget(keys.namespace(P, 7), f"v:{window}") == b"1"
    assert partition.store.hgetall(keys.balances(P, 7) + "otter") == {
        b"total": b"5",
        b"count": b"1",
        b"last": str(NOW).encode(),
        b"seq": b"1",
        b"at": partition.store.hget(keys.meta(P), fields.CLOCK),
        b"c:red": b"5",
        b"s:race": b"5",
    }


def test_seq_is_contiguous_and_names_the_stream_entry(partition: Any) -> None:
    partition.call(partition.entry("g1"), partition.entry("g2"))
    assert partition.codes(partition.entry("g2"), partition.entry("g3")) == ["duplicate", "applied"]
    assert [name for name, _ in partition.store.xrange(keys.log(P))] == [b"1-1", b"1-2", b"1-3"]


def test_entries_of_one_bundle_see_each_other(partition: Any) -> None:
    outcomes = partition.call(*(partition.entry(f"g{i}", amount=i) for i in (1, 2, 3)), partition.entry("g2", amount=2))
    assert [(o.code, o.score, o.previous) for o in outcomes] == [
        ("applied", 1, None),
        ("applied", 3, 1),
        ("applied", 6, 3),
        ("duplicate", 6, 6),
    ]


def test_the_same_id_with_other_content_is_a_conflict(partition: Any) -> None:
    partition.call(partition.entry("g1", amount=5))
    before = partition.dump()
    assert partition.codes(partition.entry("g1", amount=6)) == ["grant_conflict"]
    assert partition.dump() == before


def test_a_verdict_is_answered_only_if_the_id_is_unseen(partition: Any) -> None:
    partition.call(partition.entry("g1"))
    late, fresh = partition.entry("g1"), partition.entry("g2")
    late.verdict = fresh.verdict = "granted_at_range"
    assert partition.codes(late, fresh) == ["duplicate", "granted_at_range"]


def test_what_the_ledger_remembers_is_a_duplicate(partition: Any) -> None:
    entry = partition.entry("g1")
    entry.verdict = "duplicate 1-77"
    (outcome,) = partition.call(entry)
    assert (outcome.code, outcome.epoch, outcome.seq) == ("duplicate", 1, 77)
    assert partition.store.xlen(keys.log(P)) == 0


def test_stale_rules_are_refused(partition: Any) -> None:
    partition.store.hset(keys.rules(P), "7", "2")
    assert partition.codes(partition.entry("g1")) == ["stale_rules"]


@pytest.mark.parametrize("amount", [UNITS_MAX, -UNITS_MAX])
def test_scores_stay_within_the_exact_range(partition: Any, amount: int) -> None:
    (outcome,) = partition.call(partition.entry("g1", amount=amount))
    assert outcome.score == amount
    assert partition.store.hget(keys.balances(P, 7) + "otter", "total") == str(amount).encode()
    before = partition.dump()
    assert partition.codes(partition.entry("g2", amount=amount // abs(amount))) == ["score_overflow"]
    assert partition.dump() == before


def test_a_namespace_takes_a_thousand_categories(partition: Any) -> None:
    entries = [partition.entry(f"g{i}", category=f"c{i}") for i in range(1001)]
    assert set(partition.codes(*entries[:500])) == {"applied"}
    assert set(partition.codes(*entries[500:1000])) == {"applied"}
    assert partition.codes(entries[1000], partition.entry("known", category="c3")) == ["too_many_categories", "applied"]


def test_atomic_is_all_or_none(partition: Any) -> None:
    partition.call(partition.entry("g1", amount=5))
    before = partition.dump()
    bundle = [partition.entry("g2"), partition.entry("g1", amount=6), partition.entry("g3")]
    assert partition.codes(*bundle, atomic=True) == ["unapplied", "grant_conflict", "unapplied"]
    assert partition.dump() == before
    assert partition.codes(bundle[0], bundle[2], atomic=True) == ["applied", "applied"]


def test_a_resend_gets_the_answer_of_its_first_sending(partition: Any) -> None:
    partition.call(partition.entry("g0", amount=1))
    bundle = [partition.entry("g0", amount=1), partition.entry("g1", amount=5), partition.entry("g2", amount=7)]
    first = partition.call(*bundle)
    again = partition.call(*bundle, resend_after=1)
    assert [o.code for o in first] == ["duplicate", "applied", "applied"]
    assert [(o.code, o.seq, o.score, o.previous) for o in again[1:]] == [
        (o.code, o.seq, o.score, o.previous) for o in first[1:]
    ]
    assert again[0].code == "duplicate"


@pytest.mark.parametrize(
    ("head", "code"),
    [
        (PartitionHead(2, "1", 0, (0, 0, b"")), "stale_epoch"),
        (PartitionHead(1, "2,1", 0, (0, 0, b"")), "stale_generations"),
        (PartitionHead(1, "1", 0, (1, 5, b"")), "lost_tail"),
        (PartitionHead(1, "1", 0, (2, 1, b"")), "lost_tail"),
        (PartitionHead(1, "1", 0, (1, 1, b"another entry....")), "lost_tail"),
    ],
)
def test_a_caller_that_knows_otherwise_is_refused_whole(partition: Any, head: PartitionHead, code: str) -> None:
    partition.call(partition.entry("g1"))
    before = partition.dump()
    partition.head = head
    with pytest.raises(CallRefused) as refusal:
        partition.call(partition.entry("g2"))
    assert refusal.value.code == code
    assert partition.dump() == before


def test_a_trimmed_tail_is_covered_by_flushed_and_a_lost_one_is_not(partition: Any) -> None:
    entry = partition.entry("g1")
    partition.call(entry)
    partition.store.xtrim(keys.log(P), maxlen=0, approximate=False)
    partition.head = PartitionHead(1, "1", 0, (1, 1, entry.content))
    with pytest.raises(CallRefused, match="neither in the log nor flushed"):
        partition.call(partition.entry("g2"))
    partition.store.hset(keys.meta(P), "flushed", "1-1")
    assert partition.codes(partition.entry("g2")) == ["applied"]


def test_an_emptied_redis_is_refused(partition: Any) -> None:
    partition.store.flushall()
    with pytest.raises(CallRefused) as refusal:
        partition.call(partition.entry("g1"))
    assert refusal.value.code == "unopened"
    assert partition.dump() == {}


KEYS_TO_SPOIL = [
    (keys.board(P, 7, "all"), "zset"),
    (keys.board(P, 7, "2023-11-14"), "zset"),
    (keys.balances(P, 7) + "victim", "hash"),
    (keys.namespace(P, 7), "hash"),
    (keys.rules(P), "hash"),
    (keys.dedup(P, 1), "hash"),
    (keys.log(P), "stream"),
    (keys.meta(P), "hash"),
]


@pytest.mark.parametrize(("key", "kind"), KEYS_TO_SPOIL)
@pytest.mark.parametrize("place", [0, 1, 2])
def test_a_planted_wrong_type_makes_no_half_write(partition: Any, key: str, kind: str, place: int) -> None:
    partition.call(partition.entry("before"))
    partition.store.delete(key)
    partition.store.set(key, "not what it should be")
    before = partition.dump()
    bundle = [partition.entry(f"g{i}", user="victim" if i == place else f"u{i}") for i in range(3)]
    if key in (keys.rules(P), keys.dedup(P, 1), keys.log(P), keys.meta(P)):
        with pytest.raises(CallRefused, match="damaged in Redis"):
            partition.call(*bundle)
        assert partition.dump() == before
        return
    codes = partition.codes(*bundle)
    if "victim" in key:
        assert codes == ["corrupt" if i == place else "applied" for i in range(3)]
        assert partition.store.get(key) == b"not what it should be"
        assert partition.store.zscore(keys.board(P, 7, "all"), "victim") is None
    else:
        assert codes == ["corrupt"] * 3
        assert partition.dump() == before


@pytest.mark.parametrize("planted", [1.5, float("inf"), 1e300])
def test_a_planted_score_that_is_no_exact_integer_is_met_before_the_first_write(partition: Any, planted: float) -> None:
    partition.store.zadd(keys.board(P, 7, "all"), {"otter": planted})
    before = partition.dump()
    assert partition.codes(partition.entry("g1"), partition.entry("g2", user="heron")) == ["corrupt", "corrupt"]
    assert partition.dump() == before


@pytest.mark.parametrize("field", ["total", "count", "last", "c:red"])
def test_a_planted_balance_that_is_no_integer_is_met_before_the_first_write(partition: Any, field: str) -> None:
    partition.store.hset(keys.balances(P, 7) + "otter", field, "abc")
    before = partition.dump()
    assert partition.codes(partition.entry("g1", category="red")) == ["corrupt"]
    assert partition.dump() == before


def test_a_log_that_is_ahead_of_its_head_refuses_the_first_write(partition: Any) -> None:
    partition.store.xadd(keys.log(P), {"d": "x", "e": "y", "r": "z"}, id="1-9")
    before = partition.dump()
    with pytest.raises(CallRefused) as refusal:
        partition.call(partition.entry("g1"))
    assert refusal.value.code == "unwritable"
    assert partition.dump() == before


def test_a_log_that_the_ledger_cannot_follow_takes_no_more_until_it_does(partition: Any) -> None:
    assert partition.codes(*(partition.entry(f"g{i}") for i in range(3)), log_entries=2) == [
        "applied",
        "applied",
        "log_full",
    ]
    assert partition.codes(partition.entry("g1"), partition.entry("g3"), log_entries=2) == ["duplicate", "log_full"]
    known = partition.entry("known")
    known.verdict = "duplicate 1-1"  # the ledger's word: a retry that counted is told so, full or not
    assert partition.codes(known, log_entries=2) == ["duplicate"]
    assert partition.store.xlen(keys.log(P)) == 2
    partition.store.hset(keys.meta(P), "flushed", "1-1")
    assert partition.codes(partition.entry("g2"), partition.entry("g3"), log_entries=2) == ["applied", "log_full"]


def test_a_full_log_takes_nothing_into_quarantine_either(partition: Any) -> None:
    partition.space = Namespace(7, "race", P, 1, Rules(amount_max=9, suspicious="quarantine"))
    grants = [partition.entry(f"g{i}", amount=10) for i in range(4)]
    codes = partition.codes(*grants[:3], partition.entry("h"), log_entries=2)
    assert codes == ["quarantined", "quarantined", "log_full", "log_full"]
    assert partition.codes(*grants[1:], log_entries=2) == ["duplicate", "log_full", "log_full"]
    # A seal and what takes a duplicate back come from who empties the log: without a bound of their own.
    assert partition.codes(grants[2]) == ["quarantined"]
    assert partition.store.xlen(keys.log(P)) == 3
