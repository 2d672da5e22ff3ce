"""A duplicate on a sealed board that Redis still holds: its heal leaves what the ledger says as of the seal."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from app.model.entry import marker_entry
from app.model.entry_kinds import GRANT, KINDS
from app.model.entry_names import entry_id
from app.store import keys
from tests.integration.test_heal import Healing
from tests.support.sealed_namespace import DAY, Space
from tests.support.waits import until

RULES: list[dict[str, Any]] = [
    {},
    {"aggregation": "best", "order": "asc", "tie_break": "earliest", "category_boards": True},
    {"aggregation": "latest", "ranking": "dense"},
    {"tie_break": "granted_at", "category_boards": True, "bounded_sums": True},
]
#: Partitions by which a duplicate's mark is put aside: no persister looks there, so its heal waits.
ASIDE = 100
HOLD_HEALS = f"""
CREATE FUNCTION hold_heal() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN NEW.partition := NEW.partition + {ASIDE}; RETURN NEW; END $$;
CREATE TRIGGER hold_heal BEFORE INSERT ON dead_letters FOR EACH ROW EXECUTE FUNCTION hold_heal();
"""


@pytest.fixture
def healing(own_stack: Any) -> Iterator[Healing]:
    with own_stack.client() as api, own_stack.store() as direct:
        yield Healing(own_stack, api, direct)


class Sealed(Space):
    """A namespace whose day is sealed and stays in Redis, since a hand changed bob's score there."""

    def __init__(self, healing: Healing, number: int, **rules: Any) -> None:
        super().__init__(healing.stack, healing.api, f"n{number}", **rules)
        self.direct = healing.direct

    def send(self, grant_id: str, user: str, amount: int, query: str = "") -> None:
        self.count = int(grant_id.removeprefix("g")) - 1
        answer = self.grant(user, amount, category="red", query=query)
        assert (answer.status_code, answer.json()["status"]) == (201, "applied"), answer.text

    def void(self, grant_id: str) -> None:
        answer = self.api.delete(f"{self.url}/grants/{grant_id}")
        assert answer.status_code == 200, answer.text

    def forget(self, grant_id: str) -> None:
        """Redis forgets that it has seen one grant."""
        seen = entry_id(GRANT, self.id, grant_id, 1)
        assert sum(self.direct.hdel(keys.dedup(p, 1), seen) for p in range(16)) == 1

    def is_closed(self) -> bool:
        return bool(self.sql('SELECT 1 FROM seals WHERE namespace_id = %s AND "window" = %s', self.id, DAY))

    def add_by_hand(self, amount: int) -> None:
        """Changes bob's score on the day's board by a hand."""
        (key,) = (key for key in self.keys_of(self.direct, DAY) if b":b:" in key and key.endswith(DAY.encode()))
        (member,) = (name for name in self.direct.zrange(key, 0, -1) if name.endswith(b"bob"))
        self.direct.zincrby(key, amount, member)


def before_the_seal(space: Sealed) -> None:
    space.send("g1", "bob", 3)
    space.send("g2", "ann", 5)
    space.void("g2")
    space.send("g3", "carl", 4)
    space.send("g4", "carl", 6)
    space.void("g4")
    space.send("g5", "dora", 4)


@pytest.mark.timeout(180)
def test_what_came_behind_the_seal_is_no_part_of_a_heal(healing: Healing) -> None:
    spaces = [Sealed(healing, i, **rules) for i, rules in enumerate(RULES)]
    for space in spaces:
        before_the_seal(space)
    healing.forget()
    spaces[0].sql(HOLD_HEALS)
    for space in spaces:
        space.send("g2", "ann", 5)  # counts, though it is void
        space.send("g4", "carl", 6)
        space.add_by_hand(1)
        space.put(accept_past="P7D")
    until(lambda: all(space.is_closed() for space in spaces), "the day is not closed")
    for space in spaces:
        space.send("g6", "ann", 7, "?backfill=true")
        space.void("g3")
        space.send("g7", "dora", 2, "?backfill=true")
    healing.stack.wait_flushed()
    for space in spaces:
        space.forget("g7")
        space.send("g7", "dora", 2, "?backfill=true")  # a duplicate that the sealed board never counted
    healing.stack.wait_flushed()
    spaces[0].sql(f"DROP TRIGGER hold_heal ON dead_letters; UPDATE dead_letters SET partition = partition - {ASIDE}")
    healing.wait_healed(3 * len(spaces))
    for space in spaces:
        scores = space.scores()
        assert {user: scores.get(user) for user in ("ann", "carl", "dora")} == {"ann": None, "carl": 4, "dora": 4}
        assert DAY not in space.archived()
        space.add_by_hand(-1)
    until(lambda: all(DAY in space.archived() for space in spaces), "the sealed day does not come to agree", 60)
    best = {"ann": 7, "bob": 3, "dora": 2}
    for space, dora in zip(spaces, (6, 2, 2, 6), strict=True):
        space.wait_for(DAY, best | {"dora": dora})
    healing.verify()


@pytest.mark.timeout(120)
def test_a_seal_that_is_forgotten_does_not_come_again(healing: Healing) -> None:
    """What lies behind a seal has the persister close its window once more."""
    space = Sealed(healing, 0)
    before_the_seal(space)
    space.seal(DAY)
    scores = space.scores(DAY)
    healing.forget()
    space.send("g6", "ann", 7, "?backfill=true")
    space.wait_for(DAY, scores | {"ann": 7})
    seals = "SELECT count(*), count(DISTINCT grant_id) FROM ledger WHERE kind IN ('seal', 'duplicate')"
    for other in range(2):  # A seal of this one is submitted behind the look at the other one's windows.
        later = Sealed(healing, 10 + other)
        later.send("g1", "ann", 1)
        later.seal(DAY)
    healing.stack.wait_flushed()
    assert space.sql("SELECT count(*) FROM dead_letters") == [(0,)]
    ((all_of_them, distinct),) = space.sql(seals)
    assert all_of_them == 3 * distinct, "one of each window in each of three namespaces"
    assert space.scores(DAY) == scores | {"ann": 7}
    healing.verify()


@pytest.mark.timeout(120)
def test_duplicates_that_moved_nothing_are_closed(healing: Healing) -> None:
    """Else they would take the places of heals in each pass."""
    space = Sealed(healing, 0)
    before_the_seal(space)
    space.seal(DAY)
    assert healing.api.post("/v1/users/ann/hide").status_code == 200
    healing.stack.wait_flushed()
    rows = "SELECT partition, epoch, seq, kind, grant_id FROM ledger WHERE kind IN ('seal', 'hide')"
    settled_rows = space.sql(rows)
    assert {row[3] for row in settled_rows} == {"seal", "hide"}
    for p, epoch, seq, kind, grant_id in settled_rows:
        entry = msgspec.msgpack.encode(
            marker_entry(KINDS[kind], space.id, grant_id, 0, user="ann" if kind == "hide" else "")
        )
        add = "INSERT INTO dead_letters (partition, epoch, seq, namespace_id, reason, entry) "
        space.sql(add + "VALUES (%s, %s, %s, %s, 'duplicate', %s)", p, epoch, seq, space.id, entry)
    healing.wait_healed(len(settled_rows))
