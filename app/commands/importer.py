"""`leaderboard import`."""

import asyncio
import sys
import tomllib
from contextlib import closing
from datetime import UTC, datetime
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any, NamedTuple, cast
from zoneinfo import ZoneInfo

import typer

from ..model.errors import Invalid
from ..model.text import count_text
from ..model.zone import check_zone
from ..transfer.import_client import ImportClient, ImportStop
from ..transfer.import_mapping import GRANT_FIELDS, GrantMapping, MappingOptions
from ..transfer.import_refusals import RefusalFile
from ..transfer.import_run import IN_FLIGHT_MAX, ImportRun
from ..transfer.import_state import ImportState, StateFile
from ..transfer.import_times import EPOCH_FORMATS, moment_of
from ..transfer.import_users import USERS_AT_ONCE, UserImport
from ..transfer.source import Source, SourceOptions, open_source, query_source
from ..transfer.source_formats import SourceFormat
from ..transfer.source_row import SourceFault
from ..verify.progress import progress
from .finding import FindingError

_TOML_KEYS = ("map", "set", "namespace", "grant_id", "timezone", "time_format", "delimiter", "encoding", "opening")


class Target(NamedTuple):
    """Where grants go, and how. replaces: what differs is edited."""

    url: str
    key: str | None
    in_flight: int
    is_quiet: bool
    replaces: bool


def import_(
    file: Annotated[
        str | None, typer.Argument(metavar="FILE", help="NDJSON, CSV or a JSON array; - for stdin.")
    ] = None,
    url: Annotated[str, typer.Option(envvar="LEADERBOARD_URL", help="Of the server.")] = "http://127.0.0.1:8000",
    api_key: Annotated[
        str | None, typer.Option(envvar="LEADERBOARD_API_KEY", help="A key with `admin` for the namespaces.")
    ] = None,
    namespace: Annotated[str | None, typer.Option(help="Where the grants count, instead of a column.")] = None,
    map_: Annotated[
        list[str] | None, typer.Option("--map", metavar="FIELD=COLUMN", help="The column of a grant's field.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="FIELD=TEXT", help="A field that is the same in each row.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(help="A TOML with [map], [set] and the options of their names; flags beat it.")
    ] = None,
    form: Annotated[str | None, typer.Option("--format", help="ndjson, csv or json; else by the first byte.")] = None,
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV; else the commonest of , ; tab |.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV; utf-8.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="An apostrophe before = + - @ stays part of a cell.")] = False,
    grant_id: Annotated[
        str | None, typer.Option(metavar="TEMPLATE", help="How ids are made: {source}-{id}. {…}: fields or columns.")
    ] = None,
    timezone: Annotated[str | None, typer.Option(help="Of times without an offset: Europe/Berlin.")] = None,
    time_format: Annotated[
        str | None, typer.Option(help="iso, epoch, epoch-ms, epoch-us, or a pattern such as %d.%m.%Y %H:%M.")
    ] = None,
    opening: Annotated[
        str | None, typer.Option(metavar="DATE", help="Each row is a user's total as of then, without its history.")
    ] = None,
    since: Annotated[str | None, typer.Option(help="Only what was granted then or later.")] = None,
    until: Annotated[str | None, typer.Option(help="Only what was granted before.")] = None,
    replace: Annotated[
        bool, typer.Option("--replace/--insert", help="Edit what differs, or (the default) tell of it.")
    ] = False,
    users: Annotated[str | None, typer.Option(metavar="FILE", help="What users are called; who is hidden.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tells what would be refused, and changes nothing.")
    ] = False,
    state: Annotated[Path | None, typer.Option(help="Where it notes how far it is; else FILE.import.")] = None,
    refused: Annotated[
        Path | None, typer.Option(help="Where refused rows go; else FILE.refused.ndjson or .csv.")
    ] = None,
    restart: Annotated[bool, typer.Option("--restart", help="Begins anew where an import is half done.")] = False,
    sql: Annotated[str | None, typer.Option(metavar="QUERY", help="Rows of a query instead of a file.")] = None,
    sql_url: Annotated[str | None, typer.Option(envvar="LEADERBOARD_SQL_URL", help="Of its Postgres.")] = None,
    in_flight: Annotated[int, typer.Option(min=1, max=16, help="Batches on their way at once.")] = IN_FLIGHT_MAX,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress.")] = False,
) -> None:
    """Imports grants, however old. What is there already stays; a refused row is told and goes into a file. After a
    kill the same command goes on. Exit 1 if rows were refused."""
    if (file is not None and sql is not None) or (users or file or sql) is None:
        raise typer.BadParameter("give a FILE, or --sql, or --users")
    if sql is not None and sql_url is None:
        raise typer.BadParameter("--sql needs --sql-url")
    toml = _read_toml(mapping)
    time_format = time_format or toml.get("time_format") or "iso"
    zone = timezone or toml.get("timezone")
    moment = _moment("--opening", opening or toml.get("opening"))
    if moment is not None and (since or until):
        raise typer.BadParameter("all rows are of one moment with --opening: without --since and --until")
    options = MappingOptions(
        columns=_pairs("--map", toml.get("map", {}), map_),
        constants=_pairs("--set", toml.get("set", {}), set_),
        namespace=namespace or toml.get("namespace"),
        template=grant_id or toml.get("grant_id"),
        zone=None if zone is None else _zone(zone),
        time_format=_time_format(time_format),
        opening=None if moment is None else moment.isoformat(),
        since=_moment("--since", since),
        until=_moment("--until", until),
    )
    if form not in (None, "ndjson", "csv", "json"):
        raise typer.BadParameter(f"{form!r} is not ndjson, csv or json", param_hint="--format")
    reading = SourceOptions(
        cast(SourceFormat | None, form), delimiter or toml.get("delimiter"), encoding or toml.get("encoding"), raw
    )
    target = Target(url, api_key, in_flight, quiet, replace)
    if users is not None and not dry_run:
        _import_users(users, SourceOptions(is_raw=raw), target, options.namespace)
    if file is None and sql is None:
        return
    beside = None if file in (None, "-") else file
    if beside is None and state is None and not dry_run:
        raise typer.BadParameter(
            "stdin and --sql need a file in which to note how far the import is", param_hint="--state"
        )
    digest = blake2b(repr((options, reading, replace)).encode(), digest_size=16).hexdigest()
    try:
        with closing(query_source(str(sql_url), sql) if file is None else open_source(file, reading)) as source:  # type: ignore[arg-type]
            kind = "ndjson" if source.form is None else "csv"
            where = refused or Path(f"{beside or state or 'import'}.refused.{kind}")
            notes = None if dry_run else StateFile(state or Path(f"{beside}.import"))
            done = _import(source, GrantMapping(options), target, notes, where, digest, is_restart=restart)
    except (SourceFault, ImportStop) as error:
        raise FindingError(str(error)) from None
    if done.counts.get("refused"):
        raise typer.Exit(1)


