"""The client's calls against a real server, by both of its sides."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from leaderboard_client import (
    AsyncLeaderboard,
    Conflict,
    Correction,
    Forbidden,
    Grant,
    Invalid,
    Leaderboard,
    NotFound,
    Problem,
    TokenUnavailable,
    Unauthorized,
    Unreachable,
)

from tests.conftest import Names, Stack


@pytest.fixture
def client(live_server: Stack) -> Iterator[Leaderboard]:
    with Leaderboard(live_server.url, key=live_server.key) as client:
        yield client


def three(client: Leaderboard, space: str) -> None:
    """ann 5, bob 7, cid 1."""
    grants = [
        Grant(user_id=user, amount=amount, grant_id=user) for user, amount in (("ann", 5), ("bob", 7), ("cid", 1))
    ]
    assert client.grants(grants, namespace=space).count("applied") == 3


def test_a_grant_counts_once(client: Leaderboard, space: str) -> None:
    first = client.grant(space, "ann", 5, rank=True)
    assert (first.status, first.score, first.previous_score, first.rank) == ("applied", 5, None, 1)
    again = client.grant(space, "ann", 5, grant_id=first.grant_id)
    assert (again.status, again.score) == ("duplicate", 5)


def test_amounts_are_exact(client: Leaderboard, names: Names) -> None:
    space = names.fresh()
    client.put_namespace(space, scale=6)
    client.grant(space, "ann", Decimal("123456789.123456"))
    receipt = client.grant(space, "ann", Decimal("0.000001"))
    assert receipt.score == 123456789.123457
    assert client.stats(space).sum == Decimal("123456789.123457")


@pytest.mark.parametrize("amount", [float("nan"), float("inf")])
def test_what_is_no_number_is_refused_here_or_there(client: Leaderboard, space: str, amount: float) -> None:
    with pytest.raises(Invalid) as refusal:
        client.grant(space, "ann", amount)
    assert refusal.value.field == "$.amount"


def test_problems_are_told_by_family_and_code(client: Leaderboard, live_server: Stack, space: str) -> None:
    with pytest.raises(Invalid) as refusal:
        client.grant(space, "ann", 0.5)
    problem = refusal.value
    assert (problem.code, problem.status, problem.field) == ("amount_scale", 422, "$.amount")
    assert problem.errors[0].detail == problem.detail
    assert problem.body is not None
    assert b'"user_id":"ann"' in problem.body
    client.grant(space, "ann", 1, grant_id="g")
    with pytest.raises(Conflict) as conflict:
        client.grant(space, "ann", 2, grant_id="g")
    assert conflict.value.code == "grant_conflict"
    with pytest.raises(NotFound) as missing:
        client.board("no-such-board")
    assert missing.value.code == "namespace_not_found"
    with Leaderboard(live_server.url, key="lb_no_0123456789abcdef0123") as nobody, pytest.raises(Unauthorized):
        nobody.board(space)
    with Leaderboard(live_server.url, key=live_server.new_key("read:other-*")) as reader, pytest.raises(Forbidden):
        reader.board(space)


def test_a_batch_answers_for_each_member(client: Leaderboard, space: str) -> None:
    batch = client.grants([Grant(user_id="ann", amount=5), Grant(user_id="bob", amount=0.5)], namespace=space)
    assert [result.status for result in batch.results] == ["applied", "rejected"]
    (refused,) = batch.rejected
    assert refused.error is not None
    assert (refused.error.code, refused.error.retryable) == ("amount_scale", False)
    with pytest.raises(ValueError, match="1000 grants"):
        client.grants([Grant(user_id="ann", amount=1)] * 1001, namespace=space)


def test_an_atomic_batch_counts_as_a_whole(client: Leaderboard, names: Names) -> None:
    spaces = [names.fresh(), names.fresh()]
    for space in spaces:
        client.put_namespace(space, group=spaces[0])
    members = [Grant(namespace=space, user_id="ann", amount=2) for space in spaces]
    assert client.grants(members, atomic=True).count("applied") == 2
    with pytest.raises(Invalid):
        client.grants([members[0], Grant(namespace=spaces[1], user_id="ann", amount=0.5)], atomic=True)


def test_corrections(client: Leaderboard, space: str) -> None:
    three(client, space)
    forecast = client.void(space, "bob", dry_run=True)
    assert forecast.status == "dry_run"
    assert {(move.window, move.previous_rank, move.rank) for move in forecast.moves} >= {("all", 1, None)}
    assert client.void(space, "bob", reason="a cheater").score is None
    assert client.restore(space, "bob", revision=2).score == 7
    assert client.edit(space, "ann", {"amount": 9, "category": "red"}).revision == 2
    with pytest.raises(Conflict) as stale:
        client.edit(space, "ann", {"amount": 1}, revision=1)
    assert stale.value.code == "revision_conflict"
    many = client.correct(space, [Correction(op="edit", grant_id="cid", amount=3), {"op": "void", "grant_id": "no"}])
    assert [result.status for result in many.results] == ["applied", "rejected"]
    state = client.grant_state(space, "ann")
    assert (state.amount, state.category, [one.verb for one in state.revisions]) == (9, "red", ["grant", "edit"])
    assert client.edit(space, "ann", {"category": None}).status == "applied"


def test_boards(client: Leaderboard, space: str) -> None:
    three(client, space)
    page = client.board(space, limit=1)
    assert ([entry.user_id for entry in page.entries], page.total) == (["bob"], 3)
    assert [entry.user_id for entry in client.entries(space, page=1)] == ["bob", "ann", "cid"]
    assert [entry.user_id for entry in client.around(space, "all", "ann", radius=1).entries] == ["bob", "ann", "cid"]
    assert client.board(space, users=["ann", "nobody"]).missing == ("nobody",)
    assert [entry.user_id for entry in client.entries(space, min_score=2)] == ["bob", "ann"]
    entry = client.rank(space, "all", "ann")
    assert entry is not None
    assert (entry.rank, entry.score) == (2, 5)
    assert client.rank(space, "all", "nobody") is None
    assert client.board(space, as_of=datetime.now(UTC) - timedelta(days=1)).total == 0
    assert client.at(space, "all", 3).user_id == "cid"
    assert client.count(space, min_score=2) == 2
    assert len(client.random(space, n=2)) == 2
    assert client.score_at_percentile(space, "all", 100) == 7
    assert client.rank_of(space, "all", 6).rank == 2
    assert client.stats(space, percentiles="50", histogram=2).percentiles == {"50": 5}
    assert [board.entries[0].user_id for board in client.ranks(space, ["ann"], ["all", "day"])] == ["ann", "ann"]
    pages = client.boards([{"namespace": space, "limit": 1}, {"namespace": space, "window": "no"}])
    assert [board.error.code if board.error else None for board in pages] == [None, "board_not_found"]
    assert client.stats_of_boards([{"namespace": space}])[0].count == 3
    assert [stats.namespace for stats in client.stats_of_namespaces(space)] == [space]


def test_users(client: Leaderboard, live_server: Stack, space: str) -> None:
    three(client, space)
    live_server.wait_flushed()
    standing = client.user(space, "ann")
    rank = standing.ranks["all"]
    assert rank is not None
    assert (standing.score, rank.rank, rank.gap_to_next) == (5, 2, 2)
    assert [total.user_id for total in client.totals(space, ["ann", "nobody"])] == ["ann"]
    assert space in {one.namespace for one in client.standings("ann")}
    assert [grant.grant_id for grant in client.history(space, "ann", page=1)] == ["ann"]
    assert client.history_page(space, "ann").lag_seq is not None
    assert client.explain(space, "ann").score == 5
    assert {grant.user_id for grant in client.live_grants(space, page=2)} == {"ann", "bob", "cid"}
    assert client.activity(space).sum == 13
    assert client.activity(space, "ann").count == 1
    assert [one.user_id for one in client.activities(space, ["ann", "nobody"])] == ["ann"]
    assert [(trend.grants, trend.users) for trend in client.trends(space)] == [(3, 3)]
    assert client.put_profile("ann", namespace=space, display_name="Ann").display_name == "Ann"
    assert [match.display_name for match in client.search(space, "ann")] == ["Ann"]
    assert client.hide("ann", namespace=space).hidden
    assert client.rank(space, "all", "ann") is None
    assert not client.unhide("ann", namespace=space).hidden


def test_trends_are_read_page_by_page(client: Leaderboard, live_server: Stack, space: str) -> None:
    days = [datetime(2024, 5, day, 12, tzinfo=UTC) for day in (1, 2, 3)]
    client.grants([Grant(user_id="ann", amount=1, granted_at=day) for day in days], namespace=space)
    live_server.wait_flushed()
    assert [trend.at.day for trend in client.trends(space, page=1)] == [1, 2, 3]


def test_the_whole_deployment(client: Leaderboard, names: Names) -> None:
    user = names.fresh()
    assert client.put_profile(user, display_name="Uta", timezone="Europe/Berlin").timezone == "Europe/Berlin"
    assert client.profile(user).display_name == "Uta"
    client.erase(user)
    assert client.ready().status == "ready"


def test_quarantine(client: Leaderboard, live_server: Stack, names: Names) -> None:
    space = names.fresh()
    client.put_namespace(space, {"amount_max": 10, "suspicious": "quarantine"})
    assert client.grant(space, "ann", 500, grant_id="big").status == "quarantined"
    live_server.wait_flushed()
    assert [grant.grant_id for grant in client.quarantine(space)] == ["big"]
    assert client.restore(space, "big").score == 500


def test_namespaces_keys_tokens_and_events(client: Leaderboard, live_server: Stack, names: Names) -> None:
    space = names.fresh()
    client.put_namespace(space, scale=2)
    assert client.namespace(space)["scale"] == 2
    assert [one["name"] for one in client.namespaces(space)] == [space]
    key = client.create_key([f"write:{space}"], name="quiz")
    assert key.key is not None
    assert key.id in {one.id for one in client.api_keys()}
    with Leaderboard(live_server.url, key=key.key) as writer:
        assert writer.grant(space, "ann", 1.25).score == 1.25
    assert client.rotate_key(key.id, grace_s=5).key != key.key
    client.revoke_key(key.id)
    token = client.create_token("ann", [space], expires_in_s=60)
    with Leaderboard(live_server.url, token=lambda: token.token) as reader:
        assert reader.board(space).total == 1
        with pytest.raises(Forbidden):
            reader.grant(space, "ann", 1)
    live_server.wait_flushed()
    events, after = client.events(space, types=["granted"])
    assert [event["user_id"] for event in events] == ["ann"]
    assert client.events(space, after=after, types=["granted"])[0] == ()
    client.delete_namespace(space)
    with pytest.raises(NotFound):
        client.namespace(space)


def test_a_token_that_the_server_refuses_is_replaced_once(client: Leaderboard, live_server: Stack, space: str) -> None:
    tokens = iter(["no.such.token", client.create_token("ann", [space]).token])
    with Leaderboard(live_server.url, token=lambda: next(tokens)) as reader:
        assert reader.board(space).total == 0


def test_the_provider_is_asked_once_for_all_who_wait(live_server: Stack, client: Leaderboard, space: str) -> None:
    questions = 0

    async def provide() -> str:
        nonlocal questions
        questions += 1
        await asyncio.sleep(0.05)
        return token.token

    async def reads() -> None:
        async with AsyncLeaderboard(live_server.url, token=provide) as reader:
            await asyncio.gather(*(reader.board(space) for _ in range(10)))

    token = client.create_token("ann", [space])
    asyncio.run(reads())
    assert questions == 1


def test_a_provider_that_fails_is_told(live_server: Stack, space: str) -> None:
    def provide() -> str:
        raise RuntimeError("nobody is there")

    with Leaderboard(live_server.url, token=provide) as reader, pytest.raises(TokenUnavailable, match="nobody"):
        reader.board(space)


@pytest.mark.parametrize("user", ["a/b", "..", ".", "ä ö", "100%", "a?b#c", "a+b"])
def test_ids_hold_any_character(client: Leaderboard, space: str, user: str) -> None:
    client.grant(space, user, 1)
    assert client.user(space, user).user_id == user
    assert client.board(space, users=[user]).entries[0].user_id == user


def test_without_a_server_a_call_ends_at_its_deadline() -> None:
    with Leaderboard("http://127.0.0.1:9", key="lb_x_0123456789abcdef0123", deadline_s=0.3) as client:
        with pytest.raises(Unreachable) as fault:
            client.grant("gp", "ann", 1)
        assert (fault.value.code, fault.value.status, fault.value.passes) == ("unreachable", 0, True)


@pytest.mark.parametrize("options", [{"key": "k", "token": lambda: "t"}])
def test_wrong_options_are_told_at_once(options: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not both"):
        Leaderboard("http://x", **options)
    with pytest.raises(ValueError, match="http"):
        Leaderboard("scores.example.com")


def test_the_side_for_asyncio_does_the_same(live_server: Stack, space: str) -> None:
    async def calls() -> None:
        async with AsyncLeaderboard(live_server.url, key=live_server.key) as client:
            receipts = await asyncio.gather(*(client.grant(space, f"u{i}", i) for i in range(20)))
            assert {receipt.status for receipt in receipts} == {"applied"}
            assert [entry.user_id async for entry in client.entries(space, page=7)][:2] == ["u19", "u18"]
            batch = await client.grants([Grant(user_id="ann", amount=100)], namespace=space)
            assert batch.count("applied") == 1
            entry = await client.rank(space, "all", "ann")
            assert entry is not None
            assert entry.rank == 1
            with pytest.raises(Problem, match="amount_scale"):
                await client.grant(space, "ann", 0.5)
            tokens = aiter_tokens(client, space)
            async with AsyncLeaderboard(live_server.url, token=lambda: anext(tokens)) as reader:
                assert (await reader.board(space)).total == 21

    async def aiter_tokens(client: AsyncLeaderboard, space: str) -> AsyncIterator[str]:
        yield "no.such.token"
        yield (await client.create_token("ann", [space])).token

    asyncio.run(calls())
