"""Corrections planned by a ledger in memory and handed to a committer that answers as a test says."""

import asyncio
from collections.abc import Sequence

import msgspec
import pytest

from app.model.correction import CorrectionRequest, GrantState
from app.model.errors import GrantNotFound, RevisionConflict, StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.model.visibility import erased_name
from app.store.call_cost import portions
from app.write import corrections
from app.write.corrections import CHAIN_S_MAX
from app.write.ledger_wait import WAIT_S_MAX
from app.write.plan_attempts import LOCK_STALE_S
from tests.support.corrector_bench import Bench
from tests.support.fake_ledger import Answer
from tests.support.grant_history import edit, grant, moves_of, restore, void
from tests.support.virtual_time import VirtualTime

A, B, C = grant("a", 5, 10), grant("b", 9, 20), grant("c", 2, 30)


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(VirtualTime(monkeypatch))


def test_a_receipt_tells_what_the_script_did(bench: Bench) -> None:
    bench.hold(A, B)
    answer = bench.correct_one(edit("a", amount=8))
    assert msgspec.to_builtins(answer) == {
        "status": "applied",
        "grant_id": "a",
        "namespace": "race",
        "user_id": "otter",
        "score": 30,
        "previous_score": 3,
        "seq": 3,
        "epoch": 1,
        "ack": "fsync",
        "revision": 2,
    }


def test_what_is_done_already_tells_the_score_of_now(bench: Bench) -> None:
    bench.hold(A)
    answer = bench.correct_one(edit("a", amount=5))
    assert (answer.status, answer.score, answer.previous_score, answer.seq, answer.revision) == (
        "duplicate",
        14,
        14,
        None,
        1,
    )
    assert bench.committer.calls == []


EDITS = [edit("a", amount=8), edit("b", amount=8)]
OUTCOMES: list[tuple[str, list[CorrectionRequest], list[Answer], list[str], int]] = [
    ("it counts", [edit("a", amount=8)], ["applied"], ["applied 2"], 1),
    ("the user changed meanwhile", [void("a")], ["stale_user"], ["applied 2"], 2),
    ("another correction was faster", [void("a")], ["grant_conflict"], ["applied 2"], 2),
    ("its key was used meanwhile", [void("a", key="k")], ["key_used"], ["applied 2"], 2),
    ("the rules changed meanwhile", [edit("a", amount=8)], ["stale_rules"], ["applied 2"], 2),
    ("the script takes none of it", [edit("a", amount=8)], ["velocity"], ["velocity"], 1),
    ("Redis is away", [edit("a", amount=8)], [StoreUnavailable("away")], ["store_unavailable"], 1),
    (
        "each stands for itself",
        [edit("a", amount=8), edit("b", amount=8)],
        ["score_overflow"],
        ["score_overflow", "applied 2"],
        1,
    ),
    (
        "one of its own is planned again",
        [edit("a", amount=8), edit("b", amount=8)],
        ["stale_user"],
        ["applied 2"] * 2,
        2,
    ),
    ("a chain", [void("a"), restore("a"), void("b")], [], ["applied 2", "applied 3", "applied 2"], 1),
    ("a chain breaks at its first", [void("a"), void("b")], ["stale_user", "stale_user"], ["applied 2"] * 2, 2),
    ("a chain breaks further on", [void("a"), void("b")], ["applied", "stale_user"], ["applied 2"] * 2, 2),
    (
        "one of a chain is refused",
        [void("a"), void("b"), void("c")],
        ["applied", "score_overflow", "stale_user"],
        ["applied 2", "score_overflow", "applied 2"],
        2,
    ),
    (
        "the second of one grant is refused",
        [edit("a", amount=8), edit("a", amount=9)],
        ["applied", "score_overflow"],
        ["applied 2", "score_overflow"],
        1,
    ),
    ("a grant that is none", [edit("a", amount=8), void("nothing")], [], ["applied 2", "grant_not_found"], 1),
]


@pytest.mark.parametrize(
    ("asks", "answers", "statuses", "calls"), [pytest.param(*row[1:], id=row[0]) for row in OUTCOMES]
)
def test_an_outcome_is_answered_or_planned_again(
    bench: Bench, asks: list[CorrectionRequest], answers: list[Answer], statuses: list[str], calls: int
) -> None:
    bench.hold(A, B, C)
    bench.committer.answers = list(answers)
    assert bench.correct(*asks) == statuses
    assert len(bench.committer.calls) == calls


