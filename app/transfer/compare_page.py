"""A comparison as one page of HTML with charts. It loads nothing and runs no script: it can be kept and sent."""

from collections.abc import Iterable, Sequence
from html import escape
from math import log10

from .compare_figures import Bucket, Comparison, Missing, RankPair
from .compare_report import figure_rows, plain, title

#: Points of the chart of ranks: more would lie on each other.
_POINTS_MAX = 1_000
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --soft: #6b7280; --line: #d9dde3;
  --equal: #2f9e6e; --differ: #d9822b; --missing: #b83280; --point: #3b6fd4; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7eaee; --paper: #14171b; --soft: #9aa3ad; --line: #333a42; } }
body { margin: 0 auto; padding: 2rem 1.25rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.05rem; margin: 2.25rem 0 .5rem; }
p { margin: .25rem 0; color: var(--soft); } .verdict { font-weight: 600; color: var(--ink); }
.charts { display: grid; gap: 1.5rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
svg { width: 100%; height: auto; display: block; } svg text { fill: var(--soft); font-size: 12px; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .3rem .6rem .3rem 0; text-align: left;
  border-bottom: 1px solid var(--line); overflow-wrap: anywhere; } td.n, th.n { text-align: right;
  font-variant-numeric: tabular-nums; white-space: nowrap; } th { font-weight: 600; }
.key { display: inline-block; width: .8em; height: .8em; border-radius: 2px; margin-right: .35em; }
"""
_WIDTH, _HEIGHT, _LEFT, _BOTTOM, _TOP = 460, 290, 56, 44, 24


def as_page(comparison: Comparison) -> str:
    """The page. O(tops + samples)."""
    f = comparison.figures
    verdict = "Equal" if comparison.is_equal else "Not equal"
    parts = [
        f"<h1>{escape(comparison.namespace)}: {escape(comparison.window)}</h1>",
        f"<p>{escape(title(comparison))}</p><p>Compared {comparison.compared_at:%Y-%m-%d %H:%M:%S} UTC.</p>",
        f'<p class="verdict">{verdict} within {plain(comparison.max_diff)}: {f.findings:,} findings.</p>',
        "<h2>Users</h2>",
        _shares(comparison),
        '<div class="charts">',
        f"<section><h2>Differences by size</h2>{_histogram(comparison.histogram)}</section>",
        f"<section><h2>Ranks of the tops</h2>{_ranks(comparison.tops)}</section></div>",
        f"<h2>Figures</h2>{_table(('', ''), figure_rows(comparison), numeric=(1,))}",
        *_samples(comparison),
    ]
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    head = (
        '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        f"<title>Comparison: {escape(comparison.namespace)}</title><style>{_STYLE}</style>"
    )
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{"".join(parts)}</body></html>\n'


def _shares(comparison: Comparison) -> str:
    """One bar: how many users are equal, differ, or are missing on a side."""
    f = comparison.figures
    shares = [
        ("equal", f.equal, "--equal"),
        ("differing", f.differing, "--differ"),
        ("missing here", f.missing_here, "--missing"),
        ("missing there", f.missing_there, "--point"),
    ]
    total = sum(users for _, users, _ in shares)
    if not total:
        return "<p>No users on either side.</p>"
    bars, keys, x = [], [], 0.0
    for name, users, colour in shares:
        # What is there can be seen, however few they are.
        width = max(900 * users / total, 3 if users else 0)
        bars.append(f'<rect x="{x:.1f}" width="{width:.1f}" height="26" style="fill:var({colour})"/>')
        keys.append(f'<span class="key" style="background:var({colour})"></span>{name} {users:,}&emsp;')
        x += width
    label = ", ".join(f"{name} {users:,}" for name, users, _ in shares)
    shape = f'viewBox="0 0 {x:.1f} 26" preserveAspectRatio="none" style="height:26px"'
    return f'<svg {shape} role="img" aria-label="{label}">{"".join(bars)}</svg><p>{"".join(keys)}</p>'


def _histogram(buckets: Sequence[Bucket]) -> str:
    """Bars by power of ten: on the left of the middle, users with less here; on the right, with more here."""
    if not buckets:
        return "<p>No difference.</p>"
    ordered = sorted(buckets, key=lambda one: (one.sign, one.sign * one.power))
    highest = max(bucket.users for bucket in ordered)
    room, height = _WIDTH - _LEFT, _HEIGHT - _BOTTOM - _TOP
    step = room / len(ordered)
    marks = []
    for i, bucket in enumerate(ordered):
        # By logarithm: a hundred thousand small differences do not hide one large one.
        tall = height * (0.08 + 0.92 * log10(bucket.users) / max(log10(highest), 1))
        x, y = _LEFT + i * step + step * 0.1, _TOP + height - tall
        colour = "--point" if bucket.sign > 0 else "--missing"
        power = f"{'+' if bucket.sign > 0 else '−'}{_power(bucket.power)}"
        marks += [
            f'<rect x="{x:.1f}" y="{y:.1f}" width="{step * 0.8:.1f}" height="{tall:.1f}" style="fill:var({colour})"/>',
            _text(x + step * 0.4, y - 4, f"{bucket.users:,}"),
            _text(x + step * 0.4, _HEIGHT - 26, power),
        ]
    marks.append(_text(_LEFT + room / 2, _HEIGHT - 6, "here minus there: from this size up to ten times it"))
    return _chart("users by the size of their difference", marks)


def _power(power: int) -> str:
    return f"{10**power:,}" if power >= 0 else f"0.{'0' * (-power - 1)}1"


def _ranks(tops: Sequence[RankPair]) -> str:
    """A point a user, the best in the upper left corner; both ranks by logarithm. Equal ranks lie on the diagonal."""
    if not tops:
        return "<p>No user is on both sides.</p>"
    last = max(max(pair.here, pair.there) for pair in tops)
    room, height = _WIDTH - _LEFT - 8, _HEIGHT - _BOTTOM - _TOP

    def place(rank_there: int, rank_here: int) -> tuple[float, float]:
        span = log10(max(last, 2))
        return _LEFT + room * log10(rank_there) / span, _TOP + height * log10(rank_here) / span

    x0, y0, x1, y1 = *place(1, 1), *place(last, last)
    marks = [f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" style="stroke:var(--line)"/>']
    for pair in _spread(tops):
        x, y = place(pair.there, pair.here)
        colour = "--point" if pair.here == pair.there else "--differ"
        marks.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="2.5" style="fill:var({colour});fill-opacity:.75"/>')
    middle = _TOP + height / 2
    marks += [
        _text(_LEFT, _HEIGHT - 26, "1", "start"),
        _text(_WIDTH - 8, _HEIGHT - 26, f"{last:,}", "end"),
        _text(_LEFT - 6, _TOP + 10, "1", "end"),
        _text(_LEFT - 6, _TOP + height, f"{last:,}", "end"),
        _text(_LEFT + room / 2, _HEIGHT - 6, "rank there"),
        f'<g transform="rotate(-90 14 {middle})">{_text(14, middle, "rank here")}</g>',
    ]
    return _chart("ranks there and here", marks)


def _spread(tops: Sequence[RankPair]) -> Iterable[RankPair]:
    """At most _POINTS_MAX of them: all that moved, and others in between."""
    moved = [pair for pair in tops if pair.here != pair.there][:_POINTS_MAX]
    others = [pair for pair in tops if pair.here == pair.there]
    room = _POINTS_MAX - len(moved)
    return [*others[:: max(1, -(-len(others) // room))], *moved] if room else moved


def _text(x: float, y: float, what: str, anchor: str = "middle") -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{what}</text>'


def _chart(label: str, marks: Iterable[str]) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{label}">{"".join(marks)}</svg>'


def _samples(comparison: Comparison) -> Iterable[str]:
    """A table for each kind of what is named."""
    tables: list[tuple[str, Sequence[str], list[tuple[str, ...]], Sequence[int]]] = [
        (
            "Largest differences",
            ("user", "here", "there", "rank here", "rank there"),
            [
                (one.user_id, plain(one.here), plain(one.there), f"{one.rank_here:,}", f"{one.rank_there:,}")
                for one in comparison.differences
            ],
            (1, 2, 3, 4),
        ),
        ("Missing here", ("user", "score"), [(one.user_id, plain(one.score)) for one in comparison.missing_here], (1,)),
        (
            "Missing there",
            ("user", "score"),
            [(one.user_id, plain(one.score)) for one in comparison.missing_there],
            (1,),
        ),
        (
            "Different scores there",
            ("user", "lowest", "highest", "lines"),
            [
                (one.user_id, plain(one.lowest), plain(one.highest), ", ".join(map(str, one.lines)))
                for one in comparison.conflicts
            ],
            (1, 2),
        ),
        (
            "Lines that cannot be read",
            ("line", "why"),
            [(f"{one.line:,}", one.reason) for one in comparison.unreadable],
            (),
        ),
    ]
    return [f"<h2>{name}</h2>{_table(head, rows, numeric=numeric)}" for name, head, rows, numeric in tables if rows]


def _missing(one: Missing) -> tuple[str, str]:
    return one.user_id, plain(one.score)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], *, numeric: Sequence[int]) -> str:
    def line(tag: str, cells: Sequence[str]) -> str:
        return "".join(
            f"<{tag}{' class=n' if i in numeric else ''}>{escape(cell)}</{tag}>" for i, cell in enumerate(cells)
        )

    header = f"<tr>{line('th', head)}</tr>" if any(head) else ""
    lines = [f"<tr>{line('td', row)}</tr>" for row in rows]
    return f"<table>{header}{''.join(lines)}</table>"
