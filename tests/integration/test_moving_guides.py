"""The commands of each page docs/from-*.md, on a small dump of that system: the board is the old one's."""

import shlex
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.command_here import command_here
from tests.support.guide_script import blocks, parse_call
from tests.support.import_run import import_here, scores
from tests.support.old_dumps import DUMPS

DOCS = Path(__file__).parents[2] / "docs"
#: When the dumps of the pages were taken.
_DUMP_AT = "2026-03-01T00:00:00Z"


def commands(page: str) -> Iterator[str]:
    """Those for this system (`sh`), one by one. Those for the other system are `bash`."""
    for block in blocks((DOCS / f"{page}.md").read_text()):
        if block.language == "sh":
            yield from block.text.replace("\\\n", " ").splitlines()


def test_every_page_has_a_dump() -> None:
    assert {path.stem for path in DOCS.glob("from-*.md")} == set(DUMPS)


@pytest.mark.parametrize("page", DUMPS)
def test_a_guides_commands_bring_the_board_here(
    live_server: Any, api: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    dump = DUMPS[page]
    dump.write(tmp_path)
    monkeypatch.chdir(tmp_path)
    imports = []
    for command in commands(page):
        tool, *words = shlex.split(command)
        if tool == "lb":
            call = parse_call(command, {"URL": "", "KEY": live_server.key}, "")
            answer = api.request(call.method, call.url, headers=call.headers, content=call.body)
            assert answer.status_code == 201, answer.text
        elif tool == "python3":
            subprocess.run([sys.executable, *words], check=True)
        elif words[0] == "import":
            imports.append(words[1:])
            done = import_here(live_server, *imports[-1])
            assert (done.code, done.counts["new"], done.counts["refused"]) == (0, dump.grants, 0), done.stdout
        else:
            live_server.wait_flushed()
            # The reader's dump is of just now, and a cut-over asks for that.
            own = [datetime.now(UTC).isoformat() if word == _DUMP_AT else word for word in words]
            assert _DUMP_AT in words
            result = command_here(live_server.environment, *own)
            assert result.exit_code == 0, result.output
    assert len(imports) == 1
    assert scores(api, dump.namespace) == dict(dump.scores)
    again = import_here(live_server, *imports[0])
    assert (again.counts["new"], again.counts["there already"]) == (0, dump.grants)
    live_server.wait_flushed()
    result = command_here(live_server.environment, "cutover", "--namespace", dump.namespace)
    assert result.exit_code == 0, result.output


def test_local_times_and_days_are_those_of_the_old_system(live_server: Any, api: httpx.Client, tmp_path: Path) -> None:
    """Of Berlin's 00:30 on the sixth, which is 23:30 of the fifth in UTC."""
    api.put("/v1/namespaces/sql-days", json={}).raise_for_status()
    path = tmp_path / "score_events.csv"
    path.write_text("id,user_id,points,created_at\n1,bob,7,2026-01-06 00:30:00\n")
    maps = ("--map", "amount=points", "--map", "granted_at=created_at", "--timezone", "Europe/Berlin")
    assert import_here(live_server, path, "--namespace", "sql-days", "--grant-id", "score_events-{id}", *maps).code == 0
    assert scores(api, "sql-days", "2026-01-05") == {"bob": 7}
