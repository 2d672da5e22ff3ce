"""What `leaderboard import` takes, and what is made of it."""

import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import typer

from ..model.errors import Invalid
from ..model.zone import check_zone
from ..transfer.import_mapping import GRANT_FIELDS, OPENING, MappingOptions
from ..transfer.import_times import EPOCH_FORMATS, moment_of
from ..transfer.import_users import USER_FIELDS
from ..transfer.import_voids import VoidOptions
from ..transfer.source import SourceOptions
from ..transfer.source_formats import SourceFormat

File = Annotated[str | None, typer.Argument(metavar="FILE", help="NDJSON, CSV, a JSON array or Parquet; - for stdin.")]
Url = Annotated[str, typer.Option(envvar="LEADERBOARD_URL", help="Of the server.")]
ApiKey = Annotated[
    str | None, typer.Option(envvar="LEADERBOARD_API_KEY", help="A key with `admin` for the namespaces.")
]
NamespaceName = Annotated[str | None, typer.Option(help="Where the grants count, instead of a column.")]
Columns = Annotated[
    list[str] | None,
    typer.Option("--map", metavar="FIELD=COLUMN", help="The column of a field; with --users alone, of a user's."),
]
Constants = Annotated[
    list[str] | None, typer.Option("--set", metavar="FIELD=TEXT", help="A field that is the same in each row.")
]
MappingFile = Annotated[
    Path | None, typer.Option(help="A TOML with \\[map], \\[set] and the options of their names; flags beat it.")
]
Form = Annotated[str | None, typer.Option("--format", help="ndjson, csv, json or parquet; else by the first bytes.")]
Delimiter = Annotated[str | None, typer.Option(help="Of a CSV; else the commonest of , ; tab |.")]
Encoding = Annotated[str | None, typer.Option(help="Of a CSV; utf-8.")]
Raw = Annotated[bool, typer.Option("--raw", help="An apostrophe before = + - @ stays part of a cell.")]
IdTemplate = Annotated[
    str | None, typer.Option(metavar="TEMPLATE", help="How ids are made: {source}-{id}. {…}: fields or columns.")
]
DigestIds = Annotated[
    bool, typer.Option("--digest-ids", help="A row that lacks what --grant-id needs gets an id of its digest.")
]
Timezone = Annotated[str | None, typer.Option(help="Of times without an offset: Europe/Berlin.")]
TimeFormat = Annotated[
    str | None, typer.Option(help="iso, epoch, epoch-ms, epoch-us, or a pattern such as %d.%m.%Y %H:%M.")
]
Opening = Annotated[
    str | None, typer.Option(metavar="DATE", help="Each row is a user's total as of then, without its history.")
]
Since = Annotated[str | None, typer.Option(help="Only what was granted then or later.")]
Until = Annotated[str | None, typer.Option(help="Only what was granted before.")]
SkipEmpty = Annotated[
    list[str] | None, typer.Option("--skip-empty", metavar="FIELD", help="Leave rows out that have no value in it.")
]
Replace = Annotated[bool, typer.Option("--replace/--insert", help="Edit what differs, or (the default) tell of it.")]
VoidMissing = Annotated[
    bool, typer.Option("--void-missing", help="Void grants of --source since --since that no row names.")
]
SourceName = Annotated[
    str | None, typer.Option("--source", metavar="NAME", help="Of --void-missing; else that of --set source=….")
]
Confirm = Annotated[
    int | None, typer.Option(min=0, metavar="N", help="How many --void-missing may void: what its dry run said.")
]
Yes = Annotated[bool, typer.Option("--yes", help="--void-missing may void all that it finds.")]
Users = Annotated[str | None, typer.Option(metavar="FILE", help="What users are called; who is hidden.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Tells what would be refused, and changes nothing.")]
State = Annotated[Path | None, typer.Option(help="Where it notes how far it is; else FILE.import.")]
Refused = Annotated[Path | None, typer.Option(help="Where refused rows go; else FILE.refused.ndjson or .csv.")]
Restart = Annotated[bool, typer.Option("--restart", help="Begins anew where an import is half done.")]
Sql = Annotated[str | None, typer.Option(metavar="QUERY", help="Rows of a query instead of a file.")]
SqlUrl = Annotated[str | None, typer.Option(envvar="LEADERBOARD_SQL_URL", help="Of its Postgres.")]
InFlight = Annotated[int, typer.Option(min=1, max=16, help="Batches on their way at once.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress.")]

