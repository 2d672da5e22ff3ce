"""`leaderboard webhooks list|put|delete|deliveries|resend`: arguments and output. The work is in app/webhooks."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeVar

import msgspec
import typer

from ..access.keys import Principal, hash_key
from ..access.secret_box import read_secret_box
from ..drivers.postgres import Postgres
from ..model.field_problem import explain
from ..model.webhook import WatchedTop, WebhookRequest, check_webhook_id
from ..settings import API_KEY, Settings, read_settings
from ..webhooks.webhook_registry import PAGE_MAX, KeyOwner, WebhookRegistry
from .finding import FindingError

webhook_commands = typer.Typer(
    no_args_is_help=True, help="Who is told of events by HTTP: make, list, delete; what was sent, and sending it again."
)
# Who may use the stores may see and change every webhook.
_OPERATOR = Principal("", ("admin:*",))
_T = TypeVar("_T")
_Id = Annotated[str, typer.Argument(metavar="ID")]


@webhook_commands.command("list")
def list_webhooks() -> None:
    """Lists them: id, state, namespaces, types, URL."""
    webhooks = _run(lambda registry, _: registry.list_all(_OPERATOR))
    for webhook in webhooks:
        state = webhook["state"] if webhook["stop_reason"] is None else f"stopped: {webhook['stop_reason']}"
        typer.echo("\t".join((webhook["id"], state, webhook["namespaces"], ",".join(webhook["types"]), webhook["url"])))
    if not webhooks:
        typer.echo("no webhooks")


@webhook_commands.command("put")
def put(
    webhook_id: _Id,
    url: Annotated[str, typer.Option(help="Where the messages go: https://…")],
    namespaces: Annotated[str, typer.Option(help="A namespace's name, or a pattern: f1-*")],
    kind: Annotated[list[str], typer.Option("--type", help="A type of events; repeatable.")],
    include: Annotated[list[str] | None, typer.Option(help="meta, reason or actor; repeatable.")] = None,
    window: Annotated[str | None, typer.Option(help="Of the board whose rank events are told: all, week …")] = None,
    category: Annotated[str | None, typer.Option(help="The board's category.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100, help="Rows of that board.")] = 10,
    key: Annotated[str | None, typer.Option(help="The id of the key that owns it; else the bootstrap key.")] = None,
    rotate: Annotated[bool, typer.Option("--rotate", help="A new secret; the old one signs for a day more.")] = False,
) -> None:
    """Makes a webhook, or replaces what it does. Prints the secret once, where it is new."""
    body: dict[str, Any] = {"url": url, "namespaces": namespaces, "types": kind, "include": include or []}
    board = None if window is None else WatchedTop(window, category, limit)
    try:
        sent = msgspec.convert(body | {"board": msgspec.to_builtins(board), "rotate": rotate}, WebhookRequest)
    except msgspec.ValidationError as error:
        field, detail = explain(str(error), WebhookRequest)
        raise typer.BadParameter(f"{field.removeprefix('$.')}: {detail}") from None

    async def work(registry: WebhookRegistry, postgres: Postgres) -> None:
        check_webhook_id(webhook_id)
        change = await registry.put(webhook_id, sent, await _owner(read_settings(), postgres, key))
        typer.echo("made" if change.is_new else "changed")
        if change.secret is not None:
            typer.echo(change.secret)

    _run(work)


@webhook_commands.command("delete")
def delete(webhook_id: _Id) -> None:
    """Deletes a webhook."""
    _run(lambda registry, _: registry.delete(webhook_id, _OPERATOR))


@webhook_commands.command("deliveries")
def deliveries(
    webhook_id: _Id,
    state: Annotated[str | None, typer.Option(help="delivered, failing, dead or resend.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=PAGE_MAX)] = 20,
) -> None:
    """Lists its latest messages: id, type, state, attempts, when, what was answered."""
    rows = _run(lambda registry, _: registry.deliveries(webhook_id, _OPERATOR, state=state, before=None, limit=limit))
    for row in rows:
        said = row["error"] or row["status"] or ""
        texts = (
            row["message_id"],
            row["type"],
            row["state"],
            row["attempts"],
            f"{row['last_attempt_at']:%FT%TZ}",
            said,
        )
        typer.echo("\t".join(map(str, texts)))


@webhook_commands.command("resend")
def resend(
    webhook_id: _Id,
    message_ids: Annotated[list[str] | None, typer.Argument(metavar="[MESSAGE]...")] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All that were given up.")] = False,
) -> None:
    """Has messages sent once more, under the same ids."""
    if bool(message_ids) == dead:
        raise typer.BadParameter("name some messages, or --dead", param_hint="MESSAGE")
    resent = _run(lambda registry, _: registry.resend(webhook_id, _OPERATOR, None if dead else message_ids))
    typer.echo(f"{len(resent)} to be sent once more")
    missing = sorted(set(message_ids or []) - set(resent))
    if missing:
        raise FindingError(f"not among its deliveries: {', '.join(missing)}")


async def _owner(settings: Settings, postgres: Postgres, key_id: str | None) -> KeyOwner:
    """The key that is to own a webhook. FindingError."""
    if key_id is not None:
        for row in await postgres.fetch("get_keys_by_id", [key_id]):
            if row["revoked_at"] is None:
                return KeyOwner(Principal(key_id, tuple(row["scopes"])), None)
        raise FindingError(f"there is no active key {key_id!r}")
    match = None if settings.api_key is None else API_KEY.fullmatch(settings.api_key)
    if settings.api_key is None or match is None:
        raise FindingError("name the key that is to own it: --key ID, as `leaderboard keys list` shows it")
    return KeyOwner(Principal(match[1], ("admin:*",)), hash_key(settings.api_key))


def _run(work: Callable[[WebhookRegistry, Postgres], Awaitable[_T]]) -> _T:
    async def run() -> _T:
        settings = read_settings()
        postgres, box = Postgres(settings.postgres_url), read_secret_box(settings)
        try:
            registry = WebhookRegistry(postgres, box, takes_loopback=settings.webhook_loopback == "on")
            return await work(registry, postgres)
        finally:
            await postgres.close()

    return asyncio.run(run())
