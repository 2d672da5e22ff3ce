"""`leaderboard keys create|list|rotate|revoke`."""

import asyncio
from typing import Annotated

import typer

from ..admin.api_keys import create_key, revoke_key, rotate_key
from ..admin.key_registry import GRACE_S_MAX, NewSecret, check_new_key
from ..drivers.postgres import Postgres
from ..model.errors import Invalid
from ..settings import read_settings
from .finding import FindingError

key_commands = typer.Typer(no_args_is_help=True, help="API keys.")
_Id = Annotated[str, typer.Argument(metavar="ID")]


@key_commands.command("create")
def create(
    scope: Annotated[list[str], typer.Option(help="read, write or admin, with a namespace pattern: write:f1-*")],
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
) -> None:
    """Makes a key and shows it once."""
    try:
        check_new_key(scope, name)
    except Invalid as error:
        hint = "--name" if error.field == "$.name" else "--scope"
        raise typer.BadParameter(error.detail, param_hint=hint) from None
    _show(asyncio.run(create_key(read_settings(), scope, name)))


@key_commands.command("list")
def list_keys() -> None:
    """Lists the keys that were created, without their secrets: id, state, scopes, when they were made, name. A
    bootstrap key is a setting (LEADERBOARD_API_KEY; dev shows its own) and is not listed."""
    rows = asyncio.run(Postgres(read_settings().postgres_url).fetch("get_keys"))
    for row in rows:
        state = "revoked" if row["revoked_at"] else "active"
        made = f"{row['created_at']:%Y-%m-%dT%H:%M:%SZ}"
        print("\t".join((row["id"], state, ",".join(row["scopes"]), made, row["name"] or "")).rstrip())


@key_commands.command("rotate")
def rotate(
    key_id: _Id,
    grace: Annotated[
        int, typer.Option(min=0, max=GRACE_S_MAX, help="Seconds for which the old secret is good, too.")
    ] = 0,
) -> None:
    """Gives a key a new secret and shows it once. Its id, its scopes and its webhooks stay."""
    _show(asyncio.run(rotate_key(read_settings(), key_id, grace)))


@key_commands.command("revoke")
def revoke(key_id: _Id) -> None:
    """Revokes a key, everywhere."""
    settings = read_settings()
    if not asyncio.run(revoke_key(settings, key_id)):
        raise FindingError(f"there is no active key {key_id!r}")


def _show(made: NewSecret) -> None:
    """FindingError where the servers do not know it yet: nobody will see the secret again."""
    print(made.token)
    if made.failure is not None:
        raise FindingError(f"it is recorded, and the servers learn of it once Redis takes it: {made.failure}")
