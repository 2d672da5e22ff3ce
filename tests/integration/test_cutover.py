"""`leaderboard cutover`: a namespace goes live when it agrees with the other system, and back without a loss."""

import asyncio
import json
import shlex
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.admin.cutover import Bounds, Cutover, CutPoint
from app.admin.state_gate import CommandGate
from app.drivers.postgres import Postgres
from app.drivers.redis import RedisConnection
from app.store.changes import ANNOUNCE_CHANGE
from app.store.namespace_cache import SET_IF_NEWER
from tests.support.command_here import command_here
from tests.support.sealed_namespace import Space
from tests.support.waits import until

OLD = "2026-11-01T12:00:00Z"


def minutes_ago(minutes: float) -> str:
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


class Move:
    """A namespace in shadow mode, and the system that it is to replace: totals by user."""

    def __init__(self, space: Space, reader: httpx.Client, folder: Path) -> None:
        self.space, self.reader, self.folder = space, reader, folder
        self.totals: dict[str, float] = {}
        self.dump = minutes_ago(5)
        self.count = 0
        self.write(OLD, *((f"u{i}", i) for i in range(1, 9)))

    def write(self, at: str, *amounts: tuple[str, int]) -> None:
        """A write to both systems."""
        for user, amount in amounts:
            self.count += 1
            self.totals[user] = self.totals.get(user, 0) + amount
            grant = {"grant_id": f"m{self.count}", "user_id": user, "amount": amount, "granted_at": at}
            path = f"{self.space.url}/grants"
            assert self.space.api.post(path, json=grant, params={"backfill": "true"}).status_code == 201
        self.space.stack.wait_flushed(counted=False)

    def run(self, *words: str) -> tuple[int, str]:
        done = command_here(self.space.stack.environment, words[0], "--namespace", self.space.name, *words[1:])
        return done.exit_code, done.stdout if done.exit_code == 0 else f"{done.output}{done.exception}"

    def compare(self, *words: str) -> int:
        lines = ["user_id,score", *(f"{user},{total}" for user, total in self.totals.items())]
        file = self.folder / "totals.csv"
        file.write_text("\n".join(lines))
        return self.run("compare", str(file), *words)[0]

    def events(self) -> list[dict[str, Any]]:
        params = {"type": ["cut_over", "cut_back"]}
        events: list[dict[str, Any]] = self.space.api.get(f"{self.space.url}/events", params=params).json()["events"]
        return events

    def board_status(self) -> int:
        """What a reader gets who is no admin."""
        return int(self.reader.get(f"{self.space.url}/boards/all").status_code)

    def mode(self) -> Any:
        return self.space.api.get(self.space.url).json()["mode"]


@pytest.fixture
def move(live_server: Any, api: httpx.Client, names: Any, tmp_path: Path) -> Iterator[Move]:
    with live_server.client(live_server.new_key("read:*")) as reader:
        yield Move(Space(live_server, api, names.fresh(), mode="shadow"), reader, tmp_path)


def test_the_move_is_rehearsed_forth_and_back(move: Move) -> None:
    move.write(minutes_ago(1), ("u1", 5))
    totals, move.totals = move.totals, {f"u{i}": i for i in range(1, 9)}  # the dump of five minutes before
    assert move.compare("--as-of", move.dump) == 0
    move.totals = totals
    assert (move.board_status(), move.mode()) == (403, "shadow")
    assert move.run("cutover", "--dry-run")[0] == 0
    assert move.mode() == "shadow"
    code, text = move.run("cutover")
    assert (code, move.mode()) == (0, "live"), text
    # Refused readers share their looks for a change: one who was refused just before may be refused once more.
    until(lambda: move.board_status() == 200, "readers are refused", seconds=1)
    (event,) = move.events()
    assert (event["type"], event["actor"], event["largest_difference"], event["max_diff"]) == ("cut_over", "cli", 0, 0)
    assert f"cut over at seq {event['seq']}" in text
    assert move.run("cutover") == (0, f"{move.space.name} is live already, cut over at seq {event['seq']}\n")

    path = f"{move.space.url}/grants"
    assert move.space.api.post(path, json={"grant_id": "live", "user_id": "u2", "amount": 7}).status_code == 201
    assert move.space.api.delete(f"{path}/m3").status_code == 200
    move.space.stack.wait_flushed(counted=False)
    code, command = move.run("cutover", "--back")
    assert (code, move.board_status(), move.mode()) == (0, 403, "shadow")
    assert [one["type"] for one in move.events()] == ["cut_over", "cut_back"]
    assert move.events()[1]["seq"] == event["seq"]
    assert move.run("cutover", "--back")[1] == command
    program, *words = shlex.split(command)
    assert program == "leaderboard"
    output = move.folder / words.pop()
    assert command_here(move.space.stack.environment, *words, str(output)).exit_code == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["grant_id"], row["verb"], row["amount"]) for row in rows] == [("live", "grant", 7), ("m3", "void", 3)]

    # The other system takes them over, and the move begins again.
    move.totals["u2"] += 7
    move.totals["u3"] -= 3
    assert move.compare("--as-of", minutes_ago(0)) == 0
    assert move.run("cutover")[0] == 0
    assert [one["type"] for one in move.events()] == ["cut_over", "cut_back", "cut_over"]
    assert (
        command_here(move.space.stack.environment, "verify", "--quiet", "--namespace", move.space.name).exit_code == 0
    )