def _import_users(name: str, reading: SourceOptions, target: Target, namespace: str | None) -> None:
    """Imports users, and reports. FindingError if one is refused: grants wait until it is mended."""

    async def work(source: Source) -> UserImport:
        async with ImportClient(target.url, target.key, connections=USERS_AT_ONCE) as client:
            users = UserImport(client, namespace)
            await users.run(source.rows)
        return users

    try:
        with closing(open_source(name, reading)) as source:
            done = asyncio.run(work(source))
    except (SourceFault, ImportStop) as error:
        raise FindingError(str(error)) from None
    print(f"{done.counts['users']:,} users, {done.counts['refused']:,} refused")
    if done.refusals:
        raise FindingError(*(f"{name} line {one.row.line}: {one.code}: {one.reason}" for one in done.refusals))


def _import(
    source: Source,
    mapping: GrantMapping,
    target: Target,
    notes: StateFile | None,
    refused: Path,
    digest: str,
    *,
    is_restart: bool,
) -> ImportState:
    """Imports a source, and reports. notes: None: a dry run. SourceFault, ImportStop."""
    refusals: RefusalFile | None = None
    try:
        if notes is None:
            state = ImportState(source.identity, digest)
        else:
            state = notes.load(source.identity, digest, is_restart=is_restart)
            refusals = RefusalFile(refused, source.form, size=state.refused_bytes)
        if state.rows:
            print(f"leaderboard: goes on behind row {state.rows:,}", file=sys.stderr)
        asyncio.run(_run(source, mapping, target, state, notes, refusals))
        if notes is not None:
            notes.remove()
    finally:
        if refusals is not None:
            refusals.close()
        if notes is not None:
            notes.close()
    _report(state, mapping, refused, is_dry=notes is None)
    return state


async def _run(
    source: Source,
    mapping: GrantMapping,
    target: Target,
    state: ImportState,
    notes: StateFile | None,
    refusals: RefusalFile | None,
) -> None:
    with progress(quiet=target.is_quiet, verb="imported", unit="rows") as bar:
        bar.at(source.identity.name)
        async with ImportClient(target.url, target.key, connections=target.in_flight + 2) as client:
            run = ImportRun(
                source.rows,
                mapping,
                client,
                state=state,
                state_file=notes,
                refused=refusals,
                progress=bar,
                position=source.file,
                is_dry=notes is None,
                in_flight=target.in_flight,
                replaces=target.replaces,
            )
            await run.run()


def _report(state: ImportState, mapping: GrantMapping, refused: Path, *, is_dry: bool) -> None:
    """What became of the rows, on stdout."""
    counts = state.counts
    new = "would be new" if is_dry else "new"
    parts = [f"{counts.get('would_apply' if is_dry else 'applied', 0):,} {new}"]
    parts.append(f"{counts.get('duplicate', 0):,} there already")
    for name, words in (
        ("edited", "edited"),
        ("quarantined", "in quarantine"),
        ("left_out", "left out by --since or --until"),
    ):
        if counts.get(name):
            parts.append(f"{counts[name]:,} {words}")
    parts.append(f"{counts.get('refused', 0):,} refused")
    print(f"{count_text(state.rows, 'row')}: {', '.join(parts)}")
    for code, reason in sorted(state.reasons.items(), key=lambda item: -item[1].count):
        print(f"  {code}: {reason.count:,}, first in line {reason.line}: {reason.reason}")
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


def _read_toml(path: Path | None) -> dict[str, Any]:
    if path is None:
        return {}
    try:
        toml = tomllib.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise typer.BadParameter(f"{path}: {error}", param_hint="--mapping") from None
    unknown = sorted(toml.keys() - set(_TOML_KEYS))
    if unknown:
        raise typer.BadParameter(f"{path}: {unknown[0]!r} is none of {', '.join(_TOML_KEYS)}", param_hint="--mapping")
    return toml


def _pairs(flag: str, first: dict[str, str], texts: list[str] | None) -> dict[str, str]:
    """Fields with their columns or texts."""
    pairs = dict(first)
    for text in texts or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise typer.BadParameter(f"{text!r} is not FIELD=…", param_hint=flag)
        pairs[name] = value
    for name in pairs:
        if name not in GRANT_FIELDS:
            raise typer.BadParameter(f"{name!r} is none of {', '.join(GRANT_FIELDS)}", param_hint=flag)
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
