import asyncio
from typing import Any

from app.joined import Joined


class Wire:
    """A transport that keeps what reaches it."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed = False

    def write(self, data: bytes) -> None:
        assert not self.closed
        self.sent.append(data)

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def run(act: Any) -> Wire:
    async def within() -> Wire:
        wire = Wire()
        await act(wire, Joined(wire, asyncio.get_running_loop()))  # type: ignore[arg-type]
        return wire

    return asyncio.run(within())


def test_what_is_written_in_one_turn_leaves_in_one_write() -> None:
    async def act(wire: Wire, joined: Joined) -> None:
        joined.write(b"head")
        joined.write(b"body")
        assert wire.sent == []
        await asyncio.sleep(0)
        joined.write(b"next")
        await asyncio.sleep(0)

    assert run(act).sent == [b"headbody", b"next"]


def test_closing_sends_what_is_held_first() -> None:
    async def act(wire: Wire, joined: Joined) -> None:
        joined.write(b"last words")
        joined.close()

    wire = run(act)
    assert (wire.sent, wire.closed) == ([b"last words"], True)


def test_nothing_is_written_to_a_transport_that_closed_meanwhile() -> None:
    async def act(wire: Wire, joined: Joined) -> None:
        joined.write(b"too late")
        wire.close()
        await asyncio.sleep(0)

    assert run(act).sent == []
