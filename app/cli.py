"""The `leaderboard` command. Exit codes: 0 good, 1 a finding, 2 wrong usage. An error is one line on stderr."""

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Annotated, Any

import structlog
import typer
import uvicorn
from prometheus_client import start_http_server

from .access.keys import PATTERN_RULE, SCOPES, can_match
from .admin import migrate as migration
from .admin.api_keys import create_key, revoke_key
from .admin.dead_letter_commands import letters_cli
from .admin.erasures import Erasures
from .admin.store_agreement import check_together, find_partitions
from .drivers.postgres import FormatRefused, Postgres
from .drivers.redis import REDIS_ERRORS, RedisConnection, RedisRefused
from .drivers.store_contact import contact, log_outages
from .logs import configure
from .model.errors import Problem, StoreUnavailable
from .model.micros import now_micros
from .persist.clocks import ClockSkewed
from .persist.task_end import cancel_and_wait
from .persist.worker import Worker
from .server import UVICORN, from_environment
from .settings import Settings, SettingsError, read_settings
from .store.partitions import check_store
from .tune_gc import tune_gc
from .verify.connections import StoreConnections, close_all
from .verify.verifier import LANES, Verifier

log = structlog.get_logger()

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=__doc__)
keys_cli = typer.Typer(no_args_is_help=True, help="API keys.")
cli.add_typer(keys_cli, name="keys")
cli.add_typer(letters_cli, name="dead-letters")


class FindingError(Exception):
    """The command ran and found something wrong."""


def main() -> None:
    """Runs the command. An expected error is one line, not a traceback."""
    try:
        cli()
    except SettingsError as error:
        _fail(str(error), 2)
    except StoreUnavailable as error:
        _fail(f"{error}{_dev_hint()}", 1)
    except (FindingError, RedisRefused, FormatRefused, Problem, ClockSkewed) as error:
        _fail(str(error), 1)
    except REDIS_ERRORS as error:
        _fail(f"{contact('Redis', read_settings().redis_url).silence}: {error}{_dev_hint()}", 1)


def _dev_hint() -> str:
    """The end of an error's text that names the run.json of a `leaderboard dev` that runs here; else empty."""
    run = read_settings().data_dir / "run.json"
    return f"; the stores of the leaderboard dev that runs here: see {run}" if run.exists() else ""


def _fail(line: str, code: int) -> None:
    print(f"leaderboard: {line}", file=sys.stderr)
    sys.exit(code)


@cli.command()
def dev(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    data_dir: Annotated[Path | None, typer.Option(help="Where Valkey and Postgres keep their data.")] = None,
    api_key: Annotated[str | None, typer.Option(help="Admin key, lb_<id>_<16+ characters>.")] = None,
    demo: Annotated[bool, typer.Option(help="A demonstration that keeps scores moving.")] = True,
    reset: Annotated[bool, typer.Option("--reset", help="Deletes what the data folder holds, then starts.")] = False,
) -> None:
    """Everything in one: Valkey, Postgres, server and persister, embedded."""
    from .embedded import run_dev

    settings = read_settings(port=port, data_dir=data_dir)
    api_key = settings.api_key if api_key is None else api_key
    folder = settings.data_dir
    sys.exit(run_dev(host=host, port=settings.port, data_dir=folder, api_key=api_key, demo=demo, reset=reset))


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on.")] = None,
    workers: Annotated[int | None, typer.Option(min=1, max=256, help="Processes.")] = None,
) -> None:
    """The server: REST and WebSocket."""
    settings = read_settings(host=host, port=port, workers=workers)
    configure(settings.log_level)
    _check_port(settings)
    asyncio.run(find_partitions(settings))
    log.info("serve starts", address=f"{settings.host}:{settings.port}", workers=settings.workers)
    os.environ |= {"LEADERBOARD_HOST": settings.host, "LEADERBOARD_PORT": str(settings.port)}
    uvicorn.run(
        f"{from_environment.__module__}:{from_environment.__name__}",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        **UVICORN,
    )


def _check_port(settings: Settings) -> None:
    """SettingsError if the address cannot be listened on: uvicorn would print a traceback."""
    try:
        addresses = socket.getaddrinfo(settings.host or None, settings.port, type=socket.SOCK_STREAM)
        with socket.socket(*addresses[0][:3]) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(addresses[0][4])
    except OSError as error:
        where = f"cannot listen on {settings.host}:{settings.port}: {error.strerror or error}"
        hint = "choose another by --host and --port (LEADERBOARD_HOST, LEADERBOARD_PORT)"
        raise SettingsError(f"{where}; {hint}, or stop what listens there") from None


