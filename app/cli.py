"""The `leaderboard` command. Exit codes: 0 good, 1 a finding, 2 wrong usage. Each error is one line on stderr."""

import sys
from collections.abc import Callable, Mapping

import typer

from .commands.chain import chain_commands
from .commands.dead_letters import letter_commands
from .commands.dev import dev
from .commands.erase import erase
from .commands.finding import FindingError
from .commands.keys import key_commands
from .commands.persist import persist
from .commands.rebuild import rebuild
from .commands.recover import recover
from .commands.repair import repair
from .commands.serve import serve
from .commands.stores import checkconfig, migrate
from .commands.verify import verify
from .drivers.postgres import FormatRefused
from .drivers.redis import REDIS_ERRORS, RedisRefused
from .drivers.store_contact import contact
from .model.errors import Problem, StoreUnavailable
from .persist.clocks import ClockSkewed
from .settings import SettingsError, read_settings

#: Every command by its name, in the order in which the help lists them: a function, or a room of commands.
COMMANDS: Mapping[str, Callable[..., None] | typer.Typer] = {
    "dev": dev,
    "serve": serve,
    "persist": persist,
    "verify": verify,
    "rebuild": rebuild,
    "repair": repair,
    "migrate": migrate,
    "checkconfig": checkconfig,
    "recover": recover,
    "erase": erase,
    "keys": key_commands,
    "dead-letters": letter_commands,
    "chain": chain_commands,
}

#: What `leaderboard --help` begins with.
ABOUT = """A realtime leaderboard server on Redis with an append-only ledger in Postgres.

`leaderboard dev` runs everything on one machine. Exit codes: 0 good, 1 a finding, 2 wrong usage."""

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, help=ABOUT)
for name, command in COMMANDS.items():
    if isinstance(command, typer.Typer):
        cli.add_typer(command, name=name)
    else:
        cli.command(name)(command)


def main() -> None:
    """Runs the command. An expected error is one line, not a traceback."""
    try:
        cli()
    except SettingsError as error:
        _fail(*error.faults, code=2)
    except FindingError as error:
        _fail(*error.lines, code=1)
    except StoreUnavailable as error:
        _fail(f"{error}{_dev_hint()}", code=1)
    except (RedisRefused, FormatRefused, Problem, ClockSkewed) as error:
        _fail(str(error), code=1)
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
