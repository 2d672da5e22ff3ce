"""`leaderboard recover`: what Redis lost of the ledger comes back."""

import asyncio
from typing import Annotated

import typer

from ..logs import configure
from ..recover.progress import RebuildMoved
from ..recover.recovery import recover as recover_partitions
from ..settings import Settings, read_settings
from ..tune_gc import tune_gc
from .finding import FindingError


def recover(
    partition: Annotated[int | None, typer.Option(help="One partition; without it: all that are closed.")] = None,
    quiet: Annotated[bool, typer.Option(help="No progress.")] = False,
) -> None:
    """Puts back what Redis lost of the ledger, and opens partitions that were closed for a loss; tells what nobody has
    any more. Exit 1 where one stays closed. A recovery that was killed goes on where it was when it is started again.
    """
    settings = read_settings()
    configure(settings.log_level)
    if not asyncio.run(_recover(settings, partition, quiet)):
        raise typer.Exit(1)


async def _recover(settings: Settings, partition: int | None, quiet: bool) -> bool:
    # Imported here, because it takes a while and most commands draw no progress bar.
    from ..verify.progress import progress

    tune_gc()
    is_whole, count = True, 0
    with progress(quiet=quiet, verb="written") as bar:
        try:
            async for recovery in recover_partitions(settings, bar, partition):
                print(f"partition {recovery.partition}: {recovery.text}", flush=True)
                is_whole, count = is_whole and recovery.is_open, count + 1
        except RebuildMoved as error:
            raise FindingError(str(error)) from None
    if not count:
        print("ok: no partition is closed")
    return is_whole
