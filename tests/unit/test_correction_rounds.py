"""What a round of corrections reads and waits for: no more than its plan depends on."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from app.model.cell_ops import CellPlan
from app.model.correction import CorrectionRequest
from app.model.errors import GrantNotFound, StoreUnavailable
from app.model.namespace import Namespace, Rules
from app.model.ops import SetCell
from app.write import corrections
from app.write.ledger_wait import WAIT_S_MAX
from tests.support.corrector_bench import Bench
from tests.support.grant_history import edit, grant, void
from tests.support.virtual_time import VirtualTime

A, B, C = grant("a", 5, 10), grant("b", 9, 20), grant("c", 2, 30)
BEST = Namespace(3, "race", 0, 1, Rules(aggregation="best"))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    bench = Bench(VirtualTime(monkeypatch))
    bench.hold(A, B, C)
    return bench


def let_the_user_change(bench: Bench) -> None:
    """The user has just got a correction that the ledger does not hold, and never will."""
    bench.redis.changes["otter"] = 99, 99


def test_the_problem_of_one_correction_is_raised(bench: Bench) -> None:
    with pytest.raises(GrantNotFound, match="no grant 'nothing' in 'race'"):
        bench.correct_one(void("nothing"))


IN_PLACE: list[tuple[str, list[CorrectionRequest], bool]] = [
    ("a sum in place", [edit("a", amount=8)], False),
    ("sums of two grants in place", [edit("a", amount=8), edit("b", amount=8)], False),
    ("a void", [void("a")], True),
    ("one grant twice", [edit("a", amount=8), edit("a", amount=7)], True),
]


@pytest.mark.parametrize(("asks", "is_joint"), [pytest.param(*row[1:], id=row[0]) for row in IN_PLACE])
def test_only_a_joint_plan_waits_for_the_users_changes(
    bench: Bench, asks: list[CorrectionRequest], is_joint: bool
) -> None:
    let_the_user_change(bench)
    answer = bench.correct(*asks)
    assert (answer[0] == "store_unavailable", bench.time.passed_s >= WAIT_S_MAX) == (is_joint, is_joint)


@pytest.mark.parametrize(("asks", "is_joint"), [pytest.param(*row[1:], id=row[0]) for row in IN_PLACE])
def test_only_the_entries_of_a_joint_plan_stand_on_each_other(
    bench: Bench, asks: list[CorrectionRequest], is_joint: bool
) -> None:
    assert all(one.startswith("applied") for one in bench.correct(*asks))
    assert bench.committer.together == [is_joint]


@pytest.mark.parametrize(("asks", "reads"), [([void("a")], 0), ([void("a"), void("b")], 1)], ids=["one", "two"])
def test_grants_that_are_others_to_each_other_are_read_as_of_one_moment(
    bench: Bench, asks: list[CorrectionRequest], reads: int
) -> None:
    """They are read once more beside the user's other grants; a single one is not."""
    moments: list[str] = []
    get_grants, others = bench.ledger.get_grants, bench.ledger.others

    async def read_grants(*args: Any) -> Any:
        moments.append("grants")
        return await get_grants(*args)

    async def read_others(*args: Any) -> Any:
        moments.append("others")
        return await others(*args)

    bench.ledger.get_grants, bench.ledger.others = read_grants, read_others  # type: ignore[method-assign, assignment]
    assert bench.correct(*asks) == ["applied 2"] * len(asks)
    known, planned = 2, reads  # Whose grants they are, and that the ledger has them as Redis does; then the plan's.
    assert moments == ["grants"] * (known + planned) + ["others"]


class Projection:
    """Notes the plan that it is to project."""

    def __init__(self) -> None:
        self.plans: list[CellPlan] = []

    async def of(self, namespace: Namespace, user: str, plan: CellPlan, *, ranks: bool) -> list[Any]:
        self.plans.append(plan)
        return []


def preview(bench: Bench, ask: CorrectionRequest) -> CellPlan:
    """The plan of a dry run."""
    projection: Any = Projection()
    bench.corrector._projection = projection
    bench.time.run(bench.corrector.preview(bench.namespace, ask))
    (plan,) = projection.plans
    assert isinstance(plan, CellPlan)
    return plan


def test_a_dry_run_knows_the_users_other_grants(bench: Bench) -> None:
    bench.services.rules = BEST
    assert preview(bench, void("b")).ops.boards == (SetCell(1, 5),)
    assert bench.committer.calls == []


def test_a_dry_run_waits_for_the_users_changes_where_it_depends_on_them(bench: Bench) -> None:
    let_the_user_change(bench)
    preview(bench, edit("a", amount=8))
    assert bench.time.passed_s == 0
    bench.services.rules = BEST
    with pytest.raises(StoreUnavailable):
        preview(bench, edit("a", amount=8))
    assert bench.time.passed_s >= WAIT_S_MAX


def test_others_have_their_turns_while_many_entries_are_made() -> None:
    async def act() -> int:
        turns = 0

        async def take_turns() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        def entries() -> Iterator[Any]:
            yield from range(3 * corrections._YIELD_EVERY + 1)

        task = asyncio.create_task(take_turns())
        made = await corrections._made(entries())
        task.cancel()
        assert [*made] == [*entries()]
        return turns

    assert asyncio.run(act()) == 3
