"""The table of commands: every room of app/commands stands in it, and nothing else is a command."""

from importlib.metadata import version
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from app.cli import COMMANDS, program

ROOMS = Path(__file__).parents[2] / "app/commands"
#: What is no command: what several of them share, and parts of one.
SHARED = {"__init__", "finding", "import_options", "import_report", "local_run"}


def test_every_module_of_commands_stands_in_the_table() -> None:
    assert {module for module, _ in COMMANDS.values()} == {path.stem for path in ROOMS.glob("*.py")} - SHARED


def test_the_table_is_what_the_program_takes() -> None:
    assert set(get_command(program()).commands) == set(COMMANDS)  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_its_help(name: str) -> None:
    done = CliRunner().invoke(program([name]), [name, "--help"])
    assert (done.exit_code, f"{name} [OPTIONS]" in done.output) == (0, True)


@pytest.mark.parametrize("line", [["no-such-command"], ["keys", "create"], ["erase"], ["dead-letters", "drop"]])
def test_wrong_usage_ends_with_2(line: list[str]) -> None:
    assert CliRunner().invoke(program(), line).exit_code == 2


def test_the_version_is_that_of_the_package() -> None:
    done = CliRunner().invoke(program(), ["--version"])
    assert (done.exit_code, done.output) == (0, version("leaderboard-server") + "\n")
