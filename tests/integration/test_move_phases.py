"""How far a namespace's move is: told in the namespace, in its events, and to webhooks."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from app.model.micros import from_micros
from app.model.moment import parse_moment
from tests.support.command_here import command_here
from tests.support.sealed_namespace import Space

TYPES = ("import_began", "import_ended", "compared", "cut_over", "cut_back")


def move_of(space: Space) -> dict[str, Any] | None:
    move: dict[str, Any] | None = space.api.get(space.url).json()["move"]
    return move


def events(space: Space) -> list[dict[str, Any]]:
    page: list[dict[str, Any]] = space.api.get(f"{space.url}/events", params={"type": TYPES}).json()["events"]
    return page


def run(space: Space, *words: str) -> int:
    space.stack.wait_flushed(counted=False)
    return int(command_here(space.stack.environment, *words, "--namespace", space.name).exit_code)


def compare(space: Space, folder: Path, *lines: str) -> int:
    (folder / "totals.csv").write_text("\n".join(("user_id,score", *lines)))
    now = from_micros(int(space.stack.sql("SELECT extract(epoch FROM now()) * 1000000")[0][0])).isoformat()
    return run(space, "compare", str(folder / "totals.csv"), "--as-of", now)


@pytest.fixture
def space(live_server: Any, api: httpx.Client, names: Any) -> Space:
    return Space(live_server, api, names.fresh(), mode="shadow")


def test_each_phase_is_told(space: Space, tmp_path: Path) -> None:
    move = move_of(space)
    assert move is not None
    assert move["phase"] == "shadow"
    assert {value for name, value in move.items() if name != "phase"} == {None}

    lease = f"{space.url}/imports/i1"
    for _ in range(2):
        assert space.api.put(lease).status_code == 200
    assert (move_of(space) or {})["phase"] == "importing"
    space.grant("ann", 5, query="?backfill=true")
    space.grant("bob", 7, query="?backfill=true")
    space.api.delete(lease)
    assert space.api.delete(lease).status_code == 204
    assert (move_of(space) or {})["phase"] == "shadow"

    assert compare(space, tmp_path, "ann,5", "bob,8", "eve,1") == 1
    move = move_of(space) or {}
    assert (move["phase"], move["differences"], move["largest_difference"]) == ("compared", 2, 1)
    assert compare(space, tmp_path, "ann,5", "bob,7") == 0
    move = move_of(space) or {}
    assert (move["phase"], move["differences"], move["largest_difference"]) == ("compared", 0, 0)
    assert parse_moment(move["as_of"], "") <= parse_moment(move["compared_at"], "")

    assert run(space, "cutover") == 0
    live = move_of(space) or {}
    _, *begun, over = events(space)
    assert (live["phase"], live["cut_over_at"], live["cut_over_by"]) == ("live", over["at"], "cli")
    assert (live["cut_over_epoch"], live["cut_over_seq"]) == (over["epoch"], over["seq"])
    assert live["cut_back_at"] is None
    assert over["as_of"].endswith("Z"), "as every time that a client reads"

    assert run(space, "cutover", "--back") == 0
    back = move_of(space) or {}
    assert (back["phase"], back["cut_over_at"]) == ("shadow", live["cut_over_at"]), "the comparison was before that"
    assert (back["cut_back_at"], back["cut_back_by"]) == (events(space)[-1]["at"], "cli")
    assert compare(space, tmp_path, "ann,5", "bob,7") == 0
    assert (move_of(space) or {})["phase"] == "compared"

    kinds = [event["type"] for event in events(space)]
    expected = ["import_began", "import_ended", "compared", "compared", "cut_over", "cut_back", "compared"]
    assert kinds == expected
    assert begun[1]["differences"] == 2
    assert (begun[1]["window"], begun[1]["category"], begun[1]["actor"]) == ("all", None, "cli")
    assert begun[0]["import_id"] == "i1"
    assert begun[0]["lapsed"] is False


def test_a_namespace_that_never_moved_has_none_and_a_reader_is_told_nothing(
    live_server: Any, api: httpx.Client, names: Any
) -> None:
    space = Space(live_server, api, names.fresh())
    assert api.put(f"{space.url}/imports/i1").status_code == 200
    assert move_of(space) is None
    for scope in ("read", "write"):
        with live_server.client(live_server.new_key(f"{scope}:*", "read:*")) as reader:
            assert "move" not in reader.get(space.url).json()
    assert all("move" not in one for one in api.get("/v1/namespaces").json()["namespaces"])


@pytest.mark.parametrize("mode", ["live", "frozen"])
def test_whoever_leaves_the_shadow_by_put_is_told_too(space: Space, mode: str) -> None:
    """Nothing was compared; but where the other system's part ends is known, and the way back."""
    space.grant("ann", 5)
    space.stack.wait_flushed(counted=False)
    space.put(mode=mode)
    (over,) = events(space)
    assert (over["type"], over["comparison"], over["largest_difference"]) == ("cut_over", None, None)
    assert over["actor"] not in (None, "cli")
    assert (move_of(space) or {})["phase"] == "live"
    assert (move_of(space) or {})["cut_over_seq"] == over["seq"] >= 1
    space.put(mode="live")
    space.put(display_name="again", mode="live")
    assert len(events(space)) == 1
    space.grant("ann", 2)
    space.stack.wait_flushed(counted=False)
    done = command_here(space.stack.environment, "cutover", "--back", "--namespace", space.name)
    assert (done.exit_code, f"--since {over['seq']} " in done.stdout) == (0, True)
    assert [event["type"] for event in events(space)] == ["cut_over", "cut_back"]


