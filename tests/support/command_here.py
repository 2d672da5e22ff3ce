"""A `leaderboard` command in this process: most of a command's time is its start."""

import logging
from collections.abc import Mapping

import structlog
from typer.testing import CliRunner, Result

from app.cli import program


def command_here(environment: Mapping[str, str], name: str, *words: str) -> Result:
    """What it printed, and how it ended."""
    # A command sends all logs to its own stderr, which is closed behind it.
    own, handlers, level = structlog.get_config(), logging.root.handlers[:], logging.root.level
    try:
        return CliRunner().invoke(program([name]), [name, *words], env=environment)
    finally:
        structlog.configure(**own)
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
