"""Where the primary is, as Sentinels say: some know, some answer an error, some are silent."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from redis.exceptions import ResponseError

from app import task_end
from app.drivers import redis_topology
from app.drivers.redis_topology import NodeMap
from app.model.redis_url import Host
from tests.support.virtual_time import VirtualTime

NO_SERVICE = ResponseError("No such master with that name")
SILENCE_S = 60.0


def knows(node: str, epoch: int) -> list[Any]:
    """The replies of one that knows the primary since a failover."""
    return [[node.encode(), b"6379"], [b"name", b"main", b"config-epoch", b"%d" % epoch]]


class Sentinels:
    """By name their replies; None: it is silent, and misses some words to end."""

    def __init__(self, **replies: list[Any] | None) -> None:
        self._replies = replies
        self.misses = 0
        self.map = NodeMap.of_url(f"redis+sentinel://{','.join(replies)}/main")

    async def ask(self, host: Host, _url: str, _calls: Sequence[Any]) -> tuple[Host, list[Any]]:
        replies = self._replies[host.name]
        while replies is None:
            try:
                await asyncio.sleep(SILENCE_S)
            except asyncio.CancelledError:
                self.misses -= 1
                if self.misses < 0:
                    raise
        return host, replies

    def locate(self, monkeypatch: pytest.MonkeyPatch) -> tuple[str, float]:
        """The primary's URL, and the seconds until it was known."""
        time = VirtualTime(monkeypatch)
        monkeypatch.setattr(redis_topology, "_ask_host", self.ask)
        return time.run(self.map.locate("")), time.passed_s


def test_the_sentinel_that_knows_the_latest_failover_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = Sentinels(a=knows("former", 3), b=knows("present", 4), c=knows("former", 3))
    url, _ = sentinels.locate(monkeypatch)
    assert url == "redis://present:6379"


def test_one_that_answers_an_error_or_nothing_keeps_nobody_from_the_primary(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = Sentinels(a=[NO_SERVICE, NO_SERVICE], b=[None, NO_SERVICE], c=knows("present", 4), d=None)
    url, took_s = sentinels.locate(monkeypatch)
    assert url == "redis://present:6379"
    assert took_s == pytest.approx(redis_topology.LATER_ANSWERS_S_MAX)


def test_where_all_answer_an_error_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        ConnectionError, match=r"no Sentinel that knows 'main' answers at a:26379, b:26379: No such mas"
    ):
        Sentinels(a=[NO_SERVICE, NO_SERVICE], b=[NO_SERVICE, NO_SERVICE]).locate(monkeypatch)


def test_one_that_misses_the_word_to_end_is_told_again(monkeypatch: pytest.MonkeyPatch) -> None:
    sentinels = Sentinels(a=knows("present", 4), b=None)
    sentinels.misses = 1
    _, took_s = sentinels.locate(monkeypatch)
    assert took_s == pytest.approx(redis_topology.LATER_ANSWERS_S_MAX + task_end.AGAIN_S)