def test_a_comparison_from_before_the_way_back_shows_nothing(move: Move) -> None:
    """While readers were here, writes came that the other system may lack."""
    assert move.compare("--as-of", minutes_ago(1)) == 0
    assert move.run("cutover")[0] == 0
    move.write(minutes_ago(0), ("u1", 5))
    assert move.run("cutover", "--back")[0] == 0
    for words in ((), ("--dry-run",)):
        code, text = move.run("cutover", *words)
        assert (code, "before the way back" in text, move.mode()) == (1, True, "shadow")
    assert move.compare("--as-of", minutes_ago(1), "--max-diff", "5") == 0
    assert "before the way back" in move.run("cutover", "--max-diff", "5")[1], "the dump is an old one"
    assert move.compare("--as-of", minutes_ago(0)) == 0
    assert move.run("cutover")[0] == 0


def test_what_is_lacking_is_named_and_nothing_changes(move: Move) -> None:
    code, text = move.run("cutover")
    assert (code, "nothing was compared" in text) == (1, True)
    assert move.compare() == 0
    assert "nothing was compared" in move.run("cutover")[1], "a comparison without a dump's time shows nothing"
    move.totals["u1"] += 2
    assert move.compare("--as-of", move.dump) == 1
    assert "a score differs by 2, more than 0: see what compare printed" in move.run("cutover")[1]
    assert move.run("cutover", "--dry-run", "--max-diff", "2")[0] == 0
    move.space.stack.sql(
        "UPDATE comparisons SET compared_at = compared_at - interval '16 minutes' FROM namespaces n"
        " WHERE n.id = namespace_id AND n.name = %s",
        move.space.name,
    )
    code, text = move.run("cutover", "--max-diff", "2")
    assert (code, "16 minutes old" in text, "differs" in text) == (1, True, False)
    assert "was never cut over" in move.run("cutover", "--back")[1]
    assert (move.events(), move.mode()) == ([], "shadow")
    move.space.put(mode="frozen")
    for words in ((), ("--back",)):
        assert "is in mode frozen" in move.run("cutover", *words)[1]
    assert move.mode() == "frozen"


def test_the_dump_must_be_fresh_too(move: Move) -> None:
    """A comparison that is made now, of a dump of long ago, says nothing of today."""
    assert move.compare("--as-of", minutes_ago(60)) == 0
    code, text = move.run("cutover")
    assert (code, "the dump that was compared last is 60 minutes old; it must be younger than 15" in text) == (1, True)
    assert move.run("cutover", "--dry-run", "--max-age", "61")[0] == 0
    assert move.compare("--as-of", minutes_ago(-90)) == 0
    assert "as of a moment that was still to come" in move.run("cutover", "--max-age", "1440")[1]
    assert move.run("cutover", "--max-age", "1441")[0] == 2
    assert move.mode() == "shadow"
    assert move.compare("--as-of", minutes_ago(60)) == 0
    assert move.run("cutover", "--max-age", "61")[0] == 0
    (event,) = move.events()
    assert event["max_age_s"] == 61 * 60
    assert abs(datetime.fromisoformat(event["as_of"]) - datetime.fromisoformat(minutes_ago(60))) < timedelta(minutes=1)