def test_who_was_erased_keeps_their_grants(bench: Bench) -> None:
    gone = grant("x", 1, 40, user=erased_name(1))
    bench.hold(A, gone)
    assert bench.correct(void("x"), edit("a", amount=8)) == ["user_erased", "applied 2"]


@pytest.mark.parametrize("code", ["stale_user", "stale_rules", "grant_conflict", "key_used"])
def test_what_is_stale_for_ever_ends_at_the_deadline(bench: Bench, code: str) -> None:
    bench.hold(A, B)
    bench.committer.answers = [code] * 1_000
    assert bench.correct(void("a")) == ["store_unavailable"]
    assert WAIT_S_MAX <= bench.time.passed_s <= 1.5 * WAIT_S_MAX
    assert len(bench.committer.calls) < 20


def test_a_chain_that_gets_on_slowly_ends_at_a_deadline_of_its_own(bench: Bench) -> None:
    """Each round brings one correction to an end, and each takes a second: some are done, and the rest is refused."""
    grants = [grant(f"g{i}", 1, i) for i in range(1, 31)]
    bench.hold(*grants)
    bench.committer.answers = [code for left in range(29, -1, -1) for code in ("applied", *["stale_user"] * left)]
    ledger_reads = bench.ledger.get_grants

    async def slow(namespace: Namespace, grant_ids: Sequence[str]) -> dict[str, GrantState]:
        await asyncio.sleep(0.5)
        return await ledger_reads(namespace, grant_ids)

    bench.ledger.get_grants = slow  # type: ignore[method-assign]
    answer = bench.correct(*(void(one.grant_id) for one in grants))
    done = answer.count("applied 2")
    assert answer == ["applied 2"] * done + ["store_unavailable"] * (30 - done)
    assert 5 < done < 30
    assert CHAIN_S_MAX <= bench.time.passed_s <= CHAIN_S_MAX + 3


def test_a_chain_that_gets_on_waits_anew(bench: Bench) -> None:
    bench.hold(A, B)
    stale = ["stale_user"] * 9
    bench.committer.answers = [*stale, *stale, "applied", "stale_user", *stale, "applied"]
    assert bench.correct(void("a"), void("b")) == ["applied 2", "applied 2"]
    assert bench.time.passed_s > WAIT_S_MAX


def test_what_counted_is_answered_although_the_rules_cannot_be_read_afterwards(bench: Bench) -> None:
    bench.hold(A)

    async def away(name: str) -> Namespace:
        raise StoreUnavailable("away")

    bench.services.namespace = away  # type: ignore[method-assign]
    assert bench.correct(edit("a", amount=8)) == ["applied 2"]


def test_a_grant_whose_last_revision_the_ledger_never_gets_is_not_taken_for_absent(bench: Bench) -> None:
    bench.hold(A)
    bench.redis.count(bench.namespace, "a", 2, 9)
    assert bench.correct(void("a")) == ["store_unavailable"]
    assert bench.committer.calls == []


def test_each_correction_fails_if_redis_lost_the_partition(bench: Bench) -> None:
    bench.hold(A)
    bench.redis.generations = None
    assert bench.correct(void("a"), void("new")) == ["recovering", "recovering"]


@pytest.mark.parametrize(("rounds", "released"), [(1, 0), (8, 1)])
def test_rules_that_stay_stale_are_freed_after_a_moment(bench: Bench, rounds: int, released: int) -> None:
    """A change of rules under way is only waited for; one that was broken off is ended."""
    bench.hold(A)
    bench.committer.answers = ["stale_rules"] * rounds
    assert bench.correct(edit("a", amount=8)) == ["applied 2"]
    assert bench.services.refreshed == rounds
    assert (bench.services.released > 0) is (released > 0)
    assert (bench.time.passed_s > LOCK_STALE_S) is (released > 0)


def test_a_correction_is_planned_again_by_the_rules_of_now(bench: Bench) -> None:
    bench.hold(A, B)
    bench.committer.answers = ["stale_rules"]

    def change() -> None:
        bench.services.rules = Namespace(3, "race", 0, 2, Rules(aggregation="best"))

    bench.committer.meanwhile = change
    assert bench.correct(void("b")) == ["applied 2"]
    assert [moves_of(call[0])["all"] for call in bench.committer.calls] == ["+-9", "=5"]


