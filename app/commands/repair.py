"""`leaderboard repair`: writes the namespaces anew whose numbers in Redis are not what the ledger says."""

import asyncio
from typing import Annotated

import typer

from ..logs import configure
from ..settings import Settings, read_settings
from ..verify.report import repair_cure
from .rebuild import rebuild_targets
from .verify import print_findings, verify_stores


def repair(
    quiet: Annotated[bool, typer.Option(help="No progress.")] = False,
    namespace: Annotated[
        list[str] | None, typer.Option(help="Only this namespace and its partition's ledger; may be given again.")
    ] = None,
) -> None:
    """Verifies, rebuilds in place each namespace of which Redis differs from the ledger, and verifies these again; exit
    1 where something is still wrong, such as a row of the ledger itself."""
    settings = read_settings()
    configure(settings.log_level)
    asyncio.run(_repair(settings, quiet, namespace or []))


async def _repair(settings: Settings, quiet: bool, names: list[str]) -> None:
    report = await verify_stores(settings, quiet, names)
    damaged = sorted({finding.where for finding in report.findings if finding.cure == repair_cure(finding.where)})
    for name in damaged:
        await rebuild_targets(settings, None, name, quiet)
    if damaged:
        again = await verify_stores(settings, quiet, damaged)
        others = [finding for finding in report.findings if finding.where not in damaged]
        for finding in others:
            again.note(finding.where, finding.what, cure=finding.cure)
        report = again
    print_findings(report)
    if report.findings:
        raise typer.Exit(1)
