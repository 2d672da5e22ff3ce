"""`leaderboard keys create|list|revoke`."""

import asyncio
from typing import Annotated

import typer

from ..access.keys import PATTERN_RULE, SCOPES, can_match
from ..admin.api_keys import create_key, revoke_key
from ..drivers.postgres import Postgres
from ..settings import read_settings
from .finding import FindingError

key_commands = typer.Typer(no_args_is_help=True, help="API keys.")


@key_commands.command("create")
def create(
    scope: Annotated[list[str], typer.Option(help="read, write or admin, with a namespace pattern: write:f1-*")],
) -> None:
    """Makes a key and shows it once."""
    for granted in scope:
        name, _, pattern = granted.partition(":")
        if name not in SCOPES or not pattern:
            raise typer.BadParameter(
                f"{granted!r} is not <{'|'.join(SCOPES)}>:<namespace pattern>", param_hint="--scope"
            )
        if not can_match(pattern):
            raise typer.BadParameter(f"no namespace can match {pattern!r}: {PATTERN_RULE}", param_hint="--scope")
    settings = read_settings()
    print(asyncio.run(create_key(settings, scope)))


@key_commands.command("list")
def list_keys() -> None:
    """Lists the keys that were created, without their secrets. A bootstrap key is a setting (LEADERBOARD_API_KEY; dev
    shows its own) and is not listed."""
    rows = asyncio.run(Postgres(read_settings().postgres_url).fetch("get_keys"))
    for row in rows:
        state = "revoked" if row["revoked_at"] else "active"
        print(f"{row['id']}\t{state}\t{','.join(row['scopes'])}\t{row['created_at']:%Y-%m-%dT%H:%M:%SZ}")


@key_commands.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revokes a key, everywhere."""
    settings = read_settings()
    if not asyncio.run(revoke_key(settings, key_id)):
        raise FindingError(f"there is no active key {key_id!r}")
