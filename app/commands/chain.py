"""`leaderboard chain head`: the ends of the ledger chains, to be kept elsewhere."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from ..admin.store_agreement import find_chain
from ..drivers.postgres import Postgres
from ..model.chain_anchor import KEY_BYTES_MIN, ChainAnchor, read_anchors, write_anchors
from ..settings import Settings, read_settings
from ..verify.chain_walk import ChainHead
from .finding import FindingError

chain_commands = typer.Typer(no_args_is_help=True, help="The ledger chain: a hash of each row over all rows before it.")


@chain_commands.callback()
def chain() -> None:
    """The ledger chain: a hash of each row over all rows before it. `leaderboard verify --chain` walks it."""


@chain_commands.command("head")
def head(
    key: Annotated[
        Path | None, typer.Option(help=f"A file of {KEY_BYTES_MIN} or more secret bytes: the text gets an HMAC by it.")
    ] = None,
) -> None:
    """Prints the hash of the last row of each partition: a line of JSON each, and one for all. Keep it out of
    reach of those who can write Postgres; `leaderboard verify --chain --anchor FILE` compares."""
    print(asyncio.run(_head(read_settings(), key)), end="")


async def _head(settings: Settings, key: Path | None) -> str:
    postgres = Postgres(settings.postgres_url)
    try:
        ledger_chain = await find_chain(settings, postgres)
        heads = [ChainHead.of_row(row) for row in await postgres.fetch("get_chain_heads")]
        deployment, now = await postgres.fetch_one("get_deployment"), await postgres.fetch_one("get_current_time")
    finally:
        await postgres.close()
    for one in heads:
        if not one.is_proven(ledger_chain):
            raise FindingError(f"partition {one.partition}: its head was changed: see leaderboard verify --chain")
    assert deployment is not None
    assert now is not None
    anchors = [ChainAnchor(one.partition, one.epoch, one.seq, one.last.hex()) for one in heads]
    return write_anchors(anchors, deployment["id"], now["now"].isoformat(timespec="seconds"), _read_key(key))


async def find_anchors(postgres: Postgres, file: Path, key: Path | None) -> dict[int, ChainAnchor]:
    """The heads that a file tells of this deployment, by partition. FindingError, StoreUnavailable."""
    try:
        text = read_anchors(_read(file).decode(), _read_key(key))
    except ValueError as error:
        raise FindingError(f"{file}: {error}") from None
    row = await postgres.fetch_one("get_deployment")
    own = None if row is None else row["id"]
    if own != text.deployment:
        raise FindingError(
            f"{file}: is of deployment {text.deployment}, and this is {own or 'none: it is not migrated'}"
        )
    return {anchor.partition: anchor for anchor in text.anchors}


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise FindingError(f"{file}: {error.strerror}") from None


def _read_key(file: Path | None) -> bytes | None:
    if file is None:
        return None
    key = _read(file)
    if len(key) < KEY_BYTES_MIN:
        raise FindingError(f"{file}: must hold {KEY_BYTES_MIN} or more bytes")
    return key
