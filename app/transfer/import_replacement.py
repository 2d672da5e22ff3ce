"""Edits grants that are there with another content: `leaderboard import --replace`."""

import asyncio
from collections.abc import Sequence
from typing import Any

import msgspec

from .import_client import ImportClient, MemberError, MemberResult, path_segment, problem_of

#: Grants that are looked at once at a time: each may wait for the ledger.
LOOKS_AT_ONCE = 8
#: Edits of one request: the server takes 1 MiB of them.
EDITS_A_REQUEST = 500
_REASON = "import --replace"
_TRUE = b"true"
#: What an edit sets to null where the source has nothing.
_LABELS = ("category", "source", "source_id", "action", "session_id")
_fields = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_text = msgspec.json.Decoder(str).decode
_encode = msgspec.json.Encoder().encode


class _Owner(msgspec.Struct):
    user_id: str
    meta: dict[str, Any] | None = None
    opening: bool = False


_owner = msgspec.json.Decoder(_Owner).decode


class Replacement:
    """Edits what differs. A grant keeps its user and its meta, and stays an opening balance, or none: what the source
    has otherwise is told."""

    def __init__(self, client: ImportClient, namespace: str | None) -> None:
        self._client = client
        self._namespace = namespace
        self._turns = asyncio.Semaphore(LOOKS_AT_ONCE)

    async def replace(self, bodies: Sequence[bytes], results: list[MemberResult]) -> list[MemberResult]:
        """The results, with `edited` or `duplicate` where a conflict could be mended. ImportStop. O(conflicts)."""
        conflicts = [i for i, one in enumerate(results) if one.error is not None and one.error.code == "grant_conflict"]
        by_namespace: dict[str, list[tuple[int, dict[str, Any]]]] = {}
        for i in conflicts:
            fields = _fields(bodies[i])
            name = self._namespace or _text(fields["namespace"])
            by_namespace.setdefault(name, []).append((i, fields))
        for name, members in by_namespace.items():
            checks = await asyncio.gather(*(self._check(name, fields) for _, fields in members))
            for (i, _), error in zip(members, checks, strict=True):
                if error is not None:
                    results[i] = MemberResult("rejected", error)
            same = [member for member, error in zip(members, checks, strict=True) if error is None]
            for first in range(0, len(same), EDITS_A_REQUEST):
                await self._edit(name, same[first : first + EDITS_A_REQUEST], results)
        return results

    async def _check(self, namespace: str, fields: dict[str, Any]) -> MemberError | None:
        """Why a grant cannot be edited to these fields; None if it may be."""
        grant_id = _text(fields["grant_id"])
        async with self._turns:
            answer = await self._client.ask("GET", f"{_path(namespace)}/grants/{path_segment(grant_id)}")
        if answer.status_code != 200:
            return MemberError("grant_conflict", problem_of(answer))
        there = self._client.read(_owner, answer)
        if there.user_id != _text(fields["user_id"]):
            return MemberError(
                "grant_conflict", f"belongs to {there.user_id!r} there, and no edit changes that: void it first"
            )
        if there.opening != (bytes(fields.get("opening", b"")) == _TRUE):
            what = "is an opening balance there" if there.opening else "is no opening balance there"
            return MemberError(
                "grant_conflict", f"{what}, and no edit changes that: void it, and give this one another id"
            )
        meta = fields.get("meta")
        if meta is not None and msgspec.json.decode(meta) != there.meta:
            return MemberError("grant_conflict", "has another meta there, and no edit changes that: void it first")
        return None

    async def _edit(
        self, namespace: str, members: Sequence[tuple[int, dict[str, Any]]], results: list[MemberResult]
    ) -> None:
        edits = []
        for _, fields in members:
            edit: dict[str, Any] = {"op": "edit", "grant_id": fields["grant_id"], "reason": _REASON}
            edit |= {name: fields.get(name) for name in _LABELS} | {"amount": fields["amount"]}
            if "granted_at" in fields:
                edit["granted_at"] = fields["granted_at"]
            edits.append(_encode(edit))
        done = await self._client.correct(f"{_path(namespace)}/corrections", edits)
        for (i, _), result in zip(members, done, strict=True):
            results[i] = MemberResult("edited" if result.status == "applied" else result.status, result.error)


def _path(namespace: str) -> str:
    return f"/v1/namespaces/{path_segment(namespace)}"
