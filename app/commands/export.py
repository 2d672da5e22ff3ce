"""`leaderboard export`: everything that a deployment holds, as of one cut of the ledger."""

import asyncio
import os
import sys
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, BinaryIO

import msgspec
import typer

from ..model.errors import Invalid, NamespaceNotFound
from ..model.micros import EARLIEST
from ..model.text import count_text
from ..settings import read_settings
from ..store.ledger_snapshot import LedgerSnapshot
from ..transfer.export_formats import Format, FormatMissing, writer_of
from ..transfer.export_manifest import Manifest, manifest_of
from ..transfer.export_output import manifest_path, open_output, whole_file
from ..transfer.export_person import write_person
from ..transfer.export_rows import Selection, rows_of
from ..transfer.export_tables import TABLES, What
from ..transfer.import_times import option_moment
from .finding import FindingError

_ENDINGS: dict[str, Format] = {".csv": "csv", ".parquet": "parquet"}


def export(
    what: Annotated[What | None, typer.Argument(help="What to export; not with --user.")] = None,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this one, or those of a pattern such as f1-*; may be given again.")
    ] = None,
    output: Annotated[Path | None, typer.Option(help="A file, which is there as a whole or not at all.")] = None,
    form: Annotated[
        Format | None, typer.Option("--format", help="Without it: as the file's name ends, else ndjson.")
    ] = None,
    packed: Annotated[
        bool, typer.Option("--gzip", help="Packs the output, as a name that ends with .gz does.")
    ] = False,
    since: Annotated[
        str | None, typer.Option(help="Grants or revisions recorded behind a seq, or since a time.")
    ] = None,
    window: Annotated[str | None, typer.Option(help="Of boards: only this window's.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="CSV: texts that look like formulas stay as they are.")] = False,
    user: Annotated[str | None, typer.Option(help="All that is kept of one person, as one JSON object.")] = None,
) -> None:
    """Writes all that a deployment holds: grants that count, all their revisions, boards, standings, profiles or
    namespaces. All rows are as of one cut of the ledger, which the manifest tells: `<file>.manifest.json`, or a line of
    JSON on stderr."""
    settings = read_settings()
    if (what is None) == (user is None):
        raise typer.BadParameter("say what to export, or --user", param_hint="WHAT")
    if since is not None and what not in ("grants", "revisions"):
        raise typer.BadParameter("only grants and revisions have it", param_hint="--since")
    if window is not None and what != "boards":
        raise typer.BadParameter("only boards have it", param_hint="--window")
    if user is not None and form not in (None, "ndjson"):
        raise typer.BadParameter("a person's data is one JSON object", param_hint="--format")
    form = form or ("ndjson" if output is None else _format_of(output))
    if raw and form != "csv":
        raise typer.BadParameter("only csv has it", param_hint="--raw")
    is_gzip = packed or (output is not None and output.suffix == ".gz")
    if form == "parquet" and (output is None or is_gzip):
        raise typer.BadParameter("parquet needs --output, and packs itself", param_hint="--format")
    work = _Export(settings.postgres_url, namespace or [], output, is_gzip=is_gzip)
    try:
        if user is not None:
            asyncio.run(work.person(user))
        elif what is not None:
            _print(asyncio.run(work.table(what, form, since, window, is_raw=raw)), output)
    except (FormatMissing, Invalid) as error:
        raise typer.BadParameter(str(error)) from None
    except BrokenPipeError:
        # Who read has seen enough. Python would complain once more when it flushes stdout at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except OSError as error:
        raise FindingError(f"{output or 'stdout'}: {error.strerror}") from None


def _format_of(path: Path) -> Format:
    """By the end of a file's name, in front of `.gz`."""
    return _ENDINGS.get(path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix, "ndjson")


class _Export:
    """One run of the command."""

    def __init__(self, postgres_url: str, patterns: list[str], output: Path | None, *, is_gzip: bool) -> None:
        self._postgres_url = postgres_url
        self._patterns = patterns
        self._output = output
        self._is_gzip = is_gzip

    async def table(self, what: What, form: Format, since: str | None, window: str | None, *, is_raw: bool) -> Manifest:
        """Writes a table. NamespaceNotFound, StoreUnavailable, Invalid, FormatMissing, OSError."""
        count, table = 0, TABLES[what]
        async with LedgerSnapshot.open(self._postgres_url) as snapshot:
            selection = _since(await self._select(snapshot), since)._replace(window=window)
            with open_output(self._output, _stdout(), is_gzip=self._is_gzip) as out:
                writer = writer_of(form, out.file, table, is_raw=is_raw)
                async for rows in rows_of(what, snapshot, selection):
                    writer.write(rows)
                    count += len(rows)
                writer.close()
            return await manifest_of(what, snapshot, selection, rows=count, sha256=out.sha256)

    async def person(self, user: str) -> None:
        """Writes what is kept of a user. FindingError, StoreUnavailable, OSError."""
        async with LedgerSnapshot.open(self._postgres_url) as snapshot:
            selection = await self._select(snapshot)
            row = await snapshot.fetch("get_user_numbers", [user])
            if not row:
                raise FindingError(f"nothing is kept of {user!r}")
            with open_output(self._output, _stdout(), is_gzip=self._is_gzip) as out:
                await write_person(snapshot, selection, user, row[0]["number"], out.file)

    async def _select(self, snapshot: LedgerSnapshot) -> Selection:
        """The namespaces of the patterns. NamespaceNotFound for one that fits none."""
        everything = await snapshot.namespaces()
        for pattern in self._patterns:
            if not any(fnmatchcase(one.name, pattern) for one in everything):
                raise NamespaceNotFound(f"there is no namespace {pattern!r}")
        chosen = {
            one.id: one
            for one in everything
            if not self._patterns or any(fnmatchcase(one.name, pattern) for pattern in self._patterns)
        }
        return Selection(chosen, is_whole=len(chosen) == len(everything))


def _since(selection: Selection, text: str | None) -> Selection:
    """The selection behind a seq, or since a time or a day in UTC. Invalid."""
    if text is None:
        return selection
    if text.isascii() and text.isdigit():
        if len(selection.partitions) > 1:
            raise Invalid("a seq is of one partition: choose namespaces of one, or give a time", field="--since")
        return selection._replace(since_seq=int(text))
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return selection._replace(since=option_moment(text, "--since"))
    return selection._replace(since=max(EARLIEST, datetime(day.year, day.month, day.day, tzinfo=UTC)))


def _stdout() -> BinaryIO:
    return sys.stdout.buffer


def _print(manifest: Manifest, output: Path | None) -> None:
    """The manifest beside the file, or on stderr; a note of what only boards tell."""
    text = msgspec.json.encode(manifest)
    if output is None or not output.is_file():
        typer.echo(text.decode(), err=True)
    else:
        path = manifest_path(output)
        with whole_file(path) as file:
            file.write(msgspec.json.format(text) + b"\n")
        typer.echo(f"{count_text(manifest.rows, 'row')} in {output}; their cut is in {path.name}", err=True)
    for name, users in manifest.lost_users.items():
        typer.echo(
            f"note: {name}: Postgres lost entries of {count_text(users, 'user')}; no grant tells their part", err=True
        )
