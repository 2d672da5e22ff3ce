"""One event stream: what its client takes at once is written at once, what it does not take is skipped, and nothing of
it stays in the process."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest

from app.live.client_quota import ClientQuota
from app.live.connection_sweep import LOOK_AT_ALL_S, SILENCE_S, LiveSweep
from app.live.event_stream import EventStream
from app.live.frames import UpToDate
from app.live.protocol import Frame, Resume
from app.live.subscriber import REVOKED, Subscriber, Viewer
from app.live.websocket import SEND_S_MAX
from app.model.errors import RateLimited
from app.model.views import Top
from tests.support.hub_store import TOKEN, Store, within
from tests.support.virtual_time import VirtualTime


class Stream:
    """A client that takes what it is sent while it reads."""

    def __init__(self, *, is_chunked: bool) -> None:
        self.is_chunked = is_chunked
        self.is_clear = self.reads = True
        self.on_clear: Callable[[], None] | None = None
        self.on_gone: Callable[[], None] | None = None
        self.on_shutdown: Callable[[], None] | None = None
        self.sent: list[dict[str, Any]] = []
        self.over = ""

    def push(self, data: bytes) -> None:
        assert self.is_clear, "only where the client takes it"
        assert not self.over
        self.is_clear = self.reads
        self._take(data)

    def end(self, last: bytes = b"") -> None:
        self.over = "ended"
        self._take(last)

    def drop(self) -> None:
        self.over = "dropped"

    def read(self) -> None:
        """Takes all that was written."""
        self.is_clear = True
        if self.on_clear is not None:
            self.on_clear()

    def kinds(self) -> list[str]:
        """The kinds of the events since asked last."""
        sent, self.sent = self.sent, []
        return [one["type"] for one in sent]

    def _take(self, data: bytes) -> None:
        if self.is_chunked:
            size, _, rest = data.partition(b"\r\n")
            assert (int(size, 16), rest[-2:]) == (len(rest) - 2, b"\r\n")
            data = rest[:-2]
        for text in data.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in text.split("\n"))
            body = json.loads(fields["data"])
            assert body["type"] == fields["event"]
            self.sent.append(body | {name: fields[name] for name in ("id", "retry") if name in fields})


class Served:
    """A client's stream, begun."""

    def __init__(self, store: Store, *, is_chunked: bool = True, viewer: Viewer | None = None) -> None:
        self.store, self.sweep = store, LiveSweep()
        self.stream = Stream(is_chunked=is_chunked)
        self.viewer = viewer or Viewer(store.keyring, "10.0.0.1", "send a header")
        self.releases = self.drains = 0

    async def begin(self, name: str = "race") -> "Served":
        subscriber = Subscriber(0, self.viewer, "all", Resume())
        self.store.hub.viewers.add(self.viewer)
        await self.store.hub.subscribe(subscriber, name, "all", Top(3))
        stream = EventStream(
            self.stream,
            subscriber,
            hub=self.store.hub,
            sweep=self.sweep,
            send_s_max=SEND_S_MAX,
            release=self._release,
        )
        stream.begin(self._drain)
        return self

    async def news(self, version: int) -> list[str]:
        """A new version of the board; what was sent of it."""
        self.store.boards["all"] = (version, ["otter"])
        await self.store.tick()
        return self.stream.kinds()

    def assert_over(self, how: str) -> None:
        assert (self.stream.over, self.releases) == (how, 1)
        assert (self.sweep.open, self.sweep.waiting, self.store.hub._boards) == (set(), set(), {})
        assert (self.stream.on_clear, self.stream.on_gone, self.stream.on_shutdown) == (None, None, None)
        assert self.viewer.outlet is None

    def _release(self) -> None:
        self.releases += 1
        self.store.hub.viewers.discard(self.viewer)

    def _drain(self) -> None:
        self.drains += 1


@pytest.mark.parametrize("is_chunked", [True, False])
def test_what_a_client_takes_is_written_at_once_without_a_task(is_chunked: bool) -> None:
    async def act(store: Store) -> None:
        served = await Served(store, is_chunked=is_chunked).begin()
        assert [await served.news(version) for version in (1, 2, 2)] == [["snapshot"], ["delta"], []]
        assert asyncio.all_tasks() == {asyncio.current_task()}

    within(act)


def test_all_streams_of_a_view_share_the_bytes_of_a_frame() -> None:
    frame = Frame(UpToDate("all", 2), "1-2-all")
    assert frame.event(True) is frame.event(True)
    event = b'id: 1-2-all\nevent: uptodate\ndata: {"type":"uptodate","window":"all","version":2}\n\n'
    assert frame.event(False) == event
    assert frame.event(True) == b"%x\r\n" % len(event) + event + b"\r\n"


@pytest.mark.parametrize(
    ("event_id", "resume"),
    [
        ("3-812-2025-W44", Resume(3, 812, "2025-W44")),
        ("3-812-season:a-b", Resume(3, 812, "season:a-b")),
        ("", Resume()),
        ("3-812", Resume()),
        ("3-812-", Resume()),
        ("x-812-all", Resume()),
        ("-1-812-all", Resume()),
        ("3-" + "9" * 40 + "-all", Resume()),
        ("3-812-" + "x" * 81, Resume()),
        ("3-٣-all", Resume()),
        ("3-812-all\n", Resume()),
    ],
)
def test_an_id_that_is_not_ours_names_no_state(event_id: str, resume: Resume) -> None:
    assert Resume.of_event_id(event_id) == resume


