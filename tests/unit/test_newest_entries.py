"""The ledger's newest entries, read once for all webhooks, and what a webhook reads by itself."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from app.model.webhook import WebhookSettings
from app.webhooks import newest_entries
from app.webhooks.ledger_stream import ENTRIES_A_LOOK_MAX, LedgerStream
from app.webhooks.newest_entries import NewestEntries, Search

START = datetime(2026, 1, 1, tzinfo=UTC)


class Ledger:
    """Two partitions of a ledger. Each entry of one takes the next seq; queries: what was asked, with arguments."""

    def __init__(self) -> None:
        self.entries: dict[int, list[dict[str, Any]]] = {0: [], 1: []}
        self.epochs = {0: 1, 1: 1}
        self.oldest: list[dict[str, int]] = []
        self.queries: list[tuple[Any, ...]] = []
        self.hangs: set[int] = set()

    def add(self, p: int, *namespaces: str, kind: str = "grant") -> None:
        for name in namespaces:
            seq = len(self.entries[p]) + 1
            row = {"epoch": self.epochs[p], "seq": seq, "kind": kind, "namespace": name}
            self.entries[p].append(row | {"recorded_at": START + timedelta(seconds=seq)})

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        self.queries.append((query, *args))
        if query == "get_offsets":
            return [{"partition": p, "epoch": self.epochs[p], "seq": len(rows)} for p, rows in self.entries.items()]
        if query == "get_oldest_webhook_offsets":
            return self.oldest
        p, epoch, seq, *others = args
        if p in self.hangs:
            raise TimeoutError
        behind = [row for row in self.entries[p] if (row["epoch"], row["seq"]) > (epoch, seq)]
        if query == "get_newest_entries":
            return behind[: others[0]]
        kinds, pattern, size, limit = others
        scan = behind[:size]
        matches = [row for row in scan if row["kind"] in kinds and row["namespace"] == pattern][:limit]
        return matches + [row | {"kind": None} for row in scan[-1:]]

    def count(self, query: str) -> int:
        return sum(one[0] == query for one in self.queries)


def search_of(namespaces: str, limit: int = 100) -> Search:
    return Search(namespaces, {"grant"}, limit)


def stream_of(ledger: Ledger, newest: NewestEntries, name: str, types: Sequence[str] = ("granted",)) -> LedgerStream:
    settings = WebhookSettings(url="", namespaces=name, types=cast(Any, tuple(types)))
    return LedgerStream(cast(Any, ledger.fetch), settings, newest, {0: (1, 0), 1: (1, 0)})


async def take(stream: LedgerStream) -> list[tuple[int, int]]:
    """Partition and seq of all that waits."""
    places = []
    while (head := await stream.head()) is not None:
        places.append((head.place["partition"], head.place["seq"]))
        stream.pass_head(head, is_dropped=False)
    return places


async def newest_of(ledger: Ledger) -> NewestEntries:
    """One that has begun."""
    newest = NewestEntries(cast(Any, ledger.fetch))
    await newest.follow()
    return newest


def test_hundreds_of_webhooks_that_nothing_concerns_ask_nothing() -> None:
    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        streams = [stream_of(ledger, newest, f"idle-{i}") for i in range(300)]
        ledger.add(0, *["race"] * 500)
        await newest.follow()
        ledger.queries.clear()
        assert [await stream.head() for stream in streams] == [None] * 300
        assert ledger.queries == []
        assert {tuple(stream.take_unnoted().items()) for stream in streams} == {((0, (1, 500)),)}
        await newest.follow()
        assert [query for query, *_ in ledger.queries] == ["get_offsets"], "nothing is new"

    asyncio.run(run())


def test_a_webhook_gets_its_own_entries_in_order_from_both_partitions() -> None:
    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        stream = stream_of(ledger, newest, "race")
        ledger.add(0, "race", "other", "race")
        ledger.add(0, "race", kind="edit")
        ledger.add(1, "other", "race")
        await newest.follow()
        assert sorted(await take(stream)) == [(0, 1), (0, 3), (1, 2)]
        ledger.add(0, "race")
        await newest.follow()
        assert await take(stream) == [(0, 5)]
        assert ledger.count("find_webhook_entries") == 0

    asyncio.run(run())


def test_more_than_one_read_takes_is_read_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_entries, "ENTRIES_A_READ_MAX", 10)

    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        stream = stream_of(ledger, newest, "race")
        ledger.add(0, *["race"] * 25)
        assert [await newest.follow() for _ in range(3)] == [True, True, False]
        assert await take(stream) == [(0, i) for i in range(1, 26)]

    asyncio.run(run())


def test_what_is_no_more_kept_a_webhook_reads_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newest_entries, "ENTRIES_MAX", 20)

    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        stream = stream_of(ledger, newest, "race")
        for _ in range(10):
            ledger.add(0, *["race"] * 5, *["other"] * 5)
            await newest.follow()
        assert newest.find(0, (1, 0), search_of("race")) is None
        assert newest.find(0, (1, 80), search_of("race")) is not None
        assert [seq for _, seq in await take(stream)] == [10 * i + j for i in range(10) for j in range(1, 6)]
        assert ledger.count("find_webhook_entries") > 0

    asyncio.run(run())


def test_a_webhook_far_behind_that_nothing_concerns_reads_more_at_a_time() -> None:
    async def run() -> None:
        ledger = Ledger()
        ledger.add(0, *["other"] * 20_000, "race")
        newest = await newest_of(ledger)
        assert await take(stream_of(ledger, newest, "race")) == [(0, 20_001)]
        sizes = [args[5] for query, *args in ledger.queries if query == "find_webhook_entries"]
        assert (sizes[0], max(sizes), len(sizes) < 12) == (100, ENTRIES_A_LOOK_MAX, True)

    asyncio.run(run())


def test_it_begins_where_a_webhook_still_has_to_look() -> None:
    async def run() -> None:
        ledger = Ledger()
        ledger.add(0, *["race"] * 30)
        ledger.add(1, *["race"] * 30)
        ledger.oldest = [{"partition": 0, "epoch": 1, "seq": 20}, {"partition": -1, "epoch": 0, "seq": 5}]
        newest = await newest_of(ledger)
        answer = newest.find(0, (1, 20), search_of("race"))
        assert answer is not None
        assert [entry.place for entry in answer[0]] == [(1, seq) for seq in range(21, 31)]
        assert newest.find(0, (1, 19), search_of("race")) is None
        assert newest.find(1, (1, 30), search_of("race")) == ([], (1, 30))

    asyncio.run(run())


def test_a_search_ends_at_its_limit_and_goes_on_there() -> None:
    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        ledger.add(0, "b", "a", "b", "a", "b")
        await newest.follow()
        answer = newest.find(0, (1, 0), search_of("*", limit=3))
        assert answer is not None
        assert ([entry.place[1] for entry in answer[0]], answer[1]) == ([1, 2, 3], (1, 3))

    asyncio.run(run())


def test_an_epoch_without_an_entry_is_passed() -> None:
    async def run() -> None:
        ledger = Ledger()
        ledger.add(0, "race")
        newest = await newest_of(ledger)
        ledger.epochs[0] = 2
        await newest.follow()
        stream = stream_of(ledger, newest, "race")
        assert await take(stream) == [(0, 1)]
        ledger.add(0, "race")
        await newest.follow()
        assert await take(stream) == [(0, 2)]

    asyncio.run(run())


def test_a_partition_that_hangs_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        ledger.add(0, "race")
        ledger.add(1, "race")
        ledger.hangs = {0}
        await newest.follow()
        stream = stream_of(ledger, newest, "race")
        assert await take(stream) == [(1, 1)]
        reads = ledger.count("get_newest_entries")
        await newest.follow()
        assert ledger.count("get_newest_entries") == reads, "it rests"
        ledger.hangs = set()
        monkeypatch.setattr(newest_entries, "monotonic", lambda: 10**9)
        await newest.follow()
        assert await take(stream) == [(0, 1)]

    asyncio.run(run())


def test_a_webhook_without_types_of_the_ledger_goes_on_with_it() -> None:
    """A type that is added later is told from then on."""

    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        stream = stream_of(ledger, newest, "race", ["entered"])
        ledger.add(0, "race", "race")
        await newest.follow()
        assert await take(stream) == []
        assert stream.take_unnoted() == {0: (1, 2)}

    asyncio.run(run())


def test_news_wake_those_whom_they_concern() -> None:
    async def run() -> None:
        ledger = Ledger()
        newest = await newest_of(ledger)
        waits = {
            pattern: asyncio.create_task(newest.wait(pattern, 20)) for pattern in ("race", "ra*", "other", "idle-*")
        }
        await asyncio.sleep(0)
        ledger.add(0, "race", "another")
        await newest.follow()
        await asyncio.sleep(0)
        assert [pattern for pattern, task in waits.items() if task.done()] == ["race", "ra*"]
        for task in waits.values():
            task.cancel()
        await asyncio.gather(*waits.values(), return_exceptions=True)
        await newest.wait("race", 0.01)

    asyncio.run(run())
