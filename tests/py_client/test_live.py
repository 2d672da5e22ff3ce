"""Boards that stay live, against real servers: changes, gaps, losses, silence, tokens that end."""

from __future__ import annotations

import asyncio
import gc
import random
import warnings
from collections.abc import Coroutine, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from leaderboard_client import (
    Around,
    AsyncLeaderboard,
    Board,
    Closed,
    Figures,
    Friends,
    Leaderboard,
    LiveBoard,
    LiveOptions,
    Problem,
    RateLimited,
    Top,
)
from leaderboard_client.live.subscription import Subscription

from tests.conftest import Stack
from tests.support.tcp_proxy import TcpProxy

WAIT_S = 20


@pytest.fixture
def client(live_server: Stack) -> Iterator[Leaderboard]:
    with Leaderboard(live_server.url, key=live_server.key) as client:
        yield client


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


@asynccontextmanager
async def following(stack: Stack, **options: Any) -> Any:
    """A live connection, and the codes of all problems that it tells."""
    codes: list[str] = []
    url = options.pop("url", stack.url)
    login = options.pop("login", {"key": stack.key})
    settings = LiveOptions(on_problem=lambda problem: codes.append(problem.code), **options)
    async with AsyncLeaderboard(url, **login) as client, client.live(settings) as live:
        yield live, codes


async def until(subscription: Subscription, page: Board) -> LiveBoard:
    """Until the state is what a read says."""
    while (board := subscription.board) is None or board.version != page.version:
        board = await asyncio.wait_for(anext(subscription), WAIT_S)
    assert [(one.position, one.rank, one.user_id, one.score) for one in board.entries] == [
        (one.position, one.rank, one.user_id, one.score) for one in page.entries
    ]
    assert board.total == page.total
    return board


async def until_code(codes: list[str], code: str) -> None:
    async with asyncio.timeout(WAIT_S):
        while code not in codes:
            await asyncio.sleep(0.01)


