"""Namespaces and API keys that Redis has in a newer version than Postgres are taken back."""

from typing import Any

import msgspec

from ..drivers.postgres import Fetch
from ..drivers.redis import RedisRefused
from ..model.micros import from_micros, now_micros
from ..model.namespace import Namespace, Rules, latest_acceptable_at
from ..store.namespace_cache import KeyRecord, namespace_from_row
from ..store.redis_state import read_keys, read_places, read_rules_versions
from .state_taking import StateTaking, slices

#: A namespace in Postgres: the columns of `get_all_namespaces` by name, as they are behind the changes so far.
Row = Any

_encode = msgspec.json.Encoder().encode


async def take_namespaces(taking: StateTaking) -> None:
    """New ones, changed rules, deletions. RedisRefused where Postgres has another namespace under the same id;
    StoreUnavailable; O(namespaces)."""
    published, highest = taking.namespaces, taking.highest
    # Ids and versions that are given out from here on are beyond all of Redis.
    await taking.postgres.fetch("raise_state_versions", highest.rules + 1, 1, 1, max(1, highest.namespace_id))
    rows = {row["id"]: dict(row) for row in await taking.postgres.fetch("get_all_namespaces")}
    fences = await read_rules_versions(taking.link, published)
    for some in slices(list(zip(published, fences, strict=True))):
        async with taking.transaction() as fetch:
            for namespace, fence in some:
                await _take(taking, fetch, namespace, rows, fence)
    alive = {namespace.id for namespace in published}
    for gone in slices([row for row in rows.values() if not row["is_deleted"] and row["id"] not in alive]):
        async with taking.transaction() as fetch:
            for row in gone:
                await _delete(taking, fetch, row)
    places = await read_places(taking.link, range(taking.partitions))
    known = alive | {row["id"] for row in rows.values()}
    names = {one.version: name for name, one in taking.names.items() if one.namespace is None}
    for some_ids in slices(sorted(places.keys() - known)):
        async with taking.transaction() as fetch:
            for namespace_id in some_ids:
                version, p = places[namespace_id]
                # Its name is known until a persister begins to drop its keys.
                name = names.get(version, f"deleted {namespace_id}")
                await _take_deleted(taking, fetch, Namespace(namespace_id, name, p, version, Rules()))


async def _take_deleted(taking: StateTaking, fetch: Fetch, namespace: Namespace) -> None:
    """One that came and went since Postgres was copied: the log may have entries of it, and Redis keys."""
    await fetch("take_namespace", namespace.id, *_columns(namespace, namespace.version), from_micros(now_micros()))
    await fetch("take_deletion", namespace.id)
    taking.report.counts["deletions of namespaces"] += 1


async def _take(taking: StateTaking, fetch: Fetch, namespace: Namespace, rows: dict[int, Row], fence: int) -> None:
    row, note = rows.get(namespace.id), taking.report.sentences.append
    if row is not None and row["name"] != namespace.name:
        await _renumber(taking, fetch, row, namespace)
        rows[row["id"]] = rows.pop(namespace.id)
        row = None
    if row is None:
        await _give_way(taking, fetch, namespace, rows)
        await fetch("take_namespace", namespace.id, *_columns(namespace, fence), from_micros(now_micros()))
        taking.report.counts["namespaces"] += 1
    elif row["is_deleted"]:
        if taking.is_changed("namespace", namespace.id):
            note(f"namespace {namespace.name!r} was deleted on the older Postgres: it stays deleted")
    elif namespace_from_row(row).rules == namespace.rules and row["partition"] == namespace.partition:
        pass  # Its version alone differs, or nothing: it is published again.
    elif taking.is_changed("namespace", namespace.id):
        rules = _stricter(namespace.rules, namespace_from_row(row).rules)
        await _replace(fetch, msgspec.structs.replace(namespace, rules=rules), max(row["version"], fence) + 1)
        more = "" if rules == namespace.rules else ", and the stricter mode and visibility of the two"
        note(
            f"namespace {namespace.name!r} was changed on the older Postgres: it has the rules that Redis has{more}; "
            "where that is wrong, change them again"
        )
    elif namespace.version > row["version"]:
        await _replace(fetch, namespace, fence)
        taking.report.counts["rules"] += 1


def _stricter(rules: Rules, other: Rules) -> Rules:
    """Rules with the stricter mode and visibility of two."""
    is_frozen, is_private = "frozen" in (rules.mode, other.mode), "private" in (rules.visibility, other.visibility)
    mode, visibility = "frozen" if is_frozen else rules.mode, "private" if is_private else rules.visibility
    return msgspec.structs.replace(rules, mode=mode, visibility=visibility)


