"""Users off the boards in the script: where their scores are, and which entries are applied."""

from typing import Any

import pytest

from app.model.entry import PlannedEntry
from app.model.entry_kinds import HEAL
from app.model.namespace import Namespace, Rules
from app.model.visibility import ERASE, HIDE, UNHIDE, VisibilityIntent, visibility_entries
from app.store import fields, keys
from app.store.apply import CallRefused
from app.store.visibility import CLEAR_USER_STATE, SET_USER_STATE, clear_state_call, state_call
from tests.support.ops_text import cell_ops

P = 3
NOW = 1_700_000_000_000_000
WINDOWS = ("all", "2023-11", "2023-W46", "2023-11-14")


class Hand:
    """Whoever carries wishes out, on one partition."""

    def __init__(self, partition: Any) -> None:
        self.partition = partition
        self.version = 0

    def rules(self, **rules: Any) -> None:
        self.partition.space = Namespace(7, "race", P, 1, Rules(**rules))

    def desired_state(self, desired_state: str, user: str = "otter", ns: int = 0) -> VisibilityIntent:
        self.version += 1
        intent = VisibilityIntent(1, user, self.version, desired_state, None, ns)
        self.run(state_call(P, intent))
        return intent

    def run(self, call: Any) -> Any:
        script = {one.sha: one for one in (SET_USER_STATE, CLEAR_USER_STATE)}[call[1]]
        count = call[2]
        return self.partition.eval(script, list(call[3 : 3 + count]), list(call[3 + count :]))

    def entries(self, intent: VisibilityIntent, boards: tuple[str, ...] = WINDOWS) -> list[PlannedEntry]:
        return list(visibility_entries(self.partition.space, intent, boards))

    def do(self, desired_state: str, user: str = "otter", boards: tuple[str, ...] = WINDOWS, ns: int = 0) -> Any:
        return self.partition.call(*self.entries(self.desired_state(desired_state, user, ns), boards))

    def board(self, window: str = "all") -> list[tuple[bytes, float]]:
        members: list[tuple[bytes, float]] = self.partition.store.zrevrange(
            keys.board(P, 7, window), 0, -1, withscores=True
        )
        return members

    def hidden_score(self, window: str = "all", user: str = "otter") -> bytes | None:
        score: bytes | None = self.partition.store.hget(keys.balances(P, 7) + user, f"h:{window}")
        return score

    def scores(self, window: str = "all") -> list[bytes]:
        scores_there: list[bytes] = self.partition.store.zrange(keys.distinct_scores(P, 7, window), 0, -1)
        return scores_there


@pytest.fixture
def hand(partition: Any) -> Hand:
    return Hand(partition)


