"""What a page costs its browser: time of the main thread, and shifts of its layout."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import CDPSession, Page

#: Every shift of the layout that no act of a person caused: its value, and what moved. Before the page's own scripts.
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => {
  for (const { value, hadRecentInput, sources } of list.getEntries()) {
    if (hadRecentInput) continue;
    const place = ({ x, y, width, height }) => [x, y, width, height].map(Math.round).join(' ');
    // A node of an element's inside has no name here.
    const said = ({ node, previousRect, currentRect }) =>
      `${node?.nodeName ?? 'inside'}#${node?.id ?? ''} ${place(previousRect)} → ${place(currentRect)}`;
    window.shifts.push([value, ...sources.map(said)]);
  }
}).observe({ type: 'layout-shift', buffered: true });
"""


@dataclass(frozen=True, slots=True)
class Cost:
    """Shares of one core by the main thread over `seconds`, by its CPU time: of all tasks, and of parts of them."""

    seconds: float
    task: float
    script: float
    layout: float
    style: float
    layouts: float
    """Layouts a second."""
    wall: float
    """Tasks by the clock: other work on the machine counts as well."""

    def __str__(self) -> str:
        shares = ", ".join(
            f"{name} {getattr(self, name):.1%}" for name in ("task", "script", "layout", "style", "wall")
        )
        return f"{shares}, {self.layouts:.1f} layouts a second, over {self.seconds:.0f} s"


class Meter:
    """Reads the browser's own counters, by CPU time and by the clock."""

    def __init__(self, page: Page) -> None:
        self._sessions = [self._open(page, domain) for domain in ("threadTicks", "timeTicks")]

    @staticmethod
    def _open(page: Page, domain: str) -> CDPSession:
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable", {"timeDomain": domain})
        return session

    def read(self) -> tuple[dict[str, float], dict[str, float]]:
        """The counters now, by name: times in seconds of CPU, and by the clock."""
        by_cpu, by_clock = (
            {one["name"]: float(one["value"]) for one in session.send("Performance.getMetrics")["metrics"]}
            for session in self._sessions
        )
        return by_cpu, by_clock

    def since(self, before: tuple[dict[str, float], dict[str, float]]) -> Cost:
        """What was spent since an earlier reading."""
        now = self.read()
        seconds = now[1]["Timestamp"] - before[1]["Timestamp"]

        def spent(name: str, domain: int = 0) -> float:
            return (now[domain][name] - before[domain][name]) / seconds

        return Cost(
            seconds=seconds,
            task=spent("TaskDuration"),
            script=spent("ScriptDuration"),
            layout=spent("LayoutDuration"),
            style=spent("RecalcStyleDuration"),
            layouts=spent("LayoutCount"),
            wall=spent("TaskDuration", 1),
        )

    def end(self) -> None:
        """Closes the lines to the browser."""
        for session in self._sessions:
            session.detach()


def cost(page: Page, seconds: float) -> Cost:
    """The page left alone for so long."""
    with metered(page) as meter:
        before = meter.read()
        page.wait_for_timeout(seconds * 1000)
        return meter.since(before)


@contextmanager
def metered(page: Page) -> Iterator[Meter]:
    """A meter of a page."""
    meter = Meter(page)
    yield meter
    meter.end()


def shifts(page: Page) -> list[Any]:
    """The shifts since the page began, or since the last call. The page had SHIFTS as a script of its beginning."""
    entries: list[Any] = page.evaluate("window.shifts.splice(0)")
    return entries