async def _replace(fetch: Fetch, namespace: Namespace, fence: int) -> None:
    columns = _columns(namespace, fence)
    await fetch("take_rules", namespace.id, *columns[1:])


def _columns(namespace: Namespace, fence: int) -> tuple[Any, ...]:
    """fence: plans by rules up to this version are refused, so those of the namespace have no lower one."""
    rules, acceptable = namespace.rules, latest_acceptable_at(namespace.rules, now_micros())
    version = max(namespace.version, fence)
    return (
        *(namespace.name, namespace.partition, version, _encode(rules).decode()),
        *(acceptable, namespace.accept_future_max),
    )


async def _renumber(taking: StateTaking, fetch: Fetch, row: Row, namespace: Namespace) -> None:
    """Another namespace has the id: it was made on the older Postgres."""
    name, number = row["name"], row["id"]
    moved = await fetch("renumber_namespace", number)
    if not moved:
        raise RedisRefused(
            f"namespace {number} is {namespace.name!r} in Redis, and {name!r} in Postgres, where it was made later and "
            "has users: delete it from Postgres by hand, and run this again"
        )
    row["id"] = moved[0]["id"]
    taking.report.sentences.append(f"namespace {name!r} was made on the older Postgres: it has another id now")


async def _give_way(taking: StateTaking, fetch: Fetch, namespace: Namespace, rows: dict[int, Row]) -> None:
    """Another namespace of the same name, which Redis has deleted, or which was made on the older Postgres."""
    for row in rows.values():
        if row["name"] != namespace.name or row["is_deleted"]:
            continue
        await fetch("take_deletion", row["id"])
        row["is_deleted"] = True
        if row["created_micros"] <= taking.restored_micros:
            taking.report.counts["deletions of namespaces"] += 1
        else:
            taking.report.sentences.append(
                f"namespace {namespace.name!r} was made on the older Postgres, too: that one, {row['id']}, is deleted"
            )


async def _delete(taking: StateTaking, fetch: Fetch, row: Row) -> None:
    """Deletes a namespace that Redis has no more, but for one that it was never told of."""
    name = taking.names.get(row["name"])
    if name is None or name.namespace is not None or row["created_micros"] > taking.restored_micros:
        return
    await fetch("take_deletion", row["id"])
    taking.report.counts["deletions of namespaces"] += 1
    if taking.is_changed("namespace", row["id"]):
        taking.report.sentences.append(
            f"namespace {row['name']!r} was changed on the older Postgres, and is deleted in Redis: it is deleted now"
        )


async def take_keys(taking: StateTaking) -> None:
    """New API keys, new secrets and revocations. StoreUnavailable, RedisRefused; O(API keys)."""
    rows = {row["id"]: row for row in await taking.postgres.fetch("get_keys")}
    counts = taking.report.counts
    for some in slices(list((await read_keys(taking.link)).items())):
        async with taking.transaction() as fetch:
            for key_id, record in some:
                row = rows.get(key_id)
                if record is not None:
                    await _take_key(taking, fetch, record, row)
                elif row is not None and row["revoked_at"] is None:
                    await fetch("revoke_key", key_id, None)
                    counts["revocations of API keys"] += 1


async def _take_key(taking: StateTaking, fetch: Fetch, record: KeyRecord, row: Row | None) -> None:
    """A key that Postgres lost, or the secret by which servers know it, unless Postgres has a later one."""
    if row is not None and (row["hash"] == record.hash or row["revoked_at"] is not None):
        return
    until = from_micros(record.previous_until) if record.previous_until else None
    secret = record.secret_version, record.previous_hash, until
    if row is None:
        await fetch("take_key", record.id, record.hash, list(record.scopes), record.name, *secret)
        taking.report.counts["API keys"] += 1
        return
    is_taken = record.secret_version >= row["secret_version"]
    if is_taken:
        await fetch("take_key", record.id, record.hash, list(record.scopes), record.name, *secret)
        taking.report.counts["secrets of API keys"] += 1
    if taking.is_changed("key", record.id):
        which = "the secret that Redis has" if is_taken else "the secret that it got there"
        taking.report.sentences.append(
            f"API key {record.id} got a new secret on the older Postgres, and another one before: {which} is good now, "
            "the other is not"
        )
