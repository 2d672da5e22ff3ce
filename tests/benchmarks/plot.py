"""Medians against the size of the board, a panel a group of questions, as a picture for the docs."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path

Medians = Mapping[str, Sequence[float]]  # µs of a question at each size


def draw(groups: Mapping[str, Medians], sizes: Sequence[int], path: Path) -> bool:
    """Writes an SVG; False where matplotlib, which nothing else needs, is not installed."""
    try:
        import matplotlib
    except ImportError:
        return False
    matplotlib.use("svg")
    matplotlib.rcParams |= {"font.size": 10, "svg.hashsalt": path.name}
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(len(groups), 1, sharex=True, figsize=(9, 2.5 * len(groups)), layout="constrained")
    for panel, (group, medians) in zip(panels, groups.items(), strict=True):
        # In the order in which the lines end, so that the legend reads as they lie.
        named = sorted(medians.items(), key=lambda item: -item[1][-1])
        for (name, micros), marker in zip(named, cycle("osD^vP*X")):
            panel.loglog(
                sizes, [micro / 1000 for micro in micros], marker=marker, markersize=4, linewidth=1.2, label=name
            )
        panel.set_title(group, loc="left", fontweight="bold")
        panel.set_ylabel("median, ms")
        panel.set_ylim(0.1, 10)
        panel.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
        panel.grid(alpha=0.4)
        panel.legend(loc="center left", bbox_to_anchor=(1, 0.5), frameon=False)
    panels[-1].set_xlabel("users on the board")
    # Its own background, so that it reads on a dark page, too; no date, so that equal figures are equal files.
    figure.savefig(path, facecolor="white", metadata={"Date": None})
    pyplot.close(figure)
    return True
