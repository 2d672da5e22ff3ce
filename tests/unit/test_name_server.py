"""Looking names up: one that hangs holds up its own host, and at most its own key."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.webhooks import name_server
from app.webhooks.name_server import NameServer, NameUnknown

ADDRESS = "93.184.216.34"


class Resolver:
    """Hangs for names that begin with `hung` until the end; knows `good…`, and no other. questions: in their order."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.questions: list[str] = []
        self.end = threading.Event()
        monkeypatch.setattr(socket, "getaddrinfo", self._answer)

    def _answer(self, host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        self.questions.append(host)
        if host.startswith("hung"):
            self.end.wait(20)
        if host.startswith("none"):
            raise socket.gaierror(-2, "Name or service not known")
        return [(0, socket.SOCK_STREAM, 6, "", (ADDRESS, port))]


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Resolver]:
    resolver = Resolver(monkeypatch)
    yield resolver
    resolver.end.set()


async def hang(names: NameServer, resolver: Resolver, key_id: str, *hosts: str) -> list[asyncio.Task[Any]]:
    """Attempts that wait for a name each; the first ones have a thread."""
    tasks = [asyncio.create_task(names.look_up(key_id, host, 443)) for host in hosts]
    while not resolver.questions:
        await asyncio.sleep(0.001)
    return tasks


async def end(tasks: list[asyncio.Task[Any]], resolver: Resolver) -> list[Any]:
    resolver.end.set()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def known(names: NameServer, key_id: str, host: str) -> bool:
    async with asyncio.timeout(5):
        return [str(address) for address in await names.look_up(key_id, host, 443)] == [ADDRESS]


def test_a_host_that_hangs_has_one_thread_of_a_key_and_leaves_the_others(resolver: Resolver) -> None:
    async def run() -> None:
        names = NameServer(threads_max=4, key_threads_max=2)
        tasks = await hang(names, resolver, "a", *["hung.example"] * 20)
        assert await known(names, "a", "good.example")
        assert resolver.questions == ["hung.example", "good.example"]
        answers = await end(tasks, resolver)
        assert {str(address) for answer in answers for address in answer} == {ADDRESS}
        assert await known(names, "a", "hung.example"), "who comes later asks anew"
        assert resolver.questions.count("hung.example") == 2

    asyncio.run(run())


def test_a_key_with_many_hosts_that_hang_leaves_threads_to_other_keys(resolver: Resolver) -> None:
    async def run() -> None:
        names = NameServer(threads_max=4, key_threads_max=2)
        tasks = await hang(names, resolver, "a", *(f"hung{i}.example" for i in range(20)))
        assert await known(names, "b", "good.example")
        assert len(resolver.questions) <= 3
        await end(tasks, resolver)
        assert await known(names, "a", "good.example")
        assert len({host for host in resolver.questions if host.startswith("hung")}) == 20

    asyncio.run(run())


def test_nobody_waits_for_an_answer_for_long_and_threads_come_back(
    resolver: Resolver, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def run() -> None:
        names = NameServer(threads_max=1, key_threads_max=1)
        monkeypatch.setattr(name_server, "LOOK_UP_S_MAX", 0.02)
        answers = await asyncio.gather(*await hang(names, resolver, "a", "hung1", "hung2"), return_exceptions=True)
        assert [str(answer) for answer in answers] == ["no answer in 0 s"] * 2
        monkeypatch.setattr(name_server, "LOOK_UP_S_MAX", 5.0)
        resolver.end.set()
        assert await known(names, "a", "good.example")

    asyncio.run(run())


def test_a_name_that_nobody_knows_says_so_and_an_address_is_no_name(resolver: Resolver) -> None:
    async def run() -> None:
        names = NameServer()
        with pytest.raises(NameUnknown, match="not known"):
            await names.look_up("a", "none.example", 443)
        assert [str(address) for address in await names.look_up("a", "127.0.0.1", 443)] == ["127.0.0.1"]
        assert resolver.questions == ["none.example"]

    asyncio.run(run())
