"""`leaderboard compare`: a board beside another system's totals."""

import asyncio
from collections.abc import Iterable, Sequence
from contextlib import closing
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import typer

from ..admin.move_events import lock_events
from ..drivers.postgres import Postgres
from ..model.errors import Invalid, NamespaceNotFound
from ..model.micros import to_micros
from ..settings import read_settings
from ..store.ledger_snapshot import LedgerSnapshot
from ..transfer.compare_figures import Comparison
from ..transfer.compare_legacy import LegacyColumns, LegacyLine, batches, legacy_lines, parse_max_diff
from ..transfer.compare_page import as_page
from ..transfer.compare_report import as_json, as_text, figures_json
from ..transfer.compare_run import NAMED_DEFAULT, NAMED_MAX, Question
from ..transfer.compare_run import compare as run_comparison
from ..transfer.import_times import option_moment
from ..transfer.source import SourceOptions, open_source, query_source
from ..transfer.source_row import SourceFault
from .finding import FindingError

#: Who compares and cuts over, in events.
ACTOR = "cli"
_FORMATS = {"text": as_text, "json": as_json, "html": as_page}


class _Request(NamedTuple):
    """What the command asks for."""

    namespace: str
    window: str
    category: str | None
    as_of: datetime | None
    max_diff: Decimal
    top: int
    named: int
    source: str


def compare(
    namespace: Annotated[str, typer.Option(help="The namespace to compare.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="[LEGACY.csv]", help="Totals: CSV, NDJSON or a JSON array; - is stdin."),
    ] = None,
    sql: Annotated[str | None, typer.Option(metavar="QUERY", help="Rows of a query instead of a file.")] = None,
    sql_url: Annotated[str | None, typer.Option(envvar="LEADERBOARD_SQL_URL", help="Of its Postgres.")] = None,
    window: Annotated[
        str, typer.Option(help="The board: all, a window's name, or a period's for its current one.")
    ] = "all",
    category: Annotated[str | None, typer.Option(help="Only grants of this category.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="When their totals were taken: grants with a later granted_at do not count.")
    ] = None,
    max_diff: Annotated[str, typer.Option(help="The difference of a score that is let pass.")] = "0",
    top: Annotated[int, typer.Option(min=2, max=100_000, help="How many users make a top.")] = 1_000,
    named: Annotated[
        int, typer.Option(min=1, max=NAMED_MAX, help="How many users of each kind are named.")
    ] = NAMED_DEFAULT,
    user_column: Annotated[str, typer.Option(help="The column of users.")] = "user_id",
    score_column: Annotated[str, typer.Option(help="The column of scores.")] = "score",
    delimiter: Annotated[str | None, typer.Option(help="Of a CSV; else the commonest of , ; tab |.")] = None,
    encoding: Annotated[str | None, typer.Option(help="Of a CSV; utf-8.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="An apostrophe before = + - @ stays part of a cell.")] = False,
    form: Annotated[Literal["text", "json", "html"], typer.Option("--format", help="What is printed.")] = "text",
    output: Annotated[Path | None, typer.Option(help="A file for it, instead of stdout.")] = None,
) -> None:
    """Compares a board with the totals of another system, user by user, and keeps the figures in Postgres. A user who
    is missing on a side counts as 0 there. Exit 0 where no score differs by more than --max-diff, 1 where one does,
    where their totals contradict themselves, or where a line cannot be read."""
    settings = read_settings()
    if (file is None) == (sql is None):
        raise typer.BadParameter("give a file, or --sql", param_hint="LEGACY.csv")
    if sql is not None and sql_url is None:
        raise typer.BadParameter("--sql needs --sql-url", param_hint="--sql")
    columns = LegacyColumns(user_column, score_column)
    try:
        request = _Request(
            namespace=namespace,
            window=window,
            category=category,
            as_of=None if as_of is None else option_moment(as_of, "--as-of"),
            max_diff=parse_max_diff(max_diff),
            top=top,
            named=named,
            source=file or "a query on another Postgres",
        )
        reading = SourceOptions(None, delimiter, encoding, raw)
        with closing(query_source(str(sql_url), str(sql)) if file is None else open_source(file, reading)) as source:
            lines = batches(legacy_lines(source.rows, columns))
            comparison = asyncio.run(_compare(settings.postgres_url, request, lines))
    except Invalid as error:
        raise typer.BadParameter(str(error)) from None
    except SourceFault as error:
        raise FindingError(str(error)) from None
    _write(_FORMATS[form](comparison), output)
    if not comparison.is_equal:
        raise typer.Exit(1)


def _write(text: str, output: Path | None) -> None:
    """To a file, or to stdout. FindingError."""
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        output.write_text(text)
    except OSError as error:
        raise FindingError(f"{output}: {error.strerror}") from None


async def _compare(postgres_url: str, request: _Request, lines: Iterable[Sequence[LegacyLine]]) -> Comparison:
    """Compares, and keeps the figures. NamespaceNotFound, Invalid, StoreUnavailable, and what `lines` raises."""
    async with LedgerSnapshot.open(postgres_url) as snapshot:
        question = await _question(snapshot, request)
        comparison = await run_comparison(snapshot, question, lines)
    await _keep(postgres_url, question, comparison)
    return comparison


async def _question(snapshot: LedgerSnapshot, request: _Request) -> Question:
    namespaces = {namespace.name: namespace for namespace in await snapshot.namespaces()}
    if request.namespace not in namespaces:
        raise NamespaceNotFound(f"there is no namespace {request.namespace!r}")
    namespace = namespaces[request.namespace]
    window = namespace.calendar.find(request.window, to_micros(snapshot.at))
    if window is None:
        raise Invalid(f"{request.namespace!r} has no board {request.window!r}", field="--window")
    return Question(
        namespace=namespace,
        window=window,
        category=request.category,
        source=request.source,
        as_of=request.as_of,
        max_diff=request.max_diff,
        top=request.top,
        named=request.named,
    )


async def _keep(postgres_url: str, question: Question, comparison: Comparison) -> None:
    """Records the figures, by which `leaderboard cutover` knows that both sides agree. StoreUnavailable."""
    postgres = Postgres(postgres_url)
    try:
        async with postgres.writes.transaction() as fetch:
            await lock_events(fetch)
            await fetch(
                "record_comparison",
                *(question.namespace.id, comparison.window, comparison.category, comparison.source, comparison.as_of),
                *(comparison.partition, comparison.epoch, comparison.seq, comparison.max_diff),
                *(comparison.figures.largest_difference, comparison.figures.findings, figures_json(comparison)),
                ACTOR,
            )
    finally:
        await postgres.close()
