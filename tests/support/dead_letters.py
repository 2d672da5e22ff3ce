"""Dead letters as tests make and settle them."""

from collections.abc import Iterator
from contextlib import contextmanager

from typer.testing import CliRunner

from app.cli import cli
from tests.support.fault_isolation import Isolation
from tests.support.planted_faults import verify as run_verify


@contextmanager
def refusing(iso: Isolation, *grant_ids: str) -> Iterator[None]:
    """Postgres takes no row of these grants."""
    names = ", ".join(f"'{grant_id}'" for grant_id in grant_ids)
    with iso.raising("22P05", f"new.kind IN ('grant', 'correction') AND new.grant_id IN ({names})"):
        yield


def command(iso: Isolation, *args: str) -> tuple[int, str]:
    """In this process: most of a command's time is its start."""
    done = CliRunner().invoke(cli, ["dead-letters", *args], env=iso.stack.environment)
    assert done.exit_code in (0, 1, 2), done.exception
    return done.exit_code, done.stdout + done.stderr


def places(iso: Isolation) -> list[str]:
    sql = (
        "SELECT partition || ':' || epoch || '-' || seq FROM dead_letters WHERE healed_seq IS NULL "
        "AND reason = 'poison'"
    )
    return [row[0] for row in iso.sql(f"{sql} ORDER BY partition, epoch, seq")]


def verify(iso: Isolation) -> tuple[int, str]:
    code, lines = run_verify(iso.stack)
    return code, "".join(f"{line}\n" for line in lines)