_TOML_KEYS = (
    *("map", "set", "namespace", "grant_id", "digest_ids", "timezone", "time_format", "delimiter", "encoding"),
    "opening",
)
_TOML_TABLES, _TOML_FLAGS = ("map", "set"), ("digest_ids",)


class ImportTarget(NamedTuple):
    """Where grants go, and how. replaces: what differs is edited."""

    url: str
    key: str | None
    in_flight: int
    is_quiet: bool
    replaces: bool


def read_toml(path: Path | None) -> dict[str, Any]:
    """What `--mapping` names. BadParameter."""
    if path is None:
        return {}
    try:
        toml = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--mapping") from None
    unknown = sorted(toml.keys() - set(_TOML_KEYS))
    if unknown:
        raise typer.BadParameter(f"{path}: {unknown[0]!r} is none of {', '.join(_TOML_KEYS)}", param_hint="--mapping")
    for name, value in toml.items():
        if isinstance(value, dict) != (name in _TOML_TABLES):
            what = "a table" if name in _TOML_TABLES else "no table"
            raise typer.BadParameter(f"{path}: {name!r} must be {what}", param_hint="--mapping")
        if isinstance(value, bool) != (name in _TOML_FLAGS):
            what = "true or false" if name in _TOML_FLAGS else "text: put it in quotes"
            raise typer.BadParameter(f"{path}: {name!r} must be {what}", param_hint="--mapping")
        if name in _TOML_FLAGS:
            continue
        for key, text in (value if isinstance(value, dict) else {name: value}).items():
            if not isinstance(text, str) and not (name == "opening" and isinstance(text, date)):
                raise typer.BadParameter(f"{path}: {key!r} is no text: put it in quotes", param_hint="--mapping")
    return toml


def reading_of(form: str | None, toml: dict[str, Any], **flags: Any) -> SourceOptions:
    """How a file is read. flags: delimiter, encoding, is_raw. BadParameter."""
    if form not in (None, "ndjson", "csv", "json", "parquet"):
        raise typer.BadParameter(f"{form!r} is not ndjson, csv, json or parquet", param_hint="--format")
    delimiter, encoding = (flags[name] or toml.get(name) for name in ("delimiter", "encoding"))
    return SourceOptions(cast(SourceFormat | None, form), delimiter, encoding, flags["is_raw"])


def mapping_of(
    toml: dict[str, Any],
    columns: list[str] | None,
    constants: list[str] | None,
    *,
    has_digest_ids: bool,
    skip_empty: Sequence[str] | None = None,
    **flags: str | None,
) -> MappingOptions:
    """How rows become grants. has_digest_ids, skip_empty: of the options of these names; flags: namespace, grant_id,
    timezone, time_format, opening, since, until. BadParameter."""
    named = {name: flags[name] or toml.get(name) for name in ("namespace", "grant_id", "timezone", "time_format")}
    sent = flags["opening"] or toml.get("opening")  # In a TOML it may stand without quotes: a date.
    opening = _moment("--opening", None if sent is None else str(sent))
    if opening is not None and (flags["since"] or flags["until"]):
        raise typer.BadParameter("all rows are of one moment with --opening: without --since and --until")
    digests = has_digest_ids or toml.get("digest_ids", False)
    if digests and (named["grant_id"] is None or opening is not None):
        raise typer.BadParameter("goes with --grant-id, and without --opening", param_hint="--digest-ids")
    for name in skip_empty or ():
        if name not in GRANT_FIELDS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(GRANT_FIELDS)}", param_hint="--skip-empty")
    return MappingOptions(
        columns=_pairs("--map", toml.get("map", {}), columns),
        constants=_pairs("--set", toml.get("set", {}), constants),
        namespace=named["namespace"],
        template=named["grant_id"],
        digests=bool(digests),
        zone=None if named["timezone"] is None else _zone(named["timezone"]),
        time_format=_time_format(named["time_format"] or "iso"),
        opening=None if opening is None else opening.isoformat(),
        since=_moment("--since", flags["since"]),
        until=_moment("--until", flags["until"]),
        skip_empty=tuple(skip_empty or ()),
    )


