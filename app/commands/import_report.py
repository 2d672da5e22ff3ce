"""What `leaderboard import` prints at its end."""

from pathlib import Path

from ..model.errors import AmountScale
from ..model.text import count_text
from ..transfer.import_mapping import GrantMapping
from ..transfer.import_reasons import reason_lines
from ..transfer.import_state import ImportState
from ..transfer.import_voids import VoidOptions, VoidOutcome

#: The code of a refusal for too many decimal places.
_SCALE = AmountScale.code
_WORDS = {"changed": "changed meanwhile, and left as they are"}


def print_rows(state: ImportState, mapping: GrantMapping, refused: Path, *, is_dry: bool) -> None:
    """What became of the rows, on stdout."""
    counts = state.counts
    new = "would be new" if is_dry else "new"
    parts = [f"{counts.get('would_apply' if is_dry else 'applied', 0):,} {new}"]
    parts.append(f"{counts.get('duplicate', 0):,} there already")
    for name, words in (
        ("edited", "edited"),
        ("quarantined", "in quarantine"),
        ("left_out", "left out"),
    ):
        if counts.get(name):
            parts.append(f"{counts[name]:,} {words}")
    parts.append(f"{counts.get('refused', 0):,} refused")
    print(f"{count_text(state.rows, 'row')}: {', '.join(parts)}")
    for line in reason_lines(state.reasons):
        print(f"  {line}")
    if any(kind.startswith(f"{_SCALE}\n") for kind in state.reasons):
        print('a namespace takes another "scale" by PUT as long as it holds no grants; else delete it and make it anew')
    if counts.get("refused") and not is_dry:
        print(f"refused rows, with the reason in each: {refused}; mend them and import that file")
    if mapping.unused:
        print(f"not imported: {', '.join(mapping.unused)}")
    for name, lines, what in (
        ("twice", mapping.twice, "in an hour that comes twice, of which the first one was taken"),
        ("skipped", mapping.skipped, "in an hour that the clock skipped, moved on by it"),
    ):
        if mapping.times[name]:
            more = ", …" if mapping.times[name] > len(lines) else ""
            print(f"{count_text(mapping.times[name], 'time')} {what}: lines {', '.join(map(str, lines))}{more}")


def print_voids(options: VoidOptions, outcome: VoidOutcome, *, is_dry: bool) -> None:
    """Which grants no row names, and what became of them."""
    if outcome.until is not None:
        until = outcome.until.isoformat().replace("+00:00", "Z")
        since = options.since.isoformat().replace("+00:00", "Z")
        stretch = f"of source {options.source!r} since {since} until {until}"
        print(f"{outcome.missing:,} of {count_text(outcome.looked_at, 'grant')} {stretch} are in no row")
    for grant in outcome.firsts:
        at = grant.granted_at.isoformat().replace("+00:00", "Z")
        print(f"  {grant.grant_id}, granted {at}")
    if outcome.missing > len(outcome.firsts):
        print(f"  and {outcome.missing - len(outcome.firsts):,} more")
    if is_dry and outcome.missing:
        print(f"void them with --confirm {outcome.missing}")
    if outcome.counts:
        print(", ".join(f"{count:,} {_WORDS.get(code, code)}" for code, count in sorted(outcome.counts.items())))
