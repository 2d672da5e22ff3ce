"""Erasures of which an older Postgres knows nothing: it still has the names and the profiles. Redis has no names of
erased users, so they are known by what it lacks.

A profile goes from Redis by an erasure alone, and so do a user's balances. But a name may be a new user's by now: then
a profile alone tells, and a user who had none goes on as the new one.
"""

from collections.abc import Sequence
from typing import Any

from ..drivers.postgres import Postgres
from ..drivers.redis import RedisConnection
from ..model.text import count_text
from ..model.visibility import ERASE, STATES, is_erased
from ..store.ledger_reach import read_reach
from ..store.partitions import LEDGER_BEHIND
from ..store.redis_state import read_states, read_users_with_balances, read_users_with_profile
from .state_taking import ROWS_A_TRANSACTION_MAX, StateTaking
from .users_from_redis import erase_again, erase_under_other_name, users_in_redis

#: Users that are looked up at once: some ms of either store.
USERS_A_PAGE_MAX = 1_000


async def release_erased_names(taking: StateTaking) -> None:
    """Ends erasures that were under way when Postgres was copied, and are done in Redis, where a new user has the name:
    that one would be erased. It comes before profiles, which go by names. StoreUnavailable, RedisRefused; O(such
    erasures)."""
    rows = await taking.postgres.fetch("get_erasures_under_way")
    old = [row for row in rows if not taking.is_changed("user", row["user_number"])]
    states = await read_states(taking.link, range(taking.partitions), ()) if old else {}
    there = await users_in_redis(taking, [row["user_number"] for row in old])
    for row in old:
        state = states.get((0, row["name"]))
        if (state is None and row["name"] in there) or (state is not None and state.state != STATES[ERASE]):
            async with taking.transaction() as fetch:
                await erase_under_other_name(fetch, row["user_number"], taking.partitions)


async def take_erasures(taking: StateTaking) -> None:
    """Erases again whose profile, or all of whose balances Redis has no more. Nobody is named. StoreUnavailable,
    RedisRefused; O(profiles), and O(users) where anybody was erased since."""
    latest = await _erase_lost_profiles(taking)
    if taking.highest.erased > latest:
        await _erase_lost_users(taking)


async def _erase_lost_profiles(taking: StateTaking) -> int:
    """The highest version of a profile that was not changed since Postgres was restored."""
    by_id = {namespace.id: namespace for namespace in taking.namespaces}
    latest, row_key = 0, (0, -1)
    while rows := await taking.postgres.fetch("get_profiles", *row_key, ROWS_A_TRANSACTION_MAX):
        row_key = rows[-1]["user_number"], rows[-1]["namespace_id"]
        old = [row for row in rows if not taking.is_changed("profile", row["user_number"], row["namespace_id"])]
        latest = max(latest, *(row["version"] for row in old)) if old else latest
        for ns in {row["namespace_id"] for row in old}:
            names = [row["name"] for row in old if row["namespace_id"] == ns]
            if not taking.is_whole(ns):
                continue
            there = await read_users_with_profile(taking.link, by_id.get(ns), names)
            gone = [row for row in old if row["namespace_id"] == ns and row["name"] not in there]
            await _erase(taking, [row for row in gone if row["version"] <= taking.highest.erased])
    return latest


async def _erase(taking: StateTaking, rows: Sequence[Any]) -> None:
    if not rows:
        return
    there = await users_in_redis(taking, [row["user_number"] for row in rows])
    async with taking.transaction() as fetch:
        for row in rows:
            if row["name"] in there:
                await erase_under_other_name(fetch, row["user_number"], taking.partitions)
            else:
                await erase_again(fetch, row["user_number"], row["name"])
        taking.report.counts["erasures"] += len(rows)


async def _erase_lost_users(taking: StateTaking) -> None:
    number = unsure = 0
    while page := await taking.postgres.fetch("get_user_page", number, USERS_A_PAGE_MAX):
        number = page[-1]["number"]
        unsure += await _erase_lost(taking, [row["number"] for row in page])
    if unsure:
        gone = sorted(set(range(taking.partitions)) - set(taking.whole))
        where = f"partition{'s' if len(gone) > 1 else ''} {', '.join(map(str, gone))}"
        taking.report.sentences.append(
            f"{count_text(unsure, 'user')} with grants in {where} alone, which Redis lost: an erasure of them since is "
            "not known; erase again who was erased"
        )


async def _erase_lost(taking: StateTaking, numbers: Sequence[int]) -> int:
    """A user who had balances where Redis has lost nothing has them still, but for an erasure. Returns how many users
    had them elsewhere alone."""
    places: Sequence[Any] = await taking.postgres.fetch("get_places_of_users", list(numbers))
    places = [place for place in places if not is_erased(place["name"])]
    whole = [place for place in places if place["partition"] in taking.whole]
    sure = {place["name"] for place in whole if place["has_balances"]}
    there = await read_users_with_balances(
        taking.link, [(place["name"], place["partition"], place["namespace_id"]) for place in whole]
    )
    lost = sure - there
    if lost:
        async with taking.transaction() as fetch:
            for row in await fetch("get_states_by_names", sorted(lost), 0):
                if row["desired_state"] != ERASE:
                    await erase_again(fetch, row["number"], row["name"])
                    taking.report.counts["erasures"] += 1
    return len({place["name"] for place in places if place["has_balances"]} - sure - there)


async def find_whole(postgres: Postgres, link: RedisConnection) -> frozenset[int]:
    """The partitions that Redis has lost nothing of. StoreUnavailable; O(partitions × log n)."""
    reaches = await read_reach(link, await postgres.fetch("get_offsets"))
    return frozenset(reach.partition for reach in reaches if (reach.loss or LEDGER_BEHIND).startswith(LEDGER_BEHIND))
