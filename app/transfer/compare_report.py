"""A comparison as text and as JSON."""

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from .compare_figures import Comparison

_encode = msgspec.json.Encoder(decimal_format="number").encode


def as_json(comparison: Comparison) -> str:
    """The whole comparison, figures and samples."""
    return msgspec.json.format(_encode(comparison)).decode() + "\n"


def figures_json(comparison: Comparison) -> str:
    """The figures alone, which name no user."""
    return _encode(comparison.figures).decode()


def as_text(comparison: Comparison) -> str:
    """The figures as a table, then what was found by name."""
    rows = figure_rows(comparison)
    width = max(len(name) for name, _ in rows)
    lines = [title(comparison), *(f"  {name:{width}}  {value}" for name, value in rows), *sample_lines(comparison)]
    return "".join(f"{line}\n" for line in lines)


def title(comparison: Comparison) -> str:
    """What was compared with what."""
    category = "" if comparison.category is None else f", category {comparison.category!r}"
    as_of = "" if comparison.as_of is None else f", granted until {comparison.as_of.isoformat()}"
    return f"{comparison.namespace}, {comparison.window}{category}{as_of}, at seq {comparison.seq}: {comparison.source}"


def figure_rows(comparison: Comparison) -> list[tuple[str, str]]:
    """Names and values of the figures, in the order in which one reads them."""
    f = comparison.figures
    tau = "unknown: all of one side are equal" if f.tau is None else f"{f.tau:.6f}"
    return [
        ("users here", f"{f.users_here:,}"),
        ("users there", f"{f.users_there:,}"),
        ("equal", f"{f.equal:,}"),
        ("differing", f"{f.differing:,}"),
        ("missing here", f"{f.missing_here:,}"),
        ("missing there", f"{f.missing_there:,}"),
        (f"differ by more than {plain(comparison.max_diff)}", f"{f.beyond:,}"),
        ("with different scores there", f"{f.conflicting:,}"),
        ("lines that say the same again", f"{f.repeated:,}"),
        ("lines that cannot be read", f"{f.unreadable:,}"),
        ("largest difference", plain(f.largest_difference)),
        ("sum here", plain(f.sum_here)),
        ("sum there", plain(f.sum_there)),
        ("users at another rank", f"{f.rank_differences:,}; the largest move is {f.largest_rank_difference:,}"),
        (f"in both tops of {f.top:,}", f"{f.in_both_tops:,}"),
        ("Kendall's tau of the tops", tau),
    ]


def sample_lines(comparison: Comparison) -> Iterator[str]:
    """A line for each user or line that is named."""
    for one in comparison.differences:
        move = "" if one.rank_here == one.rank_there else f"; rank {one.rank_here} here, {one.rank_there} there"
        yield f"differs: {one.user_id!r}: {plain(one.here)} here, {plain(one.there)} there{move}"
    for missing in comparison.missing_here:
        yield f"missing here: {missing.user_id!r}: {plain(missing.score)} there"
    for missing in comparison.missing_there:
        yield f"missing there: {missing.user_id!r}: {plain(missing.score)} here"
    for conflict in comparison.conflicts:
        lines = ", ".join(map(str, conflict.lines))
        scores = f"{plain(conflict.lowest)} to {plain(conflict.highest)}"
        yield f"different scores there: {conflict.user_id!r}: {scores}, lines {lines}"
    for line in comparison.unreadable:
        yield f"line {line.line}: {line.reason}"


def plain(number: Decimal) -> str:
    """A decimal without an exponent, and without zeros at its end."""
    text = f"{number:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
