"""Profiles, and what is wished for users, are taken back where Redis has them in a newer version than Postgres.

Why a user is hidden is not in Redis. A user whose profile opts out is taken for one who opted out; anyone else was
hidden by an admin. Who did it is not known.
"""

from collections.abc import Sequence
from typing import Any

import asyncpg
import msgspec

from ..admin.visibility_intents import VisibilityRecord, hide
from ..drivers.postgres import Fetch
from ..model.profile import Profile, fold_name
from ..model.visibility import ERASE, HIDE, STATES, UNHIDE, erased_name
from ..store.redis_state import (
    PublishedProfile,
    PublishedState,
    read_namespaces_with_profiles,
    read_profiles,
    read_states,
    read_users_with_balances,
)
from .state_taking import ROWS_A_TRANSACTION_MAX, StateTaking, slices

_HIDDEN, _RETURNING, _ERASING = STATES[HIDE], STATES[UNHIDE], STATES[ERASE]


async def take_profiles(taking: StateTaking) -> None:
    """Profiles of the deployment and of namespaces. StoreUnavailable, RedisRefused; O(profiles)."""
    own = await read_namespaces_with_profiles(taking.link)
    highest, both = max(1, taking.highest.erased), []
    for namespace in [None, *(one for one in taking.namespaces if one.id in own)]:
        ns = 0 if namespace is None else namespace.id
        async for piece in read_profiles(taking.link, namespace):
            highest = max(highest, *(profile.version for profile in piece))
            for some in slices(piece):
                both += [(ns, published) for published in await _take_profiles(taking, ns, some)]
    # The versions that are given out from here on are beyond all of Redis.
    await taking.postgres.fetch("raise_state_versions", 1, 1, highest, 1)
    for ns, published in both:
        await _merge(taking, ns, published)


async def _take_profiles(taking: StateTaking, ns: int, some: Sequence[PublishedProfile]) -> list[PublishedProfile]:
    """Takes what Redis has in a newer version. Returns what was changed in Postgres as well."""
    by_user = {profile.user: profile for profile in some}
    rows = await taking.postgres.fetch("get_profiles_by_names", list(by_user), ns)
    differing = [row for row in rows if _differs(row, by_user[row["name"]])]
    both = [row["name"] for row in differing if taking.is_changed("profile", row["number"], ns)]
    newer = [row["name"] for row in differing if (row["version"] or 0) < by_user[row["name"]].version]
    newer = [name for name in newer if name not in both]
    if newer:
        async with taking.transaction() as fetch:
            await fetch("create_users", newer)
            for row in await fetch("get_profiles_by_names", newer, ns):
                published = by_user[row["name"]]
                await _put(fetch, row["number"], ns, published.profile, version=published.version)
        taking.report.counts["profiles"] += len(newer)
    return [by_user[name] for name in both]


async def _merge(taking: StateTaking, ns: int, published: PublishedProfile) -> None:
    """A profile that was changed on the older Postgres, too, under a new version."""
    async with taking.transaction() as fetch:
        (row,) = await fetch("get_profiles_by_names", [published.user], ns)
        opts_out = row["opt_out"] or published.profile.opt_out
        await _put(fetch, row["number"], ns, msgspec.structs.replace(_profile(row), opt_out=opts_out), version=None)
    what = "; the user is opted out, because one of the two says so" if opts_out else ""
    taking.report.sentences.append(
        f"the profile of {published.user!r}{_where(taking, ns)} was changed on the older Postgres: "
        f"it stays as it is there{what}"
    )


def _differs(row: asyncpg.Record, published: PublishedProfile) -> bool:
    return row["version"] is None or published.profile != _profile(row)


def _profile(row: asyncpg.Record) -> Profile:
    return Profile(**{field: row[field] for field in Profile.__struct_fields__})


async def _put(fetch: Fetch, number: int, ns: int, profile: Profile, *, version: int | None) -> None:
    folded = None if profile.display_name is None else fold_name(profile.display_name)
    texts = profile.display_name, profile.avatar, profile.timezone
    await fetch("take_profile", number, ns, version, *texts, profile.opt_out, folded)


async def take_states(taking: StateTaking) -> None:
    """Who is hidden, shown again, or being erased. It reads profiles, which were taken before. StoreUnavailable,
    RedisRefused; O(such users)."""
    states = await read_states(taking.link, range(taking.partitions), taking.namespaces)
    highest = max((state.version for state in states.values()), default=0)
    await taking.postgres.fetch("raise_state_versions", 1, max(1, highest, taking.highest.cleared), 1, 1)
    for ns in {ns for ns, _ in states}:
        by_user = {user: state for (at, user), state in states.items() if at == ns}
        for users in slices(list(by_user)):
            async with taking.transaction() as fetch:
                await fetch("create_users", list(users))
                for row in await fetch("get_states_by_names", list(users), ns):
                    await _take_state(taking, fetch, row, ns, by_user[row["name"]])
    await _show_released(taking, {(ns, user) for ns, user in states})


