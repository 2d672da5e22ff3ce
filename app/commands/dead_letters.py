"""`leaderboard dead-letters list|retry|drop`: arguments and output. The work is in app/admin/dead_letters.py.

Exit codes: 0 all done, 1 something is left, 2 usage.
"""

import asyncio
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Annotated, TypeVar

import typer

from ..admin.dead_letters import (
    DECIDED_S_MAX,
    DeadLetter,
    DeadLetters,
    DecisionError,
    LetterPlace,
    parse_letter_place,
    table,
)
from ..drivers.postgres import Postgres
from ..settings import read_settings

letter_commands = typer.Typer(
    no_args_is_help=True,
    help="Entries that the boards counted and the ledger could not record: list, record again, or take off the boards.",
)
_T = TypeVar("_T")
_Places = Annotated[list[str] | None, typer.Argument(metavar="[PLACE]...", help="<partition>:<epoch>-<seq>, see list.")]
_All = Annotated[bool, typer.Option("--all", help="Every one that is listed.")]


@letter_commands.command("list")
def list_letters() -> None:
    """Lists them: place, namespace, user, grant, since when, why."""
    open_letters = _run(lambda letters: letters.open())
    for line in table(open_letters) if open_letters else ["no dead letters"]:
        typer.echo(line)


@letter_commands.command("retry")
def retry(places: _Places = None, everything: _All = False) -> None:
    """Records them in the ledger, once the cause is mended. No board moves, because they have counted since they
    came."""
    _decide("retry", places or [], everything)


@letter_commands.command("drop")
def drop(places: _Places = None, everything: _All = False) -> None:
    """Takes them off the boards, each by an entry of its own. A dropped grant is gone; a dropped correction is
    undone."""
    _decide("drop", places or [], everything)


def _decide(decision: str, texts: list[str], everything: bool) -> None:
    if bool(texts) == everything:
        raise typer.BadParameter("name some places, or --all", param_hint="PLACE")
    try:
        places = [parse_letter_place(text) for text in texts]
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="PLACE") from None

    async def work(letters: DeadLetters) -> int:
        open_letters = {letter.place: letter for letter in await letters.open()}
        return await _carry_out(letters, decision, list(open_letters) if everything else places, open_letters)

    if _run(work):
        raise typer.Exit(1)


async def _carry_out(
    letters: DeadLetters, decision: str, places: list[LetterPlace], open_letters: dict[LetterPlace, DeadLetter]
) -> int:
    """Records all decisions, then waits for all of them together. Returns how many letters stay as they were."""
    left, waiting = 0, []
    for place in places:
        try:
            if place in open_letters:
                await letters.decide(open_letters[place], decision)
                waiting.append(open_letters[place])
            elif await letters.is_settled(place):
                typer.echo(f"{place}: nothing is left to do")
            else:
                raise DecisionError(f"{place} is of a deleted namespace: nothing is left to do")
        except DecisionError as error:
            left += _print_error(error)
    until = monotonic() + DECIDED_S_MAX
    for letter in waiting:
        try:
            typer.echo(f"{letter.place}: {await letters.outcome(letter, decision, until)}")
        except DecisionError as error:
            left += _print_error(error)
    return left


def _print_error(error: DecisionError) -> int:
    typer.echo(f"leaderboard: {error}", err=True)
    return 1


def _run(work: Callable[[DeadLetters], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        postgres = Postgres(read_settings().postgres_url)
        try:
            return await work(DeadLetters(postgres))
        finally:
            await postgres.close()

    return asyncio.run(run())
