"""Random hostile clients of `/v1/live` never kill a worker and always get a close code or an error; who watches beside
them gets all frames."""

import os
import random
import re
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Self

import pytest
from websockets.sync.client import connect

from tests.hostile.conftest import Short
from tests.support import live_fuzz
from tests.support.live_socket import hear, public, say, subscribe
from tests.support.raw_clients import Raw, close_code

#: Connections at a time, each from an address of its own.
AT_ONCE = 12
#: Seconds in which a neighbour must have its frame, on a busy machine too.
FRAME_S_MAX = 5.0
#: The protocol's codes, and those that RFC 6455 has for what its rules forbid.
CODES = {4400, 4001, 4003, 4013, 4102, 4108, 4129, 1000, 1002, 1003, 1007, 1009, 1011}


class Neighbour(threading.Thread):
    """Watches and writes beside them. frames: how many came; longest_s: from a grant to its frame."""

    def __init__(self, short: Short) -> None:
        super().__init__()
        self._short = short
        self._is_over = threading.Event()
        self.frames, self.longest_s = 0, 0.0
        self.fault: BaseException | None = None

    def run(self) -> None:
        try:
            self._watch()
        except BaseException as fault:
            self.fault = fault

    def _watch(self) -> None:
        with self._short.client() as api, connect(f"ws://127.0.0.1:{self._short.port}/v1/live") as socket:
            say(socket, type="auth", token=self._short.key)
            assert hear(socket) == {"type": "ready"}
            subscribe(socket, "fuzz")
            version = hear(socket)["version"]
            while not self._is_over.is_set():
                began = time.monotonic()
                grant = {"grant_id": f"n{began}", "user_id": "otter", "amount": 1}
                api.post("/v1/namespaces/fuzz/grants", json=grant).raise_for_status()
                frame = hear(socket)
                assert (frame["type"], frame["from"]) == ("delta", version)
                version = frame["version"]
                self.frames, self.longest_s = self.frames + 1, max(self.longest_s, time.monotonic() - began)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._is_over.set()
        self.join(30)


def attack(short: Short, seed: int) -> str:
    """One hostile connection; how it ended."""
    chance = random.Random(seed)
    with Raw(short.port, source=f"127.0.{1 + seed % 200}.{1 + chance.randrange(200)}") as raw:
        if chance.random() < 0.25:
            return _refusal(raw, chance.choice(live_fuzz.HEADS)(chance), seed)
        makers = chance.choices(live_fuzz.FRAMES, k=chance.randrange(1, 4))
        raw.send(live_fuzz.head(chance, packed=live_fuzz.packed_message in makers or chance.choice([None, False])))
        upgraded = raw.hear(b"\r\n\r\n")
        assert b" 101 " in upgraded, (seed, upgraded)
        data = b"".join(maker(chance) for maker in makers)
        is_through = all(raw.send(piece) for piece in _pieces(chance, data))
        match chance.randrange(6):
            case 0:
                with suppress(OSError):
                    raw.socket.shutdown(1)  # half open
                raw.end()
                return "half open"
            case 1:
                return "left"
        is_through = raw.send(live_fuzz.GOODBYE) and is_through
        code = close_code(raw.end())
        # Who goes on sending to a closed socket is reset, and may lose what was there for it to read.
        assert code in CODES or (code is None and (not is_through or len(data) > 10_000)), (seed, code, makers)
        return str(code)


def _refusal(raw: Raw, head: bytes, seed: int) -> str:
    raw.send(head)
    statuses = re.findall(rb"HTTP/1\.\d (\d+)", raw.end())
    assert statuses, (seed, head)
    assert all(400 <= int(status) < 500 or status in (b"101", b"501", b"505") for status in statuses), (
        seed,
        statuses,
        head,
    )
    return str(statuses[0].decode())


def _pieces(chance: random.Random, data: bytes) -> list[bytes]:
    """At once, or cut somewhere."""
    if chance.random() < 0.5 or len(data) < 2:
        return [data]
    at = chance.randrange(1, len(data))
    return [data[:at], data[at:]]


def storm(short: Short, seed: int, count: int) -> Counter[str]:
    """So many of them, and what they got."""
    with short.client() as api:
        public(api, "fuzz")
    errors = short.log.read_text().count("Traceback")
    with Neighbour(short) as neighbour, ThreadPoolExecutor(AT_ONCE) as pool:
        results = Counter(pool.map(lambda number: attack(short, number), range(seed, seed + count)))
    beside = f"{neighbour.frames} frames beside them, the longest after {neighbour.longest_s:.2f} s"
    print(f"LIVE_SEED={seed}: {dict(results)}; {beside}")
    assert neighbour.fault is None, neighbour.fault
    assert neighbour.frames, "nobody watched"
    assert neighbour.longest_s < FRAME_S_MAX
    assert short.log.read_text().count("Traceback") == errors, "the server met what it did not expect"
    return results


def test_a_hundred_hostile_clients(short: Short) -> None:
    results = storm(short, int(os.environ.get("LIVE_SEED", random.randrange(10**8))), 100)
    assert len(results) > 5


@pytest.mark.full
@pytest.mark.timeout(900)
def test_hostile_clients_for_minutes(short: Short) -> None:
    seed = int(os.environ.get("LIVE_SEED", random.randrange(10**8)))
    for first in range(seed, seed + 6_000, 500):
        storm(short, first, 500)