@cli.command()
def persist() -> None:
    """The persister: Redis' log into the ledger in Postgres. Several may run."""
    settings = read_settings()
    configure(settings.log_level)
    if settings.metrics_port is not None:
        start_http_server(settings.metrics_port, settings.host)
    log_outages()
    log.info("persist starts")
    _run(lambda: _persist(settings))


@cli.command()
def verify(
    quiet: Annotated[bool, typer.Option(help="Nothing but what was found.")] = False,
) -> None:
    """Compares Redis with the ledger, and the ledger with itself, while writes go on; exit 1 where they differ."""
    settings = read_settings()
    configure(settings.log_level)
    _run(lambda: _verify(settings, quiet))


async def _verify(settings: Settings, quiet: bool) -> None:
    # Imported here, because it takes a while and no other command draws a progress bar.
    from .verify.progress import progress

    partitions = await find_partitions(settings)
    stores = settings.redis_url, settings.postgres_url
    link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
    try:
        wrong = await check_together(link, postgres)
    finally:
        await link.close()
        await postgres.close()
    lanes = [await StoreConnections.open(*stores, by_index=number < LANES) for number in range(LANES + 2)]
    try:
        with progress(quiet=quiet) as bar:
            verifier = Verifier(lanes[:LANES], lanes[LANES], lanes[LANES + 1], bar)
            await verifier.run(partitions, wrong)
    finally:
        await close_all(lanes)
    report = verifier.report
    for finding in report.findings:
        print(f"{finding.where}: {finding.what}")
    if report.findings:
        raise typer.Exit(1)
    if not quiet:
        spaces = "1 namespace" if report.namespaces == 1 else f"{report.namespaces} namespaces"
        print(f"ok: {report.numbers:,} numbers in {spaces} are what the ledger says")


async def _persist(settings: Settings) -> None:
    async def greet(link: RedisConnection) -> None:
        await check_store(link, settings.redis_durability)

    partitions = await find_partitions(settings)
    worker = Worker(
        settings, lambda scripts: RedisConnection(settings.redis_url, scripts, greet), partitions, now_micros
    )
    tune_gc()
    task, stop_requested = asyncio.ensure_future(worker.run()), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop_requested.set)
    stop = asyncio.ensure_future(stop_requested.wait())
    await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()
    await cancel_and_wait(task)
    if not task.cancelled():
        task.result()


@cli.command()
def migrate() -> None:
    """Creates or updates the schema, and opens Redis and Postgres for each other."""
    partitions = _run(lambda: migration.migrate(read_settings()))
    print(f"ready: {partitions} partitions")


@cli.command()
def checkconfig() -> None:
    """Checks every setting and what the stores are configured to do."""
    settings = read_settings()

    async def check() -> None:
        link, postgres = RedisConnection(settings.redis_url, []), Postgres(settings.postgres_url)
        try:
            await check_store(link, settings.redis_durability)
            wrong = await check_together(link, postgres)
        finally:
            await link.close()
            await postgres.close()
        if wrong:
            p, what = next(iter(wrong.items()))
            raise RedisRefused(f"partition {p}: {what}; {len(wrong)} of its partitions are so")

    _run(check)
    print("ok")


@cli.command()
def erase(user: Annotated[str, typer.Argument(metavar="USER")]) -> None:
    """Erases a user: deletes the name, the profile and the grants' meta, and keeps every sum. Waits a minute at
    most."""
    settings = read_settings()

    async def work() -> bool:
        erasures = Erasures(Postgres(settings.postgres_url))
        return await erasures.erased(await erasures.erase(user, "cli"), 60)

    if not _run(work):
        raise FindingError("the erasure is recorded and not done yet: is a persister running?")


@keys_cli.command("create")
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
    print(_run(lambda: create_key(settings, scope)))


@keys_cli.command("list")
def list_keys() -> None:
    """Lists the keys that were created, without their secrets. A bootstrap key is a setting (LEADERBOARD_API_KEY; dev
    shows its own) and is not listed."""
    rows = _run(lambda: Postgres(read_settings().postgres_url).fetch("get_keys"))
    for row in rows:
        state = "revoked" if row["revoked_at"] else "active"
        print(f"{row['id']}\t{state}\t{','.join(row['scopes'])}\t{row['created_at']:%Y-%m-%dT%H:%M:%SZ}")


@keys_cli.command("revoke")
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID")]) -> None:
    """Revokes a key, everywhere."""
    settings = read_settings()
    if not _run(lambda: revoke_key(settings, key_id)):
        raise FindingError(f"there is no active key {key_id!r}")


def _run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    return asyncio.run(work())