def test_who_is_hidden_keeps_score_and_place_in_line(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1", amount=5, category="red"), partition.entry("g2", user="hare", amount=3))
    before = {key: value for key, value in partition.dump().items() if b":b:" in key}
    balances = partition.store.hgetall(keys.balances(P, 7) + "otter")
    outcomes = hand.do(HIDE)
    assert [(o.code, o.score, o.previous) for o in outcomes] == [("applied", 5, 5), ("applied", 5, 5)]
    for window in WINDOWS:
        assert hand.board(window) == [(b"hare", 3)]
        assert hand.hidden_score(window) == b"5"
        assert int(partition.store.hget(keys.namespace(P, 7), f"v:{window}")) == 4
    values = partition.store.hgetall(keys.balances(P, 7) + "otter")
    hidden_scores = {b"h:" + window.encode(): b"5" for window in WINDOWS}
    assert values == balances | {b"seq": b"4", b"corrected": b"4"} | hidden_scores
    assert [o.code for o in hand.do(UNHIDE)] == ["applied", "applied"]
    assert {key: value for key, value in partition.dump().items() if b":b:" in key} == before
    assert partition.store.hgetall(keys.balances(P, 7) + "otter") == balances | {b"seq": b"6", b"corrected": b"6"}


@pytest.mark.parametrize("order", ["desc", "asc"])
def test_a_grant_finds_the_score_wherever_it_stands(partition: Any, hand: Hand, order: str) -> None:
    hand.rules(order=order)
    sign = 1 if order == "desc" else -1
    partition.call(partition.entry("g1", amount=5))
    hand.desired_state(HIDE)
    (outcome,) = partition.call(partition.entry("g2", amount=2))
    assert (outcome.code, outcome.score, outcome.previous) == ("applied", 7, 5)
    assert (hand.board(), hand.hidden_score()) == ([], b"7"), "the board was not moved yet"
    hand.desired_state(UNHIDE)
    (outcome,) = partition.call(partition.entry("g3", amount=1))
    assert (outcome.score, outcome.previous) == (8, 7)
    assert (hand.board(), hand.hidden_score()) == ([(b"otter", sign * 8)], None)


def test_who_was_hidden_before_their_first_grant_is_on_no_board(partition: Any, hand: Hand) -> None:
    hand.desired_state(HIDE)
    assert partition.codes(partition.entry("g1"), partition.entry("g2", user="hare")) == ["applied", "applied"]
    assert (hand.board(), hand.hidden_score()) == ([(b"hare", 5)], b"5")


def test_among_equals_the_earlier_comes_back_as_the_earlier(partition: Any, hand: Hand) -> None:
    hand.rules(tie_break="earliest")
    partition.call(*(partition.entry(f"g{i}", user=user) for i, user in enumerate(("ann", "bob", "cleo"))))
    before = hand.board()
    for user in ("ann", "bob"):
        hand.do(HIDE, user)
    assert [member[16:] for member, _ in hand.board()] == [b"cleo"]
    hand.do(UNHIDE, "bob")
    assert [member[16:] for member, _ in hand.board()] == [b"bob", b"cleo"]
    hand.do(UNHIDE, "ann")
    assert hand.board() == before
    hand.do(HIDE, "ann")
    partition.call(partition.entry("down", user="ann", amount=-1))
    partition.call(partition.entry("up", user="ann", amount=1))
    hand.do(UNHIDE, "ann")
    assert [member[16:] for member, _ in hand.board()] == [b"bob", b"cleo", b"ann"], "while hidden the score changed"


def test_dense_ranks_count_the_scores_that_are_seen(partition: Any, hand: Hand) -> None:
    hand.rules(ranking="dense", tie_break="earliest")
    amounts = {"ann": 9, "bob": 7, "cleo": 7}
    partition.call(*(partition.entry(f"g-{user}", user=user, amount=amount) for user, amount in amounts.items()))
    assert hand.scores() == [b"7", b"9"]
    hand.do(HIDE, "bob")
    assert hand.scores() == [b"7", b"9"], "cleo has it too"
    hand.do(HIDE, "ann")
    assert hand.scores() == [b"7"]
    partition.call(partition.entry("more", user="ann", amount=4))
    assert hand.scores() == [b"7"]
    hand.do(UNHIDE, "ann")
    assert hand.scores() == [b"7", b"13"]
    hand.do(HIDE, "cleo")
    assert hand.scores() == [b"13"]


def test_an_entry_is_taken_only_under_the_veil_it_was_made_for(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1"))
    old = hand.desired_state(HIDE)
    late = hand.entries(old)
    hand.do(UNHIDE)
    before = partition.dump()
    assert partition.codes(*late) == ["stale_visibility", "stale_visibility"]
    assert hand.run(state_call(P, old)) == 0
    assert partition.dump() == before, "an earlier state that comes late takes no later one's place"
    hand.run(clear_state_call(P, old))
    assert partition.dump() == before
    hand.run(clear_state_call(P, old._replace(version=2)))
    assert not partition.store.exists(keys.hidden(P))
    assert not partition.store.hexists(keys.meta(P), fields.HAS_HIDDEN)
    assert partition.codes(*late) == ["stale_visibility", "stale_visibility"]
    assert hand.run(state_call(P, old)) == -1, "a server that slept must not bring an erased name back"
    assert not partition.store.exists(keys.hidden(P))
    assert hand.run(state_call(P, old, sure=True)) == 1
    assert hand.run(state_call(P, old._replace(name="hare", version=3))) == 1


def test_the_same_wish_counts_once_and_moves_what_is_found_later(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1"))
    intent = hand.desired_state(HIDE)
    assert partition.codes(*hand.entries(intent)) == ["applied", "applied"]
    assert partition.codes(*hand.entries(intent)) == ["duplicate", "duplicate"]
    assert partition.codes(*hand.entries(intent, (*WINDOWS, "2024-01"))) == ["duplicate", "applied"]


def test_a_board_without_the_user_keeps_its_version(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1"))
    hand.do(HIDE, boards=(*WINDOWS, "2030-01"))
    assert partition.store.hget(keys.namespace(P, 7), "v:2030-01") is None


def test_who_is_being_erased_leaves_everything_and_gets_nothing(partition: Any, hand: Hand) -> None:
    hand.rules(tie_break="earliest", ranking="dense")
    partition.call(partition.entry("g1"), partition.entry("g2", user="hare", amount=3))
    hand.do(HIDE, boards=("all",))
    intent = hand.desired_state(ERASE)
    assert partition.codes(partition.entry("g3"), partition.entry("g1"), partition.entry("g4", user="hare")) == [
        "user_erasing",
        "duplicate",
        "applied",
    ]
    outcomes = partition.call(*hand.entries(intent))
    assert [(o.code, o.score, o.previous) for o in outcomes] == [("applied", 5, 5)] * 2, "the ledger's sums stay"
    for window in WINDOWS:
        assert [member[16:] for member, _ in hand.board(window)] == [b"hare"]
        assert hand.scores(window) == [b"8"]
        assert partition.store.hkeys(keys.tie_prefixes(P, 7, window)) == [b"hare"]
    assert not any(hand.hidden_score(window) for window in WINDOWS)


def test_of_one_who_is_being_erased_nothing_is_put_in_quarantine(partition: Any, hand: Hand) -> None:
    suspicious = partition.entry("g1")
    suspicious.verdict = "quarantined"
    intent = hand.desired_state(ERASE)
    assert partition.codes(suspicious) == ["user_erasing"]
    hand.run(clear_state_call(P, intent))
    assert partition.codes(suspicious) == ["quarantined"]


@pytest.mark.parametrize("planted", ["type", "state", "score"])
def test_what_is_not_what_it_should_be_is_met_before_the_first_write(partition: Any, hand: Hand, planted: str) -> None:
    partition.call(partition.entry("g1"))
    hand.desired_state(HIDE)
    if planted == "type":
        partition.store.delete(keys.hidden(P))
        partition.store.set(keys.hidden(P), "x")
    elif planted == "state":
        partition.store.hset(keys.hidden(P), "otter", "1 gone")
    else:
        partition.store.zrem(keys.board(P, 7, "2023-11"), "otter")
        partition.store.hset(keys.balances(P, 7) + "otter", "h:2023-11", "x")
    before = partition.dump()
    bundle = [partition.entry("g3"), partition.entry("g2", user="hare")]
    if planted == "score":
        assert partition.codes(bundle[0]) == ["corrupt"]
    else:
        with pytest.raises(CallRefused, match="damaged in Redis"):
            partition.call(*bundle)
    assert partition.dump() == before


def test_what_takes_a_duplicate_back_is_taken_of_a_user_who_is_being_erased(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1", amount=5))
    hand.desired_state(ERASE)
    back = partition.entry("heal", amount=-5)
    back.kind, back.ops = HEAL, cell_ops("w1+-5")
    (outcome,) = partition.call(back)
    assert (outcome.code, outcome.score, outcome.previous) == ("applied", 0, 5)
    assert (hand.board(), hand.hidden_score()) == ([], None)


def test_a_head_that_was_lost_is_not_begun_by_a_state(partition: Any, hand: Hand) -> None:
    partition.store.delete(keys.meta(P))
    hand.desired_state(HIDE)
    assert not partition.store.exists(keys.meta(P))


@pytest.mark.parametrize("levels", [(0, 7), (7, 0)])
def test_of_two_veils_the_one_that_hides_more_holds(partition: Any, hand: Hand, levels: tuple[int, int]) -> None:
    first, second = levels
    partition.call(partition.entry("g1", amount=5))
    hand.do(HIDE, ns=first)
    hand.do(HIDE, ns=second)
    assert (hand.board(), hand.hidden_score()) == ([], b"5")
    outcomes = hand.do(UNHIDE, ns=first)
    assert [o.code for o in outcomes] == ["applied", "applied"]
    assert (hand.board(), hand.hidden_score()) == ([], b"5"), "the other one hides still"
    partition.call(partition.entry("g2", amount=2))
    assert (hand.board(), hand.hidden_score()) == ([], b"7")
    hand.do(UNHIDE, ns=second)
    assert (hand.board(), hand.hidden_score()) == ([(b"otter", 7)], None)


def test_a_veil_of_a_namespace_is_of_that_one_alone(partition: Any, hand: Hand) -> None:
    hand.desired_state(HIDE, ns=7)
    other = Namespace(8, "other", P, 1, Rules())
    partition.store.hset(keys.rules(P), "8", "1")
    here = partition.entry("g1")
    partition.space = other
    assert partition.codes(here, partition.entry("g1")) == ["applied", "applied"]
    assert (hand.board(), hand.hidden_score()) == ([], b"5")
    assert partition.store.zscore(keys.board(P, 8, "all"), "otter") == 5
    assert not partition.store.hexists(keys.meta(P), fields.HAS_HIDDEN), "nobody is hidden in the deployment"


def test_a_namespace_in_which_nobody_is_hidden_is_marked_so(partition: Any, hand: Hand) -> None:
    hidden, mark = keys.hidden_in(P, 7), (keys.namespace(P, 7), fields.HIDDEN_MARK)
    intent = hand.desired_state(HIDE, ns=7)
    assert (partition.store.hgetall(hidden), partition.store.hget(*mark)) == ({b"otter": b"1 hidden"}, b"1")
    hand.run(clear_state_call(P, intent))
    assert not partition.store.exists(hidden)
    assert not partition.store.hexists(*mark)
    assert hand.run(state_call(P, intent)) == -1, "a server that slept must not bring an erased name back"
    assert partition.store.hget(keys.meta(P), fields.CLEARED_VERSION) == b"1"


def test_of_one_who_is_being_erased_no_other_veil_counts(partition: Any, hand: Hand) -> None:
    partition.call(partition.entry("g1"))
    late = hand.entries(hand.desired_state(HIDE, ns=7))
    erase = hand.desired_state(ERASE)
    assert partition.codes(*late) == ["stale_visibility", "stale_visibility"], (
        "it would name the user behind the last entry"
    )
    assert partition.codes(*hand.entries(erase)) == ["applied", "applied"]
    assert partition.codes(partition.entry("g2")) == ["user_erasing"]
    assert (hand.board(), hand.hidden_score()) == ([], None)


def test_a_namespace_whose_head_was_lost_is_not_marked(partition: Any, hand: Hand) -> None:
    partition.store.delete(keys.meta(P))
    hand.desired_state(HIDE, ns=7)
    assert not partition.store.exists(keys.namespace(P, 7))
