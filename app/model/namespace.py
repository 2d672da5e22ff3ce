"""A namespace: one competition with its own rules, and what those rules mean."""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from hashlib import blake2b
from typing import Annotated, Any, Literal

import msgspec

from .aggregation import AGGREGATIONS, Aggregation, AggregationRule, Order
from .errors import Invalid, RuleLocked
from .local_days import LocalDays
from .micros import EARLIEST, LATEST, to_micros
from .moment import SentMoment, format_span, read_moment
from .periods import Period, Weekday
from .score import from_units, to_units
from .stats import Band, check_bands
from .text import check_name, check_namespace_name
from .windows import Calendar, Season
from .zone import check_zone

Number = int | float


class Velocity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many grants, and how much in them, a user may get in a stretch of time."""

    per: timedelta
    max_grants: Annotated[int, msgspec.Meta(ge=1, le=10**9)] | None = None
    max_amount: Number | None = None


#: Time added to a bound: for grants that were accepted just before it and are under way, and for clocks that differ.
MARGIN_MICROS = 60_000_000
#: Seasons of a namespace: each grant is compared with all of them when its windows are looked up.
SEASONS_MAX = 100
#: Periods and seasons of a namespace: with categories, a grant in all of them costs what one script call may cost.
WINDOWS_MAX = 104
#: Limits of a user's velocity: each is a piece of the user's history in Redis, and work for each grant.
LIMITS_MAX = 4


class Rules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules as a client writes and reads them. An absent rule takes its default."""

    display_name: str | None = None
    visibility: Literal["private", "public"] = "private"
    mode: Literal["live", "shadow", "frozen"] = "live"
    group: str | None = None
    aggregation: AggregationRule = "sum"
    order: Order = "desc"
    scale: Annotated[int, msgspec.Meta(ge=0, le=6)] = 0
    ranking: Literal["competition", "dense", "ordinal"] = "competition"
    tie_break: Literal["none", "earliest", "granted_at"] = "none"
    periods: tuple[Period, ...] = ("all", "month", "week", "day")
    week_starts: Weekday = "monday"
    day_starts: Annotated[str, msgspec.Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$", examples=["04:00"])] = "00:00"
    timezone: str = "UTC"
    category_boards: bool = False
    streaks: bool = False
    statistics: bool = True
    bounded_sums: bool = False
    amount_min: Number | None = None
    amount_max: Number | None = None
    accept_past: timedelta | None = timedelta(days=35)
    accept_future: timedelta | None = timedelta(minutes=5)
    velocity: tuple[Velocity, ...] | None = None
    suspicious: Literal["reject", "quarantine"] = "reject"
    seasons: tuple[Season, ...] = ()
    bands: tuple[Band, ...] = ()


class SentSeason(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A season as a client sends it."""

    name: str
    starts: SentMoment
    ends: SentMoment


class SentRules(Rules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rules as a client sends them, with times as raw text."""

    seasons: tuple[SentSeason, ...] = ()  # type: ignore[assignment]


class SentNamespace(SentRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a client sends: rules. It may send back what `GET` told beside them, which nobody writes."""

    name: str | None = None
    resets: Any = None
    move: Any = None


#: Rules that define what recorded scores mean.
LOCKED = (
    *("scale", "aggregation", "order", "tie_break", "periods", "timezone", "group"),
    *("week_starts", "day_starts"),
    *("category_boards", "streaks"),
)
# What is counted beside the boards from the first grant on. It may be switched off later, but not on again.
_DROPPABLE = ("statistics", "bounded_sums")


def read_rules(sent: SentRules) -> Rules:
    """The rules that a client sent, in their normal form. Invalid, naming the field."""
    if len(sent.seasons) > SEASONS_MAX:
        raise Invalid(f"at most {SEASONS_MAX} seasons", field="$.seasons")
    seasons = tuple(
        Season(
            season.name, *(_moment_in(getattr(season, edge), f"$.seasons[{i}].{edge}") for edge in ("starts", "ends"))
        )
        for i, season in enumerate(sent.seasons)
    )
    rules = {name: getattr(sent, name) for name in Rules.__struct_fields__}
    return check_rules(Rules(**{**rules, "seasons": seasons}))


def _moment_in(sent: msgspec.Raw, field: str) -> datetime:
    moment = read_moment(sent, field)
    if moment is None:
        raise Invalid("must not be null", field=field)
    return moment.astimezone(UTC)


def check_rules(rules: Rules) -> Rules:
    """The rules in their normal form (`all` first, each period once). Invalid, naming the field."""
    if rules.display_name is not None:
        check_name(rules.display_name, "$.display_name")
    if rules.group is not None:
        check_namespace_name(rules.group, "$.group")
    check_zone(rules.timezone, "$.timezone")
    for field in ("accept_past", "accept_future"):
        span: timedelta | None = getattr(rules, field)
        if span is not None and not timedelta() <= span <= timedelta(days=36_500):
            raise Invalid("must lie from PT0S to P36500D, such as P35D; null for no bound", field=f"$.{field}")
    bounds = [_bound(rules, "amount_min"), _bound(rules, "amount_max")]
    if bounds[0] is not None and bounds[1] is not None and bounds[0] > bounds[1]:
        raise Invalid("must not lie above amount_max", field="$.amount_min")
    periods = tuple(dict.fromkeys(("all", *rules.periods)))
    _check_seasons(rules.seasons)
    if len(periods) + len(rules.seasons) > WINDOWS_MAX:
        seasons = f"at most {WINDOWS_MAX - len(periods)} seasons beside {len(periods)} periods"
        raise Invalid(seasons, field="$.seasons")
    _check_velocity(rules)
    check_bands(rules.bands)
    return msgspec.structs.replace(rules, periods=periods)


def _check_velocity(rules: Rules) -> None:
    limits = rules.velocity or ()
    if len(limits) > LIMITS_MAX:
        raise Invalid(f"at most {LIMITS_MAX} limits", field="$.velocity")
    for i, limit in enumerate(limits):
        if not timedelta(seconds=1) <= limit.per <= timedelta(days=31):
            raise Invalid("must lie between PT1S and P31D", field=f"$.velocity[{i}].per")
        if limit.max_grants is None and limit.max_amount is None:
            raise Invalid("needs max_grants or max_amount", field=f"$.velocity[{i}]")
        if (
            limit.max_amount is not None
            and to_units(repr(limit.max_amount), rules.scale, f"$.velocity[{i}].max_amount") < 0
        ):
            raise Invalid("must not be negative", field=f"$.velocity[{i}].max_amount")


def _check_seasons(seasons: tuple[Season, ...]) -> None:
    if len(seasons) > SEASONS_MAX:
        raise Invalid(f"at most {SEASONS_MAX} seasons", field="$.seasons")
    for i, season in enumerate(seasons):
        check_namespace_name(season.name, f"$.seasons[{i}].name")
        for field in ("starts", "ends"):
            if not EARLIEST <= getattr(season, field) < LATEST:
                raise Invalid("must lie between the years 1900 and 2254", field=f"$.seasons[{i}].{field}")
        if season.starts >= season.ends:
            raise Invalid("must lie before its end", field=f"$.seasons[{i}].starts")
        if season.name in (other.name for other in seasons[:i]):
            raise Invalid("names another season already", field=f"$.seasons[{i}].name")


def _bound(rules: Rules, field: str) -> int | None:
    value: Number | None = getattr(rules, field)
    return None if value is None else to_units(repr(value), rules.scale, f"$.{field}")


def latest_acceptable_at(rules: Rules, now: int) -> int:
    """The latest granted_at that these rules have accepted until now, in microseconds."""
    if rules.accept_future is None:
        return to_micros(LATEST)
    return now + rules.accept_future // timedelta(microseconds=1) + MARGIN_MICROS


def check_change(old: Rules, new: Rules, reach: int) -> str | None:
    """The first changed rule that may change only while a namespace has no grants, or None.

    A season may be added, changed or removed while no grant can lie in it: while it begins later than any granted_at
    that the rules so far accept.
    """
    if any(to_micros(season.starts) <= reach for season in set(old.seasons) ^ set(new.seasons)):
        return "seasons"
    if (old.ranking == "dense") != (new.ranking == "dense"):
        return "ranking"  # dense ranks are counted from the first grant on
    changed = [field for field in (*LOCKED, *_DROPPABLE) if getattr(old, field) != getattr(new, field)]
    return next((field for field in changed if field not in _DROPPABLE or getattr(new, field)), None)


def rule_locked(field: str, old: Rules, new: Rules) -> RuleLocked:
    """The problem of a change of `field` in a namespace with grants. It names the value that stays, and the requested
    one."""
    before, after = (Namespace(0, "", 0, 0, rules).body()[field] for rules in (old, new))
    if field == "seasons":
        changed = next(one["name"] for one in [*before, *after] if not (one in before and one in after))
        return RuleLocked(f"grants may lie in season {changed!r}: it stays as it is", field="$.seasons")
    old_value, new_value = (msgspec.json.encode(value).decode() for value in (before, after))
    detail = f"the namespace holds grants: {field} stays {old_value}, and the request would set {new_value}"
    hint = "; a rule that is left out takes its default" if getattr(new, field) == getattr(Rules(), field) else ""
    return RuleLocked(detail + hint, field=f"$.{field}")


def partition_of(name: str, group: str | None, partitions: int) -> int:
    """hash(group) mod P: namespaces of one group share a partition and can be written in one atomic call."""
    return int.from_bytes(blake2b((group or name).encode(), digest_size=8).digest(), "big") % partitions


class Namespace(msgspec.Struct, frozen=True, dict=True):
    """A namespace as every process has it. `version` rises with each change of its rules. Ids are never reused.

    rules_from_seq: its partition's last seq when these rules came into force, or that of a partition in which a deleted
    namespace of its name lay, if that is later; a board with a later version was read by these rules. None:
    unknown. accept_future_max: the largest accept_future that it ever had, in microseconds; 2^53 if it had no bound.
    """

    id: int
    name: str
    partition: int
    version: int
    rules: Rules
    rules_from_seq: int | None = None
    accept_future_max: int = 0

    @cached_property
    def calendar(self) -> Calendar:
        """The windows of its time zone and periods."""
        return Calendar(self.days, self.rules.periods, self.rules.seasons, self.rules.week_starts)

    @cached_property
    def days(self) -> LocalDays:
        """When its days begin, in its own zone."""
        return self.days_in(self.rules.timezone)

    def days_in(self, zone: str | None) -> LocalDays:
        """When its days begin in a user's own zone; in the namespace's zone for None."""
        hours, minutes = self.rules.day_starts.split(":")
        return LocalDays(zone or self.rules.timezone, timedelta(hours=int(hours), minutes=int(minutes)))

    def boards_of(self, windows: tuple[str, ...], category: str | None) -> tuple[str, ...]:
        """The boards on which a grant in these windows counts: each window's, and its category's if there are category
        boards."""
        if category is None or not self.rules.category_boards:
            return windows
        return windows + tuple(f"{window}:{category}" for window in windows)

    def windows_and_day(self, micros: int, zone: str | None, opening: bool) -> tuple[tuple[str, ...], str | None]:
        """The windows in which a grant of a moment counts, and its day in a streak, in its user's own zone if any; None
        if streaks are off. An opening balance counts on `all` alone, and for no day."""
        if opening:
            return ("all",), None
        day = self.days_in(zone).day_at(micros).isoformat() if self.rules.streaks else None
        return self.calendar.names_at(micros), day

    @cached_property
    def past_micros(self) -> int | None:
        """How far back granted_at may lie."""
        return _micros(self.rules.accept_past)

    @cached_property
    def future_micros(self) -> int | None:
        """How far ahead granted_at may lie."""
        return _micros(self.rules.accept_future)

    @cached_property
    def future_micros_max(self) -> int | None:
        """How far ahead granted_at may have lain at any time, by the rules so far; None: without bound today."""
        return None if self.future_micros is None else max(self.future_micros, self.accept_future_max)

    @cached_property
    def amount_bounds(self) -> tuple[int | None, int | None]:
        """amount_min and amount_max in scaled units."""
        return _bound(self.rules, "amount_min"), _bound(self.rules, "amount_max")

    @cached_property
    def aggregation(self) -> Aggregation:
        """How a user's grants make a score."""
        return AGGREGATIONS[self.rules.aggregation, self.rules.order]

    @property
    def by_moment(self) -> bool:
        """Whether ties are broken by granted_at."""
        return self.rules.tie_break == "granted_at"

    @property
    def sign(self) -> int:
        """The factor from a score to a board's key. A better score always has a greater key."""
        return -1 if self.rules.order == "asc" else 1

    @cached_property
    def limits(self) -> tuple[tuple[int, int | None, int | None], ...]:
        """Each velocity: microseconds, grants, scaled units."""
        return tuple(
            (
                limit.per // timedelta(microseconds=1),
                limit.max_grants,
                None if limit.max_amount is None else to_units(repr(limit.max_amount), self.rules.scale),
            )
            for limit in self.rules.velocity or ()
        )

    def number(self, units: int) -> Number:
        """A score as its JSON number."""
        return from_units(units, self.rules.scale)

    def number_or_none(self, units: int | None) -> Number | None:
        """A score as its JSON number; None stays None."""
        return None if units is None else from_units(units, self.rules.scale)

    def body(self) -> dict[str, Any]:
        """What a client reads: its name, then every rule."""
        rules = msgspec.to_builtins(self.rules)
        rules["accept_past"], rules["accept_future"] = map(
            format_span, (self.rules.accept_past, self.rules.accept_future)
        )
        if self.rules.velocity is not None:
            for limit_body, limit in zip(rules["velocity"], self.rules.velocity, strict=True):
                limit_body["per"] = format_span(limit.per)
        return {"name": self.name, **rules}

    @property
    def is_public(self) -> bool:
        """Whether anyone may read and watch it."""
        return self.rules.visibility == "public"


def rules_body(rules: Rules) -> dict[str, Any]:
    """Rules for an event: as a client reads them now. Later versions do not change recorded events."""
    body = Namespace(0, "", 0, 0, rules).body()
    del body["name"]
    return body


def _micros(span: timedelta | None) -> int | None:
    return None if span is None else span // timedelta(microseconds=1)