async def _take_state(
    taking: StateTaking, fetch: Fetch, row: asyncpg.Record, ns: int, published: PublishedState
) -> None:
    """What is newer in Redis is wished anew, also where Postgres has the same: it may not be carried out everywhere."""
    is_changed, where = taking.is_changed("user", row["number"], ns), _where(taking, ns)
    is_newer = row["version"] is None or published.version > row["version"]
    desired, report = row["desired_state"], taking.report
    if desired == ERASE:
        return
    if published.state == _ERASING:
        await erase_again(fetch, row["number"], row["name"])
        report.counts["erasures"] += 1
    elif published.state == _HIDDEN:
        await _hide(fetch, row, ns, is_newer=is_newer)
        if desired != HIDE:
            report.counts["hidden users"] += 1
            if is_changed:
                report.sentences.append(
                    f"{row['name']!r} was shown again{where} on the older Postgres, and is hidden in Redis: "
                    "the user stays hidden"
                )
    elif desired == HIDE and is_changed:
        await fetch("put_intent", row["number"], row["name"], HIDE, None, ns)
        report.sentences.append(
            f"{row['name']!r} was hidden{where} on the older Postgres, and is shown in Redis: the user stays hidden"
        )
    elif is_newer:
        await _show(fetch, row["number"], row["name"], ns)
        report.counts["users shown again"] += desired == HIDE


def _where(taking: StateTaking, ns: int) -> str:
    return next((f" in {namespace.name!r}" for namespace in taking.namespaces if namespace.id == ns), "")


async def _hide(fetch: Fetch, row: asyncpg.Record, ns: int, *, is_newer: bool) -> None:
    by_admin, opted_out = row["by_admin"] or not row["opt_out"], row["opt_out"]
    if (row["by_admin"], row["opted_out"]) != (by_admin, opted_out):
        before = VisibilityRecord(row["by_admin"], row["opted_out"], None, ())
        await hide(fetch, number=row["number"], ns=ns, record=before, by_admin=by_admin, opted_out=opted_out)
    if row["desired_state"] != HIDE or is_newer:
        await fetch("put_intent", row["number"], row["name"], HIDE, None, ns)


async def _show(fetch: Fetch, number: int, name: str, ns: int) -> None:
    await fetch("delete_hidden_user", number, ns)
    await fetch("put_intent", number, name, UNHIDE, None, ns)


async def _show_released(taking: StateTaking, known: set[tuple[int, str]]) -> None:
    """Shows users again of whom Redis has no state any more: they were shown, and an hour later it was let go of. One
    without balances in Redis may be erased: that one stays hidden."""
    version = 0
    while rows := await taking.postgres.fetch("get_confirmed_hides", version, ROWS_A_TRANSACTION_MAX):
        version = rows[-1]["version"]
        gone = [row for row in rows if (row["namespace_id"], row["name"]) not in known and _is_let_go(taking, row)]
        there = await users_in_redis(taking, [row["user_number"] for row in gone])
        async with taking.transaction() as fetch:
            for row in gone:
                if row["name"] in there:
                    await _show(fetch, row["user_number"], row["name"], row["namespace_id"])
                    taking.report.counts["users shown again"] += 1


def _is_let_go(taking: StateTaking, row: asyncpg.Record) -> bool:
    is_changed = taking.is_changed("user", row["user_number"], row["namespace_id"])
    return row["version"] <= taking.highest.cleared and not is_changed and taking.is_whole(row["namespace_id"])


async def users_in_redis(taking: StateTaking, numbers: Sequence[int]) -> set[str]:
    """Those of some users who have balances in Redis. StoreUnavailable, RedisRefused; O(their namespaces)."""
    places: list[Any] = await taking.postgres.fetch("get_places_of_users", list(numbers)) if numbers else []
    return await read_users_with_balances(
        taking.link, [(place["name"], place["partition"], place["namespace_id"]) for place in places]
    )


async def erase_again(fetch: Fetch, number: int, name: str) -> None:
    """Records that a user is to be erased, as Redis says; persisters carry it out. The profile goes at once: it must
    not be published again."""
    await fetch("lock_user", name)
    before = VisibilityRecord(False, False, None, ())
    await hide(fetch, number=number, ns=0, record=before, by_admin=False, opted_out=False, erased=True)
    await fetch("put_intent", number, name, ERASE, None, 0)
    await fetch("delete_profiles", number)


async def erase_under_other_name(fetch: Fetch, number: int, partitions: int) -> None:
    """Erases a user whose name is a new user's by now: Redis has nothing of theirs. Persisters clear the texts."""
    name = erased_name(number)
    await fetch("replace_user_name", number, name)
    await fetch("delete_searchable_users", number)
    await erase_again(fetch, number, name)
    (row,) = await fetch("get_states_by_names", [name], 0)
    await fetch("confirm_intent", number, row["version"], list(range(partitions)))
