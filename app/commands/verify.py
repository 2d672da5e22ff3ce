"""`leaderboard verify`."""

import asyncio
from typing import Annotated

import typer

from ..admin.store_agreement import check_together, find_partitions
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..logs import configure
from ..settings import Settings, read_settings
from ..verify.connections import StoreConnections, close_all
from ..verify.report import Report
from ..verify.verifier import COMPARERS, Verifier


def verify(
    quiet: Annotated[bool, typer.Option(help="Nothing but what was found.")] = False,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this namespace and its partition's ledger; may be given again.")
    ] = None,
) -> None:
    """Compares Redis with the ledger, and the ledger with itself, while writes go on; exit 1 where they differ."""
    settings = read_settings()
    configure(settings.log_level)
    report = asyncio.run(verify_stores(settings, quiet, namespace or []))
    print_findings(report)
    if report.findings:
        raise typer.Exit(1)
    if not quiet:
        spaces = "1 namespace" if report.namespaces == 1 else f"{report.namespaces} namespaces"
        print(f"ok: {report.numbers:,} numbers in {spaces} are what the ledger says")


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
        print(f"{finding.where}: {finding.what}")
