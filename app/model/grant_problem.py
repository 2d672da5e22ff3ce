"""Says why an entry is refused: the bound that it exceeds, and the rule that sets the bound."""

from .entry import PlannedEntry
from .errors import OUTCOMES, Problem, problem_of
from .micros import from_micros
from .moment import format_span
from .namespace import Namespace, Rules
from .score import UNITS_MAX


def grant_problem(entry: PlannedEntry, outcome: str, detail: str | None, now: int) -> Problem:
    """The problem for an entry's outcome at `now` (microseconds). KeyError for an outcome that is a receipt."""
    namespace, rules = entry.namespace, entry.namespace.rules
    match outcome:
        case "granted_at_range":
            bound = moment_bound(namespace, entry.body.granted_at, now)
        case "amount_range":
            bound = amount_bound(rules)
        case "velocity":
            bound = f"the user has reached a velocity of the namespace: {_velocity_bound(rules)}"
        case "score_overflow":
            bound = f"a score or balance would leave ±{namespace.number(UNITS_MAX):,} (at scale {rules.scale})"
        case _:
            return problem_of(outcome, detail)
    kind, _, field = OUTCOMES[outcome]
    return kind(bound, field=field)


def moment_bound(namespace: Namespace, granted_at: int, now: int) -> str:
    """The bound of time that a granted_at exceeds at `now`; both in microseconds."""
    rules, past, future = namespace.rules, namespace.past_micros, namespace.future_micros
    if past is not None and granted_at < now - past:
        bound = f"granted_at lies before {_second(now - past)}; accept_past is {format_span(rules.accept_past)}"
        return f"{bound}; with ?backfill=true an admin may go back further"
    if future is not None and granted_at > now + future:
        return f"granted_at lies after {_second(now + future)}; accept_future is {format_span(rules.accept_future)}"
    spans = format_span(rules.accept_past), format_span(rules.accept_future)
    return f"granted_at lies outside accept_past ({spans[0]}) and accept_future ({spans[1]})"


def amount_bound(rules: Rules) -> str:
    """The bounds of an amount."""
    low, high = rules.amount_min, rules.amount_max
    if low is not None and high is not None:
        return f"the amount must lie from {low} (amount_min) to {high} (amount_max)"
    return (
        f"the amount must be at least {low} (amount_min)"
        if high is None
        else f"the amount must be at most {high} (amount_max)"
    )


def _velocity_bound(rules: Rules) -> str:
    """Names every limit, because the script does not say which one is used up."""
    return "; ".join(
        f"at most {' and '.join(_most(limit.max_grants, limit.max_amount))} in {format_span(limit.per)}"
        for limit in rules.velocity or ()
    )


def _most(grants: int | None, amount: float | None) -> list[str]:
    parts = [] if grants is None else [f"{grants} grant{'' if grants == 1 else 's'}"]
    return parts if amount is None else [*parts, f"{amount} in amount"]


def _second(micros: int) -> str:
    return f"{from_micros(micros):%Y-%m-%dT%H:%M:%SZ}"
