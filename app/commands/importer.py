"""`leaderboard import`."""

import asyncio
import sys
from contextlib import ExitStack, closing
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import typer

from ..model.text import count_text
from ..transfer.import_client import ImportClient, ImportStop
from ..transfer.import_grant_ids import GrantIds
from ..transfer.import_mapping import GrantMapping, MappingOptions
from ..transfer.import_reasons import reason_lines
from ..transfer.import_refusals import RefusalFile
from ..transfer.import_run import IN_FLIGHT_MAX, ImportRun
from ..transfer.import_state import ImportState, StateFile
from ..transfer.import_users import USERS_AT_ONCE, UserImport
from ..transfer.import_voids import MissingGrants, VoidOptions, VoidOutcome
from ..transfer.source import Source, SourceOptions, open_source, query_source
from ..transfer.source_row import SourceFault
from ..verify.progress import progress
from . import import_options as given
from .finding import FindingError
from .import_report import print_rows, print_voids


class ImportJob(NamedTuple):
    """One import. file, sql: one of them, and the other None; voids: None: what no row names stays as it is."""

    mapping: MappingOptions
    reading: SourceOptions
    target: given.ImportTarget
    file: str | None
    sql: str | None
    sql_url: str | None
    state: Path | None
    refused: Path | None
    voids: VoidOptions | None
    is_dry: bool
    is_restart: bool

    @property
    def beside(self) -> str:
        """What the files of the import are named by. BadParameter where nothing names them."""
        if self.file not in (None, "-"):
            return str(self.file)
        if self.state is None and not self.is_dry:
            raise typer.BadParameter(
                "stdin and --sql need a file in which to note how far the import is", param_hint="--state"
            )
        return str(self.state or "import")

    @property
    def digest(self) -> str:
        """Of all that decides what rows become."""
        return blake2b(repr((self.mapping, self.reading, self.target.replaces)).encode(), digest_size=16).hexdigest()

    def open(self) -> Source:
        """The rows. SourceFault."""
        if self.file is not None:
            return open_source(self.file, self.reading)
        return query_source(str(self.sql_url), str(self.sql))


def import_(
    file: given.File = None,
    url: given.Url = "http://127.0.0.1:8000",
    api_key: given.ApiKey = None,
    namespace: given.NamespaceName = None,
    map_: given.Columns = None,
    set_: given.Constants = None,
    mapping: given.MappingFile = None,
    form: given.Form = None,
    delimiter: given.Delimiter = None,
    encoding: given.Encoding = None,
    raw: given.Raw = False,
    grant_id: given.IdTemplate = None,
    digest_ids: given.DigestIds = False,
    timezone: given.Timezone = None,
    time_format: given.TimeFormat = None,
    opening: given.Opening = None,
    since: given.Since = None,
    until: given.Until = None,
    skip_empty: given.SkipEmpty = None,
    replace: given.Replace = False,
    void_missing: given.VoidMissing = False,
    source: given.SourceName = None,
    confirm: given.Confirm = None,
    yes: given.Yes = False,
    users: given.Users = None,
    dry_run: given.DryRun = False,
    state: given.State = None,
    refused: given.Refused = None,
    restart: given.Restart = False,
    sql: given.Sql = None,
    sql_url: given.SqlUrl = None,
    in_flight: given.InFlight = IN_FLIGHT_MAX,
    quiet: given.Quiet = False,
) -> None:
    """Imports grants, however old. What is there already stays; a refused row is told and goes into a file. After a
    kill the same command goes on. Exit 1 if rows were refused."""
    if (file is not None and sql is not None) or (users or file or sql) is None:
        raise typer.BadParameter("give a FILE, or --sql, or --users")
    if sql is not None and sql_url is None:
        raise typer.BadParameter("--sql needs --sql-url")
    toml = given.read_toml(mapping)
    flags = {"namespace": namespace, "grant_id": grant_id, "timezone": timezone, "time_format": time_format}
    moments = {"since": since, "until": until, "opening": opening}
    has_grants = file is not None or sql is not None
    columns = map_ if has_grants else None
    rules = given.mapping_of(toml, columns, set_, has_digest_ids=digest_ids, skip_empty=skip_empty, **moments, **flags)
    reading = given.reading_of(form, toml, delimiter=delimiter, encoding=encoding, is_raw=raw)
    voids = given.voids_of(rules, source, confirm, is_on=void_missing, is_confirmed=yes, is_dry=dry_run)
    target = given.ImportTarget(url, api_key, in_flight, quiet, replace)
    if users is not None:
        # Beside grants, what is said of columns and files is of theirs.
        user_columns = {} if has_grants else given.user_columns(toml, map_)
        own_reading = SourceOptions(is_raw=raw) if has_grants else reading
        _import_users(users, own_reading, target, rules.namespace, user_columns, is_dry=dry_run)
    if not has_grants:
        if voids is not None:
            raise typer.BadParameter("needs a FILE, or --sql", param_hint="--void-missing")
        return
    job = ImportJob(
        mapping=rules,
        reading=reading,
        target=target,
        file=file,
        sql=sql,
        sql_url=sql_url,
        state=state,
        refused=refused,
        voids=voids,
        is_dry=dry_run,
        is_restart=restart,
    )
    if not _import(job):
        raise typer.Exit(1)