def test_a_board_is_followed(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        async with following(live_server) as (live, codes):
            watch = live.watch(space, view=Top(limit=10))
            client.grant(space, "ann", 3)
            first = await until(watch, client.board(space))
            chance = random.Random(1)
            for i in range(60):
                client.grant(space, chance.choice("abcdefghijklmno"), chance.randint(1, 9))
                if i % 20 == 0:
                    await asyncio.sleep(0)
            last = await until(watch, client.board(space, limit=10))
            upsert, remove = last.changes_since(first)
            rows = {entry.user_id: entry for entry in first.entries if entry.user_id not in remove}
            rows |= {entry.user_id: entry for entry in upsert}
            assert sorted(rows.values(), key=lambda entry: entry.position) == list(last.entries)
            watch.leave()
            with pytest.raises(StopAsyncIteration):
                await anext(watch)
            assert codes == []

    run(test())


def test_every_view(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        for i in range(9):
            client.grant(space, f"u{i}", i + 1)
        async with following(live_server) as (live, _codes):
            top, around = live.watch(space, view=Top(2)), live.watch(space, view=Around("u4", 1))
            friends, figures = live.watch(space, "day", view=Friends(["u1", "u8"])), live.watch(space, view=Figures())
            await until(top, client.board(space, limit=2))
            await until(around, client.around(space, "all", "u4", radius=1))
            await until(friends, client.board(space, "day", users=["u1", "u8"]))
            stats = (await anext(figures)).stats
            assert stats is not None
            assert (stats.count, stats.sum, stats.percentiles["50"]) == (9, 45, 5)
            client.grant(space, "u0", 100)
            await until(top, client.board(space, limit=2))
            stats = (await anext(figures)).stats
            assert stats is not None
            assert stats.sum == 145

    run(test())


def test_a_server_that_is_killed_or_drains_comes_back(own_stack: Stack) -> None:
    async def test(client: Leaderboard) -> None:
        client.put_namespace("race", accept_past=None)
        async with following(own_stack) as (live, codes):
            watch = live.watch("race")
            for i, (end, code) in enumerate(((own_stack.kill, "connection_lost"), (own_stack.stop, None))):
                client.grant("race", f"u{i}", i + 1)
                await until(watch, client.board("race"))
                await asyncio.to_thread(end, "serve")
                if code is not None:
                    await until_code(codes, code)
                await asyncio.to_thread(own_stack.start, "serve")
                client.grant("race", "last", 10)
                await until(watch, client.board("race"))
            assert live.state == "live"

    with Leaderboard(own_stack.url, key=own_stack.key) as client:
        run(test(client))


def test_a_server_that_is_silent_is_left(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        with TcpProxy(live_server.port) as proxy:
            url = f"http://127.0.0.1:{proxy.port}"
            async with following(live_server, url=url, silence_s=0.3, answer_s=0.3) as (live, codes):
                watch = live.watch(space)
                await until(watch, client.board(space))
                await asyncio.to_thread(proxy.hold)
                await until_code(codes, "silence")
                client.grant(space, "dan", 2)
                await asyncio.to_thread(proxy.mend)
                await until(watch, client.board(space))

    run(test())


def test_a_board_that_was_deleted_and_made_anew_comes_back(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        async with following(live_server, chance=lambda: 0.1) as (live, codes):
            watch = live.watch(space)
            await until(watch, client.board(space))
            client.delete_namespace(space)
            await until_code(codes, "namespace_not_found")
            assert watch.board is None
            client.put_namespace(space)
            client.grant(space, "bob", 8)
            await until(watch, client.board(space))

    run(test())


def test_a_wrong_question_ends_the_subscription_alone(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        async with following(live_server) as (live, _codes):
            wrong, right = live.watch(space, view=Top(1000)), live.watch(space)
            with pytest.raises(Problem) as fault:
                await asyncio.wait_for(anext(wrong), WAIT_S)
            assert fault.value.code == "invalid"
            await until(right, client.board(space))

    run(test())


def test_a_key_that_is_revoked_is_the_end(live_server: Stack, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        key = live_server.new_key("read:*")
        async with following(live_server, login={"key": key}, chance=lambda: 0.1) as (live, codes):
            watch = live.watch(space)
            await until(watch, client.board(space))
            live_server.revoke(key)
            with pytest.raises(Problem) as fault:
                await asyncio.wait_for(anext(watch), WAIT_S)
            assert (fault.value.code, codes) == ("close_4001", ["close_4101", "close_4001"])
            assert live.state == "closed"
            with pytest.raises(Closed):
                live.watch(space)

    run(test())


def test_a_token_that_ends_is_replaced(live_server: Stack, client: Leaderboard, space: str) -> None:
    issued = 0

    async def token() -> str:
        nonlocal issued
        issued += 1
        return client.create_token("ann", [space], expires_in_s=2).token

    async def test() -> None:
        client.grant(space, "ann", 3)
        async with following(live_server, login={"token": token}, chance=lambda: 0.1) as (live, codes):
            watch = live.watch(space)
            await until(watch, client.board(space))
            await until_code(codes, "close_4101")
            client.grant(space, "bob", 8)
            await until(watch, client.board(space))
            assert issued >= 2

    run(test())


def test_a_public_board_needs_no_key(live_server: Stack, api: httpx.Client, client: Leaderboard, space: str) -> None:
    async def test() -> None:
        client.put_namespace(space, accept_past=None, visibility="public")
        client.grant(space, "ann", 3)
        async with following(live_server, login={}) as (live, _codes):
            await until(live.watch(space), client.board(space))

    run(test())


def test_a_connection_has_a_bound_and_opens_again_after_the_last_watch(
    live_server: Stack, client: Leaderboard, space: str
) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        async with following(live_server) as (live, codes):
            watches = [live.watch(space) for _ in range(50)]
            with pytest.raises(RateLimited):
                live.watch(space)
            for watch in watches:
                await until(watch, client.board(space))
                watch.leave()
            async with asyncio.timeout(WAIT_S):
                while live.state != "waiting":
                    await asyncio.sleep(0.01)
            await until(live.watch(space), client.board(space))
            assert codes == []

    run(test())


def test_a_frame_that_does_not_lead_on_is_a_gap_and_the_board_is_asked_for_anew(
    live_server: Stack, client: Leaderboard, space: str
) -> None:
    async def test() -> None:
        client.grant(space, "ann", 3)
        async with following(live_server) as (live, codes):
            watch = live.watch(space)
            board = await until(watch, client.board(space))
            watch.copy.board = LiveBoard(
                **{**{name: getattr(board, name) for name in board.__struct_fields__}, "version": 0}
            )
            client.grant(space, "bob", 8)
            await until(watch, client.board(space))
            assert codes == ["gap"]

    run(test())


def test_a_program_that_blocks_follows_by_a_thread(live_server: Stack, client: Leaderboard, space: str) -> None:
    client.grant(space, "ann", 3)
    with client.live() as live:
        watch = live.watch(space)
        assert [entry.user_id for entry in next(iter(watch)).entries] == ["ann"]
        client.grant(space, "bob", 8)
        board = watch.next(WAIT_S)
        assert board is not None
        assert [entry.user_id for entry in board.entries] == ["bob", "ann"]
        with pytest.raises(TimeoutError):
            watch.next(0.05)
        watch.leave()
        assert watch.next(WAIT_S) is None
    with pytest.raises(Closed):
        live.watch(space)


def test_a_connection_that_is_closed_while_it_says_goodbye_leaves_no_socket(
    live_server: Stack, client: Leaderboard, space: str
) -> None:
    async def test(proxy: TcpProxy) -> None:
        client.grant(space, "ann", 3)
        async with following(live_server, url=f"http://127.0.0.1:{proxy.port}") as (live, _codes):
            watch = live.watch(space)
            await until(watch, client.board(space))
            await asyncio.to_thread(proxy.hold)  # Its goodbye has no answer.
            watch.leave()
            await asyncio.sleep(0.1)

    with warnings.catch_warnings(record=True) as left:
        warnings.simplefilter("always", ResourceWarning)
        with TcpProxy(live_server.port) as proxy:
            run(test(proxy))
            gc.collect()
    assert [str(warning.message) for warning in left] == []


def test_nothing_is_left_of_a_connection_that_was_closed(live_server: Stack, space: str) -> None:
    async def test() -> None:
        before = asyncio.all_tasks()
        async with following(live_server) as (live, _codes):
            watch = live.watch(space)
        assert live.state == "closed"
        with pytest.raises(StopAsyncIteration):
            await anext(watch)
        assert asyncio.all_tasks() == before

    run(test())