@pytest.mark.parametrize("as_of", ["1970-01-01T00:00:00Z", None])
def test_a_comparison_of_nobody_lets_nothing_pass(move: Move, as_of: str | None) -> None:
    """Neither an empty dump of long ago, nor one whose users are all others; not even with a generous bound."""
    move.totals = {} if as_of else {"stranger": 3}
    assert move.compare("--as-of", as_of or move.dump, "--max-diff", "8") == 0
    code, text = move.run("cutover", "--max-age", "1440", "--max-diff", "8")
    assert (code, "no user is on both sides of the last comparison" in text) == (1, True)
    assert ("the dump that was compared last is" in text) == (as_of is not None)
    assert move.mode() == "shadow"


@pytest.mark.parametrize("words", [("--window", "2026-11"), ("--category", "red")])
def test_a_comparison_of_another_board_is_none_of_all(move: Move, words: tuple[str, ...]) -> None:
    move.compare("--as-of", move.dump, *words)
    assert "nothing was compared" in move.run("cutover")[1]


def test_a_namespace_of_the_same_name_is_another_one(move: Move) -> None:
    """Neither its comparison nor its cut-over is that of the namespace that bore the name before."""
    space = move.space
    assert move.compare("--as-of", move.dump) == 0
    assert move.run("cutover")[0] == 0
    assert move.compare("--as-of", minutes_ago(0)) == 0
    assert space.api.delete(space.url, params={"confirm": space.name}).status_code == 204
    space.put()
    assert "nothing was compared" in move.run("cutover")[1]
    assert "was never cut over" in move.run("cutover", "--back")[1]
    assert move.mode() == "shadow"


async def at_once(move: Move, step: Callable[[Cutover], Awaitable[CutPoint]]) -> list[CutPoint]:
    """What three operators are told who do the same at one moment."""
    environment = move.space.stack.environment
    scripts, postgres = [SET_IF_NEWER, ANNOUNCE_CHANGE], Postgres(environment["LEADERBOARD_POSTGRES_URL"])
    links = [RedisConnection(environment["LEADERBOARD_REDIS_URL"], scripts) for _ in range(3)]
    try:
        works = [Cutover(postgres, link, CommandGate(postgres, link), "operator") for link in links]
        return await asyncio.gather(*map(step, works))
    finally:
        await asyncio.gather(*(link.close() for link in links))
        await postgres.close()


def test_of_operators_at_once_one_cuts_over(move: Move) -> None:
    assert move.compare("--as-of", move.dump) == 0
    name = move.space.name
    forth = asyncio.run(at_once(move, lambda work: work.go_live(name, Bounds())))
    assert sorted(place.was_so for place in forth) == [False, True, True]
    assert [one["type"] for one in move.events()] == ["cut_over"]
    back = asyncio.run(at_once(move, lambda work: work.go_back(name)))
    assert sorted(place.was_so for place in back) == [False, True, True]
    assert {(place.epoch, place.seq) for place in back} == {(place.epoch, place.seq) for place in forth}
    assert [one["type"] for one in move.events()] == ["cut_over", "cut_back"]


def test_a_comparison_that_comes_meanwhile_decides(move: Move, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conditions hold when they are looked at, and no more when the mode is to change."""
    assert move.compare("--as-of", move.dump) == 0
    change = Cutover._change

    async def late(self: Cutover, *args: Any) -> bool:
        move.totals["u1"] += 2
        assert await asyncio.to_thread(move.compare, "--as-of", move.dump) == 1
        return await change(self, *args)

    monkeypatch.setattr(Cutover, "_change", late)
    assert "a score differs by 2, more than 0: see what compare printed" in move.run("cutover")[1]
    assert (move.mode(), move.events()) == ("shadow", [])


def test_a_table_that_contradicts_itself_shows_nothing(move: Move) -> None:
    file = move.folder / "twice.csv"
    file.write_text("user_id,score\n" + "".join(f"u{i},{i}\n" for i in range(1, 9)) + "u1,2\nu1,1\n")
    assert move.run("compare", str(file), "--as-of", move.dump)[0] == 1
    assert "unclear in the other system: 1 score: " in move.run("cutover")[1]


@pytest.mark.parametrize("words", [("--max-diff", "-1"), ("--back", "--dry-run")])
def test_wrong_usage_is_told(move: Move, words: tuple[str, ...]) -> None:
    assert move.run("cutover", *words)[0] == 2


def test_a_name_that_is_none_is_told(live_server: Any) -> None:
    done = command_here(live_server.environment, "cutover", "--namespace", "nowhere")
    assert (done.exit_code, "there is no namespace 'nowhere'" in str(done.exception)) == (1, True)