def voids_of(
    mapping: MappingOptions,
    source: str | None,
    most: int | None,
    *,
    is_on: bool,
    is_confirmed: bool,
    is_dry: bool,
) -> VoidOptions | None:
    """What `--void-missing` looks at; None without it. most: of `--confirm`; is_confirmed: `--yes`. BadParameter."""
    hint = "--void-missing"
    if not is_on:
        if source is not None or most is not None or is_confirmed:
            raise typer.BadParameter("--source, --confirm and --yes are of it alone", param_hint=hint)
        return None
    source, since, until = source or mapping.constants.get("source"), mapping.since, mapping.until
    if mapping.opening is not None:
        source, since = source or OPENING, datetime.fromisoformat(mapping.opening)
        until = since + timedelta(microseconds=1)
    if mapping.namespace is None or since is None or source is None:
        raise typer.BadParameter("needs --namespace, --since and --source", param_hint=hint)
    if most is None and not is_confirmed and not is_dry:
        raise typer.BadParameter("run it with --dry-run first, then with --confirm N, or with --yes", param_hint=hint)
    return VoidOptions(source, since, until, None if is_confirmed else most)


def user_columns(toml: dict[str, Any], columns: list[str] | None) -> dict[str, str]:
    """The columns of a file of users: of what a mapping names, only fields that users have. BadParameter."""
    first = {field: column for field, column in toml.get("map", {}).items() if field in USER_FIELDS}
    return _pairs("--map", first, columns, USER_FIELDS)


def _pairs(
    flag: str, first: dict[str, str], texts: list[str] | None, fields: Sequence[str] = GRANT_FIELDS
) -> dict[str, str]:
    """Fields with their columns or texts. BadParameter."""
    pairs = dict(first)
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not FIELD=…", param_hint=flag)
        pairs[name] = value
    for name in pairs:
        if name not in fields:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(fields)}", param_hint=flag)
    return pairs


def _zone(name: str) -> ZoneInfo:
    try:
        check_zone(name, "--timezone")
    except Invalid as error:
        raise typer.BadParameter(error.detail, param_hint="--timezone") from None
    return ZoneInfo(name)


def _time_format(form: str) -> str:
    if form != "iso" and form not in EPOCH_FORMATS and "%" not in form:
        raise typer.BadParameter(
            f"{form!r} is not iso, {', '.join(EPOCH_FORMATS)} or a pattern", param_hint="--time-format"
        )
    try:
        datetime.strptime("", form)
    except re.error:
        raise typer.BadParameter(f"{form!r} has one thing twice", param_hint="--time-format") from None
    except ValueError as error:
        if "bad directive" in str(error) or "stray %" in str(error):
            raise typer.BadParameter(f"{form!r} is no pattern: {error}", param_hint="--time-format") from None
    return form


def _moment(flag: str, text: str | None) -> datetime | None:
    """A day or a moment; without an offset in UTC."""
    if text is None:
        return None
    moment = moment_of(text)
    if moment is None:
        raise typer.BadParameter(
            f"{text!r} is no day and no moment: 2026-05-01 or 2026-05-01T00:00:00Z", param_hint=flag
        )
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