def test_whoever_goes_back_by_put_is_told_the_export_by_the_command(space: Space, tmp_path: Path) -> None:
    space.grant("ann", 5, query="?backfill=true")
    assert compare(space, tmp_path, "ann,5") == 0
    assert run(space, "cutover") == 0
    space.put(mode="shadow")
    assert [event["type"] for event in events(space)] == ["compared", "cut_over", "cut_back"]
    assert events(space)[-1]["seq"] == events(space)[-2]["seq"]
    done = command_here(space.stack.environment, "cutover", "--back", "--namespace", space.name)
    assert (done.exit_code, f"--since {events(space)[-1]['seq']} " in done.stdout) == (0, True)
    assert len(events(space)) == 3


def test_who_was_never_over_does_not_come_back(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh())
    space.put(mode="shadow")
    assert events(space) == []
    assert (move_of(space) or {})["phase"] == "shadow"


def test_an_import_that_died_has_ended_when_the_next_one_begins(space: Space) -> None:
    space.api.put(f"{space.url}/imports/i1")
    space.sql("UPDATE import_leases SET until = now() - interval '1 s' WHERE namespace_id = %s", space.id)
    assert (move_of(space) or {})["phase"] == "shadow"
    space.api.put(f"{space.url}/imports/i2")
    assert (move_of(space) or {})["phase"] == "importing"
    kinds = [(event["type"], event["import_id"], event.get("lapsed")) for event in events(space)]
    assert kinds == [("import_began", "i1", None), ("import_ended", "i1", True), ("import_began", "i2", None)]


def test_what_get_tells_may_be_put(space: Space) -> None:
    """A client reads the namespace, changes a rule and writes all of it."""
    body = space.api.get(space.url).json()
    assert {"name", "resets", "move"} < body.keys()
    answer = space.api.put(space.url, json=body | {"display_name": "Race"})
    assert answer.status_code == 200, answer.text
    assert space.api.get(space.url).json() == body | {"display_name": "Race"}
    other = space.api.put(space.url, json={"name": "another"})
    assert (other.status_code, other.json()["field"]) == (422, "$.name")


def test_rules_are_told_while_postgres_is_away(own_stack: Any) -> None:
    with own_stack.client() as api:
        api.put("/v1/namespaces/race", json={"mode": "shadow"})
        own_stack.kill("postgres")
        answer = api.get("/v1/namespaces/race")
        assert (answer.status_code, answer.json()["mode"]) == (200, "shadow")
        assert "move" not in answer.json()
