"""`leaderboard import --void-missing`: what counts on the server and is in no row is voided."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.transfer import import_voids
from app.transfer.import_client import ImportClient, ImportStop, MemberResult
from tests.support.checked_deployment import verify
from tests.support.import_run import import_here, rows_done, scores

HEAD = "grant_id,user_id,amount,source,granted_at"
SINCE = ("--since", "2019-01-01")


def row(i: int, source: str = "old", month: int = 3) -> str:
    return f"g{i},u{i % 3},{i},{source},2019-{month:02}-{i % 28 + 1:02}T00:00:00Z"


@pytest.fixture
def nightly(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> Path:
    """A dump that is imported, and of which the next one lacks g1, g4 and g7; among grants that it does not know of."""
    api.put(f"/v1/namespaces/{space}", json={"accept_past": None, "category_boards": True})
    path = tmp_path / "rows.csv"
    others = ["x1,u1,500,quiz,2019-03-03T00:00:00Z", "x2,u2,600,old,2018-12-31T00:00:00Z"]
    later = ["x3,u1,700,old,2019-03-20T00:00:00Z"]
    path.write_text("\n".join([HEAD, *(row(i) for i in range(10)), *others, *later]))
    assert import_here(live_server, path, "--namespace", space).counts["new"] == 13
    live_server.wait_flushed()
    path.write_text("\n".join([HEAD, *(row(i) for i in range(10) if i % 3 != 1)]))
    return path


def test_a_dry_run_tells_what_a_run_with_its_number_voids(
    live_server: Any, api: httpx.Client, space: str, nightly: Path
) -> None:
    flags = (nightly, "--namespace", space, *SINCE, "--source", "old", "--void-missing")
    before = scores(api, space)
    for _ in range(2):
        dry = import_here(live_server, *flags, "--dry-run")
        assert (dry.code, dry.lines[1:]) == (0, [
            "3 of 10 grants of source 'old' since 2019-01-01T00:00:00Z until 2019-03-10T00:00:00.000001Z are in no row",
            "  g1, granted 2019-03-02T00:00:00Z",
            "  g4, granted 2019-03-05T00:00:00Z",
            "  g7, granted 2019-03-08T00:00:00Z",
            "void them with --confirm 3",
        ])  # fmt: skip
        assert scores(api, space) == before
    few = import_here(live_server, *flags, "--confirm", "2")
    assert few.code == 1
    assert "nothing is voided: 3 are missing, and --confirm allows 2" in few.stderr
    assert scores(api, space) == before
    done = import_here(live_server, *flags, "--confirm", "3")
    assert (done.code, done.lines[-1]) == (0, "3 voided")
    assert scores(api, space) == {**before, "u1": before["u1"] - (1 + 4 + 7)}
    live_server.wait_flushed()
    grant = api.get(f"/v1/namespaces/{space}/grants/g4").json()
    assert (grant["voided"], grant["revisions"][-1]["reason"]) == (True, "import --void-missing: not in rows.csv")
    assert import_here(live_server, *flags, "--yes").lines[1].startswith("0 of 7 grants")
    assert verify(live_server, space) == (0, [])
    assert sorted(path.name for path in nightly.parent.iterdir()) == ["rows.csv"]


def test_until_is_told_or_is_the_latest_row(live_server: Any, space: str, nightly: Path) -> None:
    """A grant behind the latest row came after the dump: it is missing only if a later `--until` says so."""
    flags = (nightly, "--namespace", space, *SINCE, "--set", "source=old", "--void-missing", "--dry-run")
    assert "x3" in import_here(live_server, *flags, "--until", "2019-04-01").stdout
    assert import_here(live_server, *flags, "--until", "2019-03-05").lines[1].startswith("1 of 4 grants")
    empty = nightly.with_name("empty.csv")
    empty.write_text(f"{HEAD}\n")
    done = import_here(live_server, empty, *flags[1:])
    assert (done.code, "say by --until" in done.stderr) == (1, True)
    assert import_here(live_server, empty, *flags[1:], "--until", "2019-04-01").lines[1].startswith("11 of 11 grants")


def test_a_row_whose_id_is_not_known_keeps_all(live_server: Any, api: httpx.Client, space: str, nightly: Path) -> None:
    """One that the server refuses names its grant; one that cannot be read may name any."""
    flags = (nightly, "--namespace", space, *SINCE, "--source", "old", "--void-missing")
    whole = nightly.read_text()
    nightly.write_text(f"{whole}\ng1,u1,0.5,old,2019-03-02T00:00:00Z\ng4,u1,4,old,no time\ng7,u1,7,old")
    before = scores(api, space)
    dry = import_here(live_server, *flags, "--dry-run")
    assert dry.code == 1
    assert "  g7, granted 2019-03-08T00:00:00Z" in dry.lines
    for done in (dry, import_here(live_server, *flags, "--yes")):
        assert "nothing is voided: of 1 row (the first in line 11) the grant id is not known" in done.stderr
    assert scores(api, space) == before
    nightly.write_text(f"{whole}\ng1,u1,0.5,old,2019-03-02T00:00:00Z\ng4,u1,4,old,no time")
    done = import_here(live_server, *flags, "--yes")
    assert (done.code, done.counts["refused"], done.lines[-1]) == (1, 2, "1 voided")
    assert scores(api, space)["u1"] == before["u1"] - 7


def test_a_grant_without_an_id_that_was_edited_in_the_dump_takes_the_place_of_the_old_one(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.csv"
    flags = (path, "--namespace", space, *SINCE, "--set", "source=old")
    api.put(f"/v1/namespaces/{space}", json={"accept_past": None})
    path.write_text("user_id,amount,granted_at\nann,1,2019-03-02T00:00:00Z\nann,2,2019-03-03T00:00:00Z\n")
    assert import_here(live_server, *flags).counts["new"] == 2
    live_server.wait_flushed()
    path.write_text("user_id,amount,granted_at\nann,5,2019-03-02T00:00:00Z\nann,2,2019-03-03T00:00:00Z\n")
    assert import_here(live_server, *flags, "--void-missing", "--yes").lines[-1] == "1 voided"
    assert scores(api, space) == {"ann": 7}


def test_a_run_that_stopped_while_it_voided_goes_on(
    live_server: Any, api: httpx.Client, space: str, nightly: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    correct, calls = ImportClient.correct, iter(range(100))

    async def stop_at_the_second(client: ImportClient, path: str, corrections: Sequence[bytes]) -> list[MemberResult]:
        if next(calls) == 1:
            raise ImportStop("away")
        return await correct(client, path, corrections)

    monkeypatch.setattr(import_voids, "VOIDS_A_REQUEST", 1)
    monkeypatch.setattr(ImportClient, "correct", stop_at_the_second)
    flags = (nightly, "--namespace", space, *SINCE, "--source", "old", "--void-missing", "--confirm", "3")
    before, state = scores(api, space), nightly.with_name("rows.csv.import")
    stopped = import_here(live_server, *flags)
    assert (stopped.code, "away" in stopped.stderr, rows_done(state)) == (1, True, 7)
    live_server.wait_flushed()
    done = import_here(live_server, *flags)
    assert (done.code, done.lines[-1], state.exists()) == (0, "2 voided", False)
    assert scores(api, space)["u1"] == before["u1"] - (1 + 4 + 7)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--void-missing", "--dry-run"), "needs --namespace, --since and --source"),
        (("--void-missing", *SINCE, "--source", "old"), "run it with --dry-run first"),
        (("--yes",), "are of it alone"),
    ],
)
def test_what_is_needed_is_told(
    live_server: Any, nightly: Path, space: str, words: tuple[str, ...], message: str
) -> None:
    done = import_here(live_server, nightly, "--namespace", space, *words)
    assert (done.code, message in " ".join(done.stderr.replace("│", " ").split())) == (2, True)
