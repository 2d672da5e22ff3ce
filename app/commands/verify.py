"""`leaderboard verify`."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ..admin.store_agreement import check_together, find_chain, find_partitions
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..logs import configure
from ..model.text import count_text
from ..settings import Settings, read_settings
from ..verify.connections import StoreConnections, close_all
from ..verify.ledger_chain import ChainVerifier
from ..verify.report import Report
from ..verify.verifier import COMPARERS, Verifier
from .chain import find_anchors


def verify(
    quiet: Annotated[bool, typer.Option(help="Nothing but what was found.")] = False,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this namespace and its partition's ledger; may be given again.")
    ] = None,
    chain: Annotated[
        bool, typer.Option("--chain", help="Only the ledger's hashes: rows that were changed, removed or inserted.")
    ] = False,
    anchor: Annotated[
        Path | None, typer.Option(help="What `leaderboard chain head` printed earlier; with --chain.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="The key file of that; with --anchor.")] = None,
) -> None:
    """Compares Redis with the ledger, and the ledger with itself, while writes go on; exit 1 where they differ."""
    settings = read_settings()
    configure(settings.log_level)
    if (anchor is not None and not chain) or (key is not None and anchor is None):
        raise typer.BadParameter("--anchor goes with --chain, and --key with --anchor")
    if chain and namespace:
        raise typer.BadParameter("--chain looks at whole partitions: leave --namespace out")
    if chain:
        _verify_chain(settings, quiet, anchor, key)
        return
    report = asyncio.run(verify_stores(settings, quiet, namespace or []))
    print_findings(report)
    if report.findings:
        raise typer.Exit(1)
    if not quiet:
        numbers, spaces = count_text(report.numbers, "number"), count_text(report.namespaces, "namespace")
        print(f"ok: compared {numbers} in {spaces}, and nothing differs from the ledger")


def _verify_chain(settings: Settings, quiet: bool, anchor: Path | None, key: Path | None) -> None:
    verifier = asyncio.run(verify_chain(settings, quiet, anchor, key))
    print_findings(verifier.report)
    if not quiet:
        for p, rows in verifier.unchained.items():
            print(
                f"partition {p}: {count_text(rows, 'row')} from before there were hashes: nothing is known of that part"
            )
        for p, rows in verifier.lost.items():
            print(f"partition {p}: {count_text(rows, 'row')} lost, as the chain itself tells: see the events `lost`")
    if verifier.report.findings:
        raise typer.Exit(1)
    if not quiet:
        print(f"ok: walked {count_text(verifier.report.numbers, 'row')}, and nothing was changed since it was written")


async def verify_chain(
    settings: Settings, quiet: bool, anchor: Path | None = None, key: Path | None = None
) -> ChainVerifier:
    """Walks the ledger chain of every partition. FindingError for an anchor that cannot be used."""
    from ..verify.progress import progress

    postgres = Postgres(settings.postgres_url)
    try:
        ledger_chain = await find_chain(settings, postgres)
        anchors = {} if anchor is None else await find_anchors(postgres, anchor, key)
    finally:
        await postgres.close()
    with progress(quiet=quiet, verb="checked", unit="rows") as bar:
        verifier = ChainVerifier(settings.postgres_url, ledger_chain, bar, anchors)
        await verifier.run()
    return verifier


async def verify_stores(settings: Settings, quiet: bool, names: list[str]) -> Report:
    """What differs, of all or of some namespaces. quiet: without progress."""
    # Imported here, because it takes a while and no other command draws a progress bar.
    from ..verify.progress import progress

    partitions = await find_partitions(settings)
    stores = settings.redis_url, settings.postgres_url
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    try:
        wrong = await check_together(link, postgres)
    finally:
        await link.close()
        await postgres.close()
    all_stores = [await StoreConnections.open(*stores, by_index=number < COMPARERS) for number in range(COMPARERS + 2)]
    try:
        with progress(quiet=quiet) as bar:
            verifier = Verifier(all_stores[:COMPARERS], all_stores[COMPARERS], all_stores[COMPARERS + 1], bar)
            await verifier.run(partitions, wrong, names)
    finally:
        await close_all(all_stores)
    return verifier.report


def print_findings(report: Report) -> None:
    """A line for each."""
    for finding in report.findings:
        print(finding)
