"""The `leaderboard` command. Exit codes: 0 good, 1 a finding, 2 wrong usage. Each error is one line on stderr."""

import os
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module
from importlib.metadata import version
from typing import Annotated

import typer

from .commands.finding import FindingError
from .commands.local_run import PARTS, use_local_run
from .drivers.migrations import FormatRefused, MigrationBlocked
from .drivers.redis import REDIS_ERRORS, NodeLost, RedisRefused
from .drivers.store_contact import contact
from .model.errors import Problem, StoreUnavailable
from .persist.clocks import ClockSkewed
from .settings import SettingsError, read_settings
from .store.apply import CallRefused

#: Every command by its name, in the order in which the help lists them: the module of `app/commands/`, and in it a
#: function or a room of commands. A process imports those that it runs: all of them take half a second.
COMMANDS: Mapping[str, tuple[str, str]] = {
    "dev": ("dev", "dev"),
    "serve": ("serve", "serve"),
    "persist": ("persist", "persist"),
    "import": ("importer", "import_"),
    "verify": ("verify", "verify"),
    "rebuild": ("rebuild", "rebuild"),
    "repair": ("repair", "repair"),
    "migrate": ("stores", "migrate"),
    "checkconfig": ("stores", "checkconfig"),
    "recover": ("recover", "recover"),
    "erase": ("erase", "erase"),
    "keys": ("keys", "key_commands"),
    "dead-letters": ("dead_letters", "letter_commands"),
    "webhooks": ("webhooks", "webhook_commands"),
    "chain": ("chain", "chain_commands"),
    "export": ("export", "export"),
    "compare": ("compare", "compare"),
    "cutover": ("cutover", "cutover"),
}

#: What `leaderboard --help` begins with.
ABOUT = """A realtime leaderboard server on Redis with an append-only ledger in Postgres.

`leaderboard dev` runs everything on one machine. Exit codes: 0 good, 1 a finding, 2 wrong usage."""


def program(names: Iterable[str] = COMMANDS) -> typer.Typer:
    """The program with the commands of these names."""
    cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=ABOUT)
    # With a callback a program of one command takes that command's name, too.
    cli.callback()(_begin)
    for name in names:
        module, attribute = COMMANDS[name]
        command = getattr(import_module(f".commands.{module}", __package__), attribute)
        if isinstance(command, typer.Typer):
            cli.add_typer(command, name=name)
        else:
            cli.command(name)(command)
    return cli


def _show_version(is_set: bool) -> None:
    if is_set:
        print(version("leaderboard-server"))
        raise typer.Exit


def _begin(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Prints the version.")
    ] = False,
) -> None:
    """Takes what may stand before a command's name."""


def main() -> None:
    """Runs the command. An expected error is one line, not a traceback."""
    named = [name for name in sys.argv[1:2] if name in COMMANDS]
    try:
        if named and named[0] not in PARTS and "--help" not in sys.argv and (run := use_local_run(os.environ)):
            print(f"leaderboard: with the leaderboard dev of {run}", file=sys.stderr)
        program(named or COMMANDS)()
    except SettingsError as error:
        _fail(*error.faults, code=2)
    except FindingError as error:
        _fail(*error.lines, code=1)
    except StoreUnavailable as error:
        _fail(f"{error}{_dev_hint()}", code=1)
    except (RedisRefused, CallRefused, FormatRefused, MigrationBlocked, Problem, ClockSkewed) as error:
        _fail(str(error), code=1)
    except NodeLost as error:
        _fail(f"{error}{_dev_hint()}", code=1)
    except REDIS_ERRORS as error:
        # The text of a failed connect only repeats the address.
        reason = type(error).__name__ if " connecting to " in str(error) else str(error)
        _fail(f"{contact('Redis', read_settings().redis_url).silence}: {reason}{_dev_hint()}", code=1)


_URLS = "LEADERBOARD_REDIS_URL and LEADERBOARD_POSTGRES_URL"


def _dev_hint() -> str:
    """The end of an error's text where a `leaderboard dev` runs here: how to use its stores. Else empty."""
    run = read_settings().data_dir / "run.json"
    return f"; a leaderboard dev runs here: set {_URLS} as `redis` and `postgres` in {run}" if run.exists() else ""


def _fail(*lines: str, code: int) -> None:
    for line in lines:
        print(f"leaderboard: {line}", file=sys.stderr)
    sys.exit(code)
