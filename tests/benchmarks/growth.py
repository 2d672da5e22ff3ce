"""How the time of every question grows with the board: 10^4 to 10^7 users, over HTTP, one call after the other."""

import gc
import json
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from tests.benchmarks import crowds
from tests.benchmarks.crowds import Crowd
from tests.benchmarks.line import Line
from tests.benchmarks.load import post
from tests.benchmarks.plot import draw
from tests.benchmarks.questions import QUESTIONS, Question
from tests.conftest import KEY, Stack

SIZES = [10**n for n in range(4, 8)]
ROUNDS, CALLS = 15, 20  # so many calls of each question to each size
RATIO_MAX, P99_MS_MAX = 2.0, 100.0
PLOT = Path(__file__).parents[2] / "docs" / "growth.svg"
Times = Mapping[tuple[str, int], list[float]]


def check(stack: Stack) -> None:
    """A board written by hand is answered of as one that was granted the same."""
    by_hand, granted = Crowd("twin-a", 1_000), Crowd("twin-b", 1_000)
    for crowd in (by_hand, granted):
        crowds.create(stack, crowd)
    crowds.grant(stack, granted)
    crowds.write(stack, [by_hand])
    line = Line(stack.port)
    for question in QUESTIONS:
        for seed in range(0 if question.by_chance else 5):
            one, other = (_answer(line, question, crowd, seed) for crowd in (by_hand, granted))
            assert one == other, (question.name, one, other)
    line.close()


def _answer(line: Line, question: Question, crowd: Crowd, seed: int) -> Any:
    """What must be alike: without name, version and a cursor of the version."""

    def plain(body: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in body.items() if name not in ("namespace", "epoch", "version")}

    return json.loads(line.ask(question.make(crowd, Random(seed)))[1], object_hook=plain)


def measure(stack: Stack, crowds: Sequence[Crowd]) -> Times:
    """Seconds of each call, by question and size; the sizes take turns, so that noise meets them all."""
    line, chance, times = Line(stack.port), Random(1), defaultdict[tuple[str, int], list[float]](list)
    gc.disable()
    for _ in range(ROUNDS):
        for question in QUESTIONS:
            for crowd in crowds:
                for _ in range(CALLS):
                    if question.is_same:
                        line.ask(_grant(crowd, chance))
                    times[question.name, crowd.size].append(line.ask(question.make(crowd, chance))[0])
    gc.enable()
    line.close()
    return times


def _grant(crowd: Crowd, chance: Random) -> bytes:
    """Moves a user, so that the board has another version."""
    grant = {"grant_id": f"{time.time_ns()}", "user_id": crowd.holder(chance), "amount": 1}
    return post(f"/v1/namespaces/{crowd.name}/grants", KEY, json.dumps(grant).encode())


def percentile(values: Iterable[float], percent: int) -> float:
    """By nearest rank."""
    ordered = sorted(values)
    return ordered[-(-percent * len(ordered) // 100) - 1]


def micros(times: Times, question: Question, percent: int = 50) -> list[float]:
    """A percentile at each size."""
    return [percentile(times[question.name, size], percent) * 1e6 for size in SIZES]


def tell(times: Times) -> None:
    """One line a question."""
    print(f"{f'median µs of {ROUNDS * CALLS}, by users':34} " + " ".join(f"{size:>10,}" for size in SIZES))
    for question in QUESTIONS:
        medians, p99 = micros(times, question), micros(times, question, 99)[-1] / 1e3
        ratio = medians[-1] / medians[0]
        print(
            f"{question.name:34} {' '.join(f'{median:10,.0f}' for median in medians)}  "
            f"ratio {ratio:.2f}  at most {RATIO_MAX:.2f}: {_verdict(ratio <= RATIO_MAX)}  "
            f"p99 {p99:.1f} ms  at most {P99_MS_MAX:.0f}: {_verdict(p99 <= P99_MS_MAX)}",
            flush=True,
        )


def _verdict(is_met: bool) -> str:
    return "met" if is_met else "NOT MET"


def main() -> None:
    """On a stack of its own: what is measured elsewhere must not share a Redis with gigabytes."""
    crowds_made = [Crowd(f"n{len(str(size)) - 1}", size) for size in SIZES]
    with tempfile.TemporaryDirectory() as folder:
        stack = Stack(Path(folder))
        try:
            stack.up()
            check(stack)
            started = time.perf_counter()
            for crowd in crowds_made:
                crowds.create(stack, crowd)
            crowds.write(stack, crowds_made)
            print(f"{'2 × 11,110,000 entries put in':34} {time.perf_counter() - started:10.1f} s", flush=True)
            times = measure(stack, crowds_made)
        finally:
            stack.down()
    tell(times)
    groups: dict[str, dict[str, list[float]]] = defaultdict(dict)
    for question in QUESTIONS:
        groups[question.group][question.name] = micros(times, question)
    print(f"{PLOT.name} is drawn" if draw(groups, SIZES, PLOT) else f"{PLOT.name} is not drawn: matplotlib is not here")
