"""`leaderboard cutover`: a namespace in shadow mode goes live, and back."""

import asyncio
import shlex
from collections.abc import Awaitable, Callable
from typing import Annotated

import typer

from ..admin.cutover import DUMP_MINUTES_MAX, DUMP_S_MAX, Bounds, CutoverError, CutPoint
from ..admin.cutover import Cutover as Work
from ..admin.state_gate import CommandGate
from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..model.errors import Invalid
from ..settings import read_settings
from ..store.changes import ANNOUNCE_CHANGE
from ..store.namespace_cache import SET_IF_NEWER
from ..transfer.compare_legacy import parse_max_diff
from .compare import ACTOR
from .finding import FindingError


def cutover(
    namespace: Annotated[str, typer.Option(help="The namespace.")],
    max_diff: Annotated[str, typer.Option(help="The difference of a score that is let pass.")] = "0",
    max_age: Annotated[
        int, typer.Option(min=1, max=DUMP_MINUTES_MAX, help="Minutes that may have passed since the dump's time.")
    ] = int(DUMP_S_MAX // 60),
    back: Annotated[bool, typer.Option("--back", help="Live becomes shadow again.")] = False,
    rehearse: Annotated[bool, typer.Option("--dry-run", help="Only tells what is lacking.")] = False,
) -> None:
    """Shadow mode becomes live: boards are read by all who may. It needs a comparison of the last 15 minutes, made as
    of the time of a dump that is no older than --max-age, without a difference above --max-diff, and a ledger that has
    every entry. With --back live becomes shadow, and the command is printed that exports what came since for the other
    system. Exit 1 where something is lacking."""
    if back and rehearse:
        raise typer.BadParameter("--back has no conditions to look at", param_hint="--dry-run")
    try:
        bounds = Bounds(parse_max_diff(max_diff), max_age * 60.0)
    except Invalid as error:
        raise typer.BadParameter(str(error)) from None
    try:
        if back:
            _print_back(namespace, _run(lambda work: work.go_back(namespace)))
        else:
            place = _run(lambda work: work.go_live(namespace, bounds, is_rehearsal=rehearse))
            _print_live(namespace, place, is_rehearsal=rehearse)
    except CutoverError as error:
        raise FindingError(*error.lacks) from None


def _run(step: Callable[[Work], Awaitable[CutPoint]]) -> CutPoint:
    settings = read_settings()

    async def run() -> CutPoint:
        postgres = Postgres(settings.postgres_url)
        link = RedisConnection(settings.redis_url, [SET_IF_NEWER, ANNOUNCE_CHANGE])
        try:
            return await step(Work(postgres, link, CommandGate(postgres, link), ACTOR))
        finally:
            await link.close()
            await postgres.close()

    return asyncio.run(run())


def _print_live(name: str, place: CutPoint, *, is_rehearsal: bool) -> None:
    if place.was_so:
        typer.echo(f"{name} is live already, cut over at seq {place.seq}")
    elif is_rehearsal:
        typer.echo(f"{name} can be cut over, at seq {place.seq}")
    else:
        typer.echo(f"{name} is live, cut over at seq {place.seq}; leaderboard cutover --back undoes it")


def _print_back(name: str, place: CutPoint) -> None:
    """The command alone on stdout, so that it can be run."""
    typer.echo(f"{name} is in shadow mode{' already' if place.was_so else ''}; what came since the cut-over:", err=True)
    words = ("leaderboard", "export", "revisions", "--namespace", name, "--since", str(place.seq))
    typer.echo(shlex.join((*words, "--output", f"{name}-since-{place.seq}.ndjson")))
