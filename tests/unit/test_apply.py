"""How entries are put into calls."""

from msgspec import Raw

from app.model.entry import Entry
from app.model.grant import Grant, plan
from app.model.namespace import Namespace, Rules
from app.store.apply import ENTRIES_MAX, MOVES_MAX, moves_of, portions

NOW = 1_700_000_000_000_000


def entries(count: int, **rules: object) -> list[Entry]:
    space = Namespace(7, "race", 3, 1, Rules(**rules))  # type: ignore[arg-type]
    return [plan(Grant(f"g{i}", "otter", Raw(b"5"), category="red"), space, NOW) for i in range(count)]


def test_a_call_holds_so_many_entries_and_moves_so_many_scores() -> None:
    for rules, each in (({}, 512), ({"periods": ("all",)}, 512), ({"category_boards": True}, 256)):
        assert [len(part) for part in portions(entries(1030, **rules))][:2] == [each, each]
    both = entries(1030, category_boards=True, bounded_sums=True)
    assert [len(part) for part in portions(both)] == [128] * 8 + [6]
    assert [entry for part in portions(both) for entry in part] == both
    assert max(sum(map(moves_of, part)) for part in portions(both)) == MOVES_MAX
    assert ENTRIES_MAX == 512


def test_one_that_moves_more_goes_alone() -> None:
    (one, other) = entries(2)
    one.windows = tuple(f"season:{i}" for i in range(MOVES_MAX + 1))
    assert [len(part) for part in portions([other, one, other])] == [1, 1, 1]
    assert list(portions([])) == []