def test_a_late_client_skips_states_and_goes_on_by_a_snapshot() -> None:
    async def act(store: Store) -> None:
        served = await Served(store).begin()
        await served.news(1)
        served.stream.reads = False
        assert await served.news(2) == ["delta"]
        assert [await served.news(version) for version in (3, 4)] == [[], []]
        served.stream.reads = True
        served.stream.read()
        [frame] = served.stream.sent
        assert (frame["type"], frame["version"]) == ("snapshot", 4)
        assert not served.sweep.waiting
        assert await served.news(5) == ["snapshot", "delta"]

    within(act)


def test_a_client_that_takes_nothing_is_dropped_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    time = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        served, well = await Served(store).begin(), await Served(store).begin()
        served.stream.reads = False
        await served.news(1)
        sweeping = asyncio.create_task(served.sweep.run())
        await asyncio.sleep(SEND_S_MAX - 0.1)
        assert served.stream.over == ""
        await asyncio.sleep(0.6)
        assert (served.stream.over, served.releases) == ("dropped", 1)
        assert well.stream.over == ""
        sweeping.cancel()

    within(act, time.run)


def test_a_client_that_is_clear_when_it_begins_late_is_watched(monkeypatch: pytest.MonkeyPatch) -> None:
    """The head alone was not taken."""
    time = VirtualTime(monkeypatch)

    async def act(store: Store) -> None:
        served = Served(store)
        served.stream.is_clear = False
        await served.begin()
        assert await served.news(1) == []
        sweeping = asyncio.create_task(served.sweep.run())
        await asyncio.sleep(SEND_S_MAX + 0.6)
        served.assert_over("dropped")
        sweeping.cancel()

    within(act, time.run)


def test_silence_is_broken_by_a_ping() -> None:
    async def act(store: Store) -> None:
        served = await Served(store).begin()
        await served.news(1)
        looks = int(SILENCE_S / LOOK_AT_ALL_S)
        for _ in range(looks):
            [connection] = served.sweep.open
            connection.check_silence()
        assert served.stream.kinds() == []
        connection.check_silence()
        assert served.stream.kinds() == ["ping"]
        assert await served.news(2) == ["delta"]

    within(act)


def test_a_fault_is_the_last_event_also_for_a_late_client() -> None:
    async def act(store: Store) -> None:
        for is_late in (False, True):
            name = f"race-{is_late}"
            store.space(name, visibility="public")
            served = await Served(store).begin(name)
            served.stream.reads = not is_late
            await served.news(1)
            store.change(name, visibility="private")
            store.changes += 1
            assert await served.news(2) == ["error"]
            served.assert_over("ended")

    within(act)


@pytest.mark.parametrize("is_late", [True, False])
def test_a_frame_that_cannot_be_encoded_ends_the_stream_that_it_was_for(
    monkeypatch: pytest.MonkeyPatch, is_late: bool
) -> None:
    async def act(store: Store) -> None:
        served = Served(store)
        served.stream.is_clear = not is_late
        await served.begin()
        monkeypatch.setattr(Frame, "event", lambda *_: 1 / 0)
        events = await served.news(1)
        if is_late:
            served.stream.read()
            events = served.stream.kinds()
        assert events == ["error"]
        served.assert_over("ended")

    within(act)


def test_a_revoked_key_ends_the_stream_even_before_it_has_begun() -> None:
    async def act(store: Store) -> None:
        viewer = Viewer(store.keyring)
        await viewer.enter(TOKEN)
        served = await Served(store, viewer=viewer).begin()
        await served.news(1)
        viewer.revoked = True
        served.viewer.outlet.revoke()  # type: ignore[union-attr]
        assert served.stream.sent[-1] == {"type": "error", "code": "unauthorized", "detail": REVOKED}
        served.assert_over("ended")
        again = Served(store, viewer=viewer)
        store.hub.viewers.add(viewer)
        viewer.revoked = False
        begin = store.hub.subscribe

        async def subscribe(*args: Any, **more: Any) -> None:
            await begin(*args, **more)
            viewer.revoked = True

        store.hub.subscribe = subscribe  # type: ignore[method-assign]
        await again.begin()
        assert again.stream.kinds() == ["error"]
        again.assert_over("ended")

    within(act)


def test_a_client_that_is_gone_leaves_nothing() -> None:
    async def act(store: Store) -> None:
        served = await Served(store).begin()
        await served.news(1)
        assert served.stream.on_gone is not None
        served.stream.on_gone()
        served.stream.over = "gone"
        served.assert_over("gone")

    within(act)


def test_the_end_of_the_server_asks_to_come_back_each_after_a_time_of_its_own() -> None:
    async def act(store: Store) -> None:
        times = []
        for _ in range(20):
            served = await Served(store).begin()
            assert served.stream.on_shutdown is not None
            served.stream.on_shutdown()
            assert served.drains == 1
            [connection] = served.sweep.open
            connection.drain(1_000)
            [event] = served.stream.sent
            assert (event["type"], event["retry_ms"]) == ("drain", 1_000)
            times.append(int(event["retry"]))
            served.assert_over("ended")
        assert 1_000 <= min(times) < max(times) < 2_000

    within(act)


def test_streams_and_sockets_are_counted_together() -> None:
    async def act(store: Store) -> None:
        quota = ClientQuota("sockets", key_max=1, user_max=1, address_max=1)
        viewer = Viewer(store.keyring, "10.0.0.1")
        quota.take(viewer.owner)
        with pytest.raises(RateLimited):
            quota.take(Subscriber(0, viewer, "all", Resume()).owner)

    within(act)