def test_a_plan_stands_on_what_the_user_has_at_that_moment(bench: Bench) -> None:
    """Planned again it takes in the grant that came meanwhile."""
    bench.services.rules = Namespace(3, "race", 0, 1, Rules(aggregation="best"))
    bench.hold(A, B)
    bench.committer.answers = ["stale_user"]
    bench.committer.meanwhile = lambda: bench.hold(grant("d", 7, 40)) if len(bench.committer.calls) == 1 else None
    assert bench.correct(void("b")) == ["applied 2"]
    assert [moves_of(call[0]) for call in bench.committer.calls] == [
        {"all": "=5", "last": "=10", "on": "u=2"},
        {"all": "=7", "last": "=40", "on": "u=3"},
    ]


@pytest.mark.parametrize(
    ("rules", "on"), [(Rules(), "g=2"), (Rules(aggregation="latest"), "u=2"), (Rules(tie_break="granted_at"), "u=2")]
)
def test_a_plan_is_a_loose_one_where_scores_are_sums(bench: Bench, rules: Rules, on: str) -> None:
    bench.services.rules = Namespace(3, "race", 0, 1, rules)
    bench.hold(A, B)
    assert bench.correct(void("a")) == ["applied 2"]
    (ops,) = bench.committer.ops
    assert ops[0].endswith(on)


def test_where_nothing_is_left_the_plan_is_strict(bench: Bench) -> None:
    bench.hold(A)
    assert bench.correct(void("a")) == ["applied 2"]
    assert bench.committer.ops == [["cw1xaxu=1"]]


def test_corrections_that_stand_on_each_other_go_call_by_call(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first of a call stands on the seq of the last one of the call before it."""
    grants = [grant(f"g{i}", 1, i) for i in range(1, 7)]
    bench.hold(*grants)
    monkeypatch.setattr(corrections, "portions", lambda entries: portions(entries, us_max=1))
    assert bench.correct(*(void(one.grant_id) for one in grants[:3])) == ["applied 2"] * 3
    assert [[moves_of(entry)["on"] for entry in call] for call in bench.committer.calls] == [["g=6"], ["g=7"], ["g=8"]]


def test_if_a_later_call_of_a_chain_fails_the_rest_gets_the_problem(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    grants = [grant(f"g{i}", 1, i) for i in range(1, 7)]
    bench.hold(*grants)
    monkeypatch.setattr(corrections, "portions", lambda entries: portions(entries, us_max=1))
    bench.committer.answers = ["applied", StoreUnavailable("away")]
    answer = bench.correct(*(void(one.grant_id) for one in grants[:3]))
    assert answer == ["applied 2", "store_unavailable", "store_unavailable"]


def test_users_go_their_own_ways(bench: Bench) -> None:
    bench.hold(A, grant("z", 3, 40, user="heron"))
    assert bench.correct(edit("a", amount=8), void("z"), edit("a", amount=9)) == ["applied 2", "applied 2", "applied 3"]
    users = sorted(tuple(entry.body.user for entry in call) for call in bench.committer.calls)
    assert users == [("heron",), ("otter", "otter")]


def test_a_grant_that_counted_just_now_is_waited_for(bench: Bench) -> None:
    bench.hold(A)
    bench.redis.count(bench.namespace, "new", 1, 2)
    bench.ledger.before_read = lambda reads: bench.hold(grant("new", 1, 50)) if reads == 6 else None
    assert bench.correct(edit("new", amount=8)) == ["applied 2"]


@pytest.mark.parametrize(("letters", "code"), [({}, "store_unavailable"), ({(1, 2): False}, "store_unavailable")])
def test_a_grant_that_the_ledger_never_gets_holds_up_no_other(
    bench: Bench, letters: dict[tuple[int, int], bool], code: str
) -> None:
    """A grant that could not be recorded fails at once, because waiting does not help."""
    bench.hold(A)
    bench.redis.count(bench.namespace, "lost", 1, 2)
    bench.ledger.dead = letters
    assert bench.correct(void("lost"), edit("a", amount=8)) == [code, "applied 2"]
    assert (bench.time.passed_s < WAIT_S_MAX) is bool(letters)


def test_a_dry_run_changes_nothing_and_tells_what_would(bench: Bench) -> None:
    bench.hold(A, B)
    with pytest.raises(GrantNotFound):
        bench.time.run(bench.corrector.preview(bench.namespace, void("nothing")))
    reply = bench.time.run(bench.corrector.preview(bench.namespace, edit("a", amount=5)))
    assert reply == {"status": "dry_run", "grant_id": "a", "revision": 1, "moves": []}
    with pytest.raises(RevisionConflict):
        bench.time.run(bench.corrector.preview(bench.namespace, edit("a", amount=6, revision=2)))
    assert bench.committer.calls == []
