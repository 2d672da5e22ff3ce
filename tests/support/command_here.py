"""A `leaderboard` command in this process: most of a command's time is its start."""

from collections.abc import Mapping

from typer.testing import CliRunner, Result

from app.cli import program


def command_here(environment: Mapping[str, str], name: str, *words: str) -> Result:
    """What it printed, and how it ended."""
    return CliRunner().invoke(program([name]), [name, *words], env=environment)