def _tell_wait(why: str) -> None:
    print(f"leaderboard: waits: {why}", file=sys.stderr, flush=True)


def _import_users(
    name: str,
    reading: SourceOptions,
    target: given.ImportTarget,
    namespace: str | None,
    columns: dict[str, str],
    *,
    is_dry: bool,
) -> None:
    """Imports users, and reports. FindingError if one is refused: grants wait until it is mended."""

    async def work(source: Source) -> UserImport:
        verb = "checked" if is_dry else "imported"
        with progress(quiet=target.is_quiet, verb=verb) as bar:
            bar.at(source.identity.name)
            async with ImportClient(target.url, target.key, connections=USERS_AT_ONCE, notice=_tell_wait) as client:
                users = UserImport(client, namespace, columns, bar, is_dry=is_dry)
                await users.run(source.rows)
        return users

    try:
        with closing(open_source(name, reading)) as source:
            done = asyncio.run(work(source))
    except (SourceFault, ImportStop) as error:
        raise FindingError(str(error)) from None
    what = " would be sent" if is_dry else ""
    print(f"{count_text(done.counts['users'], 'user')}{what}, {done.counts['refused']:,} refused")
    if done.reasons:
        raise FindingError(*(f"{name}: {line}" for line in reason_lines(done.reasons)))


def _import(job: ImportJob) -> bool:
    """Imports a source, and reports. Whether nothing was refused. FindingError where it stopped, or where nothing could
    be voided; BadParameter."""
    mapping, beside = GrantMapping(job.mapping), job.beside
    notes = None if job.is_dry else StateFile(job.state or Path(f"{beside}.import"))
    refusals: RefusalFile | None = None
    try:
        with closing(job.open()) as source:
            path = job.refused or Path(f"{beside}.refused.{'ndjson' if source.form is None else 'csv'}")
            if notes is None:
                state = ImportState(source.identity, job.digest)
            else:
                state = notes.load(source.identity, job.digest, is_restart=job.is_restart)
                refusals = RefusalFile(path, source.form, size=state.refused_bytes)
            if state.rows:
                print(
                    f"leaderboard: goes on behind row {state.rows:,}; what was sent behind it before is there already",
                    file=sys.stderr,
                )
            outcome, lag = asyncio.run(_run(source, mapping, job, state, notes, refusals))
        if notes is not None:
            notes.remove()
    except (SourceFault, ImportStop) as error:
        raise FindingError(str(error)) from None
    finally:
        if refusals is not None:
            refusals.close()
        if notes is not None:
            notes.close()
    print_rows(state, mapping, path, is_dry=job.is_dry)
    if lag and not (job.target.is_quiet or job.is_dry):
        print(
            f"leaderboard: the ledger lacks {lag:,} entries yet: compare when lag_seq in /readyz is 0", file=sys.stderr
        )
    if job.voids is not None and outcome is not None:
        print_voids(job.voids, outcome, is_dry=job.is_dry)
        if outcome.obstacle:
            raise FindingError(f"nothing is voided: {outcome.obstacle}")
    return not state.counts.get("refused") and (outcome is None or outcome.is_clean)


async def _run(
    source: Source,
    mapping: GrantMapping,
    job: ImportJob,
    state: ImportState,
    notes: StateFile | None,
    refusals: RefusalFile | None,
) -> tuple[VoidOutcome | None, int]:
    """Imports the rows, then voids what none of them names. Also how many entries the ledger lacks at the end, as far
    as the server tells. ImportStop, SourceFault."""
    verb = "checked" if job.is_dry else "imported"
    with progress(quiet=job.target.is_quiet, verb=verb, unit="rows") as bar, ExitStack() as stack:
        bar.at(source.identity.name)
        folder = ids = None
        if job.voids is not None:
            folder = Path(stack.enter_context(TemporaryDirectory(prefix="leaderboard-import-")))
            ids = stack.enter_context(closing(GrantIds(folder)))
        client = ImportClient(job.target.url, job.target.key, connections=job.target.in_flight + 2, notice=_tell_wait)
        async with client:
            run = ImportRun(
                source.rows,
                mapping,
                client,
                state=state,
                state_file=notes,
                refused=refusals,
                progress=bar,
                position=source.position,
                is_dry=job.is_dry,
                in_flight=job.target.in_flight,
                replaces=job.target.replaces,
                ids=ids,
            )
            await run.run()
            if job.voids is None or ids is None or folder is None or mapping.namespace is None:
                return None, await client.lag()
            missing = MissingGrants(client, mapping.namespace, ids, folder / "missing")
            outcome = await missing.void(job.voids, mapping.latest, source.identity.name, is_dry=job.is_dry)
            return outcome, await client.lag()
