"""What is left of a grant that counted twice once that is taken back: nothing, by every kind of rules."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import psycopg
import pytest

from app.store import keys
from tests.support.correction_driver import Space
from tests.support.redis_scores import scores_in_redis
from tests.support.sealed_namespace import DAY
from tests.support.sealed_namespace import Space as Sealed
from tests.support.waits import until

RULES: list[dict[str, Any]] = [
    {},
    {"tie_break": "earliest", "ranking": "dense", "category_boards": True, "streaks": True, "bounded_sums": True},
    {"order": "asc", "tie_break": "earliest", "bounded_sums": True, "statistics": False},
    {"aggregation": "best", "tie_break": "earliest", "category_boards": True, "streaks": True},
    {"aggregation": "best", "order": "asc", "ranking": "dense", "bounded_sums": True},
    {"aggregation": "latest", "tie_break": "earliest", "streaks": True, "bounded_sums": True},
    {"aggregation": "latest", "order": "asc", "ranking": "dense", "category_boards": True},
    {"tie_break": "granted_at", "ranking": "ordinal", "category_boards": True, "bounded_sums": True},
    {"aggregation": "best", "tie_break": "granted_at", "order": "asc"},
    {"aggregation": "latest", "tie_break": "granted_at", "ranking": "dense"},
]
LATER, EARLY = "2024-05-02T10:00:00Z", "2024-05-01T10:00:00Z"


class Healing:
    """A deployment of its own whose Redis forgets which grants it has seen."""

    def __init__(self, stack: Any, api: httpx.Client, direct: Any) -> None:
        self.stack, self.api, self.direct = stack, api, direct

    def forget(self) -> None:
        self.stack.wait_flushed()
        assert self.direct.delete(*(keys.dedup(p, 1) for p in range(16))) > 0

    def wait_healed(self, duplicates: int) -> None:
        def done() -> bool:
            with psycopg.connect(self.stack.postgres.url) as db:
                row = db.execute("SELECT count(*), count(healed_seq) FROM dead_letters").fetchone()
                return row == (duplicates, duplicates)

        self.stack.wait_flushed()
        until(done, "duplicates are not taken back", 60)
        self.stack.wait_flushed()

    def verify(self) -> None:
        done = self.stack.run("verify", "--quiet")
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.fixture
def healing(own_stack: Any) -> Iterator[Healing]:
    with own_stack.client() as api, own_stack.store() as direct:
        yield Healing(own_stack, api, direct)


@pytest.mark.timeout(180)
def test_a_voided_only_grant_that_counted_again_leaves_nothing(healing: Healing) -> None:
    spaces = [Space(healing.api, **rules) for rules in RULES]
    grant: dict[str, Any] = {"amount": 5, "category": "red", "source": "race", "granted_at": LATER}
    for space in spaces:
        space.grant("other", 3, user="bob", category="red", granted_at=EARLY)
        space.grant("only", **grant)
        assert space.void("only").status_code == 200
    healing.forget()
    before = scores_in_redis(healing.direct)
    assert len(before) > 40
    for space in spaces:
        assert space.grant("only", **grant)["status"] == "applied"
    healing.wait_healed(len(spaces))
    for space in spaces:
        assert space.board() == {"bob": 3}
    assert scores_in_redis(healing.direct) == before
    healing.verify()


@pytest.mark.timeout(180)
def test_the_last_grant_is_again_the_last_that_counts(healing: Healing) -> None:
    spaces = [Space(healing.api, **rules) for rules in RULES]
    for space in spaces:
        space.grant("kept", 3, granted_at=EARLY)
        space.grant("moved", 5, granted_at=LATER)
        assert space.edit("moved", granted_at="2024-04-01T00:00:00Z", amount=4).status_code == 200
    healing.forget()
    before = scores_in_redis(healing.direct)
    for space in spaces:
        assert space.grant("moved", 5, granted_at=LATER)["status"] == "applied"
        assert space.user()["last_granted_at"] == LATER
    healing.wait_healed(len(spaces))
    for space in spaces:
        assert space.user()["last_granted_at"] == EARLY
    # Since when a score stands is told by the entry that brought it back.
    boards = {
        key: value for key, value in scores_in_redis(healing.direct).items() if b":b:" not in key and b":bp:" not in key
    }
    assert boards == {key: value for key, value in before.items() if key in boards}
    healing.verify()


@pytest.mark.timeout(120)
def test_what_went_into_quarantine_twice_is_taken_back_without_a_trace(healing: Healing) -> None:
    space = Space(healing.api, suspicious="quarantine", amount_max=10)
    space.grant("odd", 50)
    space.grant("fine", 5)
    healing.forget()
    before = scores_in_redis(healing.direct)
    assert space.grant("odd", 50)["status"] == "quarantined"
    healing.wait_healed(1)
    assert (space.board(), space.user()["grants"]) == ({"otter": 5}, 1)
    assert scores_in_redis(healing.direct) == before
    healing.verify()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("rules", [*RULES[1:6:2], *RULES[-3:]])
def test_a_window_that_is_sealed_before_its_duplicate_is_healed_agrees(healing: Healing, rules: dict[str, Any]) -> None:
    space = Sealed(healing.stack, healing.api, "n", **rules)
    for user, amount in (("ann", 5), ("bob", 3)):
        assert space.grant(user, amount, category="red").status_code == 201
    assert healing.api.delete(f"{space.url}/grants/g1").status_code == 200
    healing.forget()
    healing.stack.stop("persist")
    space.count = 0
    assert space.grant("ann", 5, category="red").json()["status"] == "applied"
    space.put(accept_past="P7D")
    healing.stack.start("persist")
    until(lambda: DAY in space.archived(), "the sealed window does not come to agree")
    assert (space.scores(DAY), space.scores("all")) == ({"bob": 3}, {"bob": 3})
    healing.stack.wait_flushed()  # the boards agreed by the heal, whose row may still be on its way
    ((sealed, healed),) = space.sql(
        "SELECT s.seq, l.seq FROM seals s, ledger l WHERE s.\"window\" = %s AND l.kind = 'heal'", DAY
    )
    assert sealed < healed
    healing.verify()


class Mixed:
    """Random grants and corrections of a few users in a namespace, at few moments and amounts, so that many tie. One of
    the users is hidden."""

    def __init__(self, api: httpx.Client, rng: random.Random, rules: dict[str, Any]) -> None:
        self.space, self.rng = Space(api, accept_future=None, **rules), rng
        self.bodies: list[dict[str, Any]] = []

    def moment(self) -> str:
        return (datetime.fromisoformat(EARLY) + timedelta(hours=8 * self.rng.randrange(6))).isoformat()

    def grant(self) -> None:
        body: dict[str, Any] = {"grant_id": f"g{len(self.bodies)}", "amount": self.rng.randrange(-2, 6)}
        body |= {"user": f"u{self.rng.randrange(3)}", "granted_at": self.moment()}
        body |= {name: self.rng.choice(("red", "blue", None)) for name in ("category", "source")}
        body |= {"opening": True} if self.rng.random() < 0.2 else {}
        self.bodies.append(body)
        assert self.space.grant(**body)["status"] == "applied"

    def correct(self) -> None:
        grant_id = self.rng.choice(self.bodies)["grant_id"]
        verb = self.rng.choice(("void", "void", "restore", "amount", "granted_at", "category"))
        changes: dict[str, Any] = {"amount": self.rng.randrange(-2, 6), "granted_at": self.moment(), "category": "blue"}
        if verb in changes:
            answer = self.space.edit(grant_id, **{verb: changes[verb]})
        else:
            answer = self.space.void(grant_id) if verb == "void" else self.space.restore(grant_id)
        assert answer.status_code == 200, answer.text

    def repeat(self) -> int:
        """Retries that count twice; how many. Some come again before they are taken back."""
        answers = [self.space.grant(**body)["status"] for body in self.rng.sample(self.bodies, 3)]
        return answers.count("applied")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", range(2))
def test_nothing_differs_after_heals_of_any_kind(healing: Healing, seed: int) -> None:
    rng = random.Random(f"heals {seed}")
    mixes = [Mixed(healing.api, rng, rules) for rules in RULES]
    duplicates = 0
    assert healing.api.post("/v1/users/u1/hide").status_code == 200
    for _ in range(3):
        for mixed in mixes:
            for _ in range(6):
                mixed.grant()
            for _ in range(3):
                mixed.correct()
        for _ in range(2):
            healing.forget()
            for mixed in mixes:
                duplicates += mixed.repeat()
                mixed.correct()
                mixed.grant()
    assert duplicates > 100
    healing.wait_healed(duplicates)
    healing.verify()
