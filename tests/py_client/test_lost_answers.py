"""Answers that are lost on the way: the server did it, and the client does not know. Each call counts once."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from leaderboard_client import Grant, Leaderboard, Unreachable

from tests.conftest import Stack
from tests.support.tcp_proxy import TcpProxy


@pytest.fixture
def proxy(live_server: Stack) -> Iterator[TcpProxy]:
    with TcpProxy(live_server.port) as proxy:
        yield proxy


@pytest.fixture
def client(live_server: Stack, proxy: TcpProxy) -> Iterator[Leaderboard]:
    with Leaderboard(f"http://127.0.0.1:{proxy.port}", key=live_server.key) as client:
        yield client


def score(api: httpx.Client, space: str) -> Any:
    answer = api.get(f"/v1/namespaces/{space}/users/ann")
    return answer.json()["score"] if answer.is_success else None


def done_without_an_answer(proxy: TcpProxy, act: Callable[[], Any], is_done: Callable[[], bool]) -> Any:
    """What a call says whose first answer was lost after the server had done it."""
    proxy.lose_replies()
    with ThreadPoolExecutor(1) as thread:
        result = thread.submit(act)
        while not is_done():
            pass
        proxy.mend()
        return result.result(20)


def test_a_grant(client: Leaderboard, proxy: TcpProxy, api: httpx.Client, space: str) -> None:
    receipt = done_without_an_answer(
        proxy, lambda: client.grant(space, "ann", 5), lambda: score(api, space) is not None
    )
    assert (receipt.status, receipt.score) == ("duplicate", 5)


def test_a_batch(client: Leaderboard, proxy: TcpProxy, api: httpx.Client, space: str) -> None:
    grants = [Grant(user_id="ann", amount=5), Grant(user_id="bob", amount=1)]
    batch = done_without_an_answer(
        proxy, lambda: client.grants(grants, namespace=space), lambda: score(api, space) is not None
    )
    assert batch.count("duplicate") == 2
    assert score(api, space) == 5


def test_a_correction(client: Leaderboard, proxy: TcpProxy, api: httpx.Client, space: str) -> None:
    """With its revision: a second try without an Idempotency-Key would be a conflict."""
    client.grant(space, "ann", 5, grant_id="g")
    receipt = done_without_an_answer(
        proxy, lambda: client.edit(space, "g", {"amount": 8}, revision=1), lambda: score(api, space) == 8
    )
    assert (receipt.status, receipt.score, receipt.revision) == ("duplicate", 8, 2)


def test_a_key_is_not_made_twice(client: Leaderboard, proxy: TcpProxy, live_server: Stack, space: str) -> None:
    """Nobody saw the first one, so the caller has to decide."""
    with Leaderboard(live_server.url, key=live_server.key) as own:

        def keys() -> int:
            return sum(one.name == space for one in own.api_keys())

        with pytest.raises(Unreachable):
            done_without_an_answer(proxy, lambda: client.create_key([f"read:{space}"], name=space), lambda: keys() > 0)
        assert keys() == 1
