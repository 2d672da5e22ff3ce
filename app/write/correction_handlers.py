"""PATCH, DELETE and restore of a grant, and many corrections at once."""

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.guard import principal_of, require_scope
from ..access.keys import Keyring, Principal
from ..http.bodies import JSON, MSGPACK, answer, check_bodiless, check_query, decode, decode_body, header, media_type
from ..model.correction import EDITABLE, REASON_BYTES_MAX, CorrectionRequest, Edit, Verb
from ..model.entry_names import member_key
from ..model.errors import Invalid, Problem, TooLarge
from ..model.field_problem import either
from ..model.grant import msgpack_number
from ..model.namespace import Namespace
from ..model.text import ID_BYTES_MAX, check_text
from ..store.namespace_cache import NamespaceCache
from .acknowledgements import Acknowledgements
from .corrections import CorrectionResult, Corrector
from .receipts import CorrectionReceipt, batch_summary, refused_member, unreadable_member

#: Corrections of a body: each is a read of the ledger and an entry in the log.
CORRECTIONS_MAX = 1_000
#: Bytes of such a body: 1 KiB a correction.
CORRECTIONS_BYTES_MAX = 1024 * 1024


class VoidRequest(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a void or a restore."""

    reason: str | None = None
    revision: int | None = None


class Correction(Edit, forbid_unknown_fields=True, kw_only=True):
    """One of many corrections: a grant and an action. Only `edit` has the fields of an edit."""

    grant_id: str
    op: Verb


_correction = {JSON: msgspec.json.Decoder(Correction), MSGPACK: msgspec.msgpack.Decoder(Correction)}


class CorrectionHandlers:
    """Corrections in, receipts out."""

    def __init__(
        self, corrector: Corrector, namespace_cache: NamespaceCache, keyring: Keyring, acks: Acknowledgements
    ) -> None:
        self._corrector = corrector
        self._acks = acks
        self._namespace_cache = namespace_cache
        self._keyring = keyring

    async def patch(self, request: Request) -> Response:
        """`PATCH /v1/namespaces/{ns}/grants/{grant_id}`: an edit. `?backfill=true` (admin): granted_at may be of any
        age."""
        check_query(request, "dry_run", "backfill", "ack")
        namespace, principal = await self._where(request)
        edit = _as_json_number(request, await decode_body(request, Edit))
        return await self._one(request, namespace, principal, "edit", edit)

    async def delete(self, request: Request) -> Response:
        """`DELETE /v1/namespaces/{ns}/grants/{grant_id}?reason=&revision=`: a void."""
        check_query(request, "dry_run", "reason", "revision", "ack")
        namespace, principal = await self._where(request)
        check_bodiless(request.scope)
        query = request.query_params
        text = query.get("revision")
        if text is not None and not (text.isascii() and text.isdigit() and len(text) < 10):
            raise Invalid("must be an integer from 0 to 999999999", field="?revision")
        edit = Edit(reason=query.get("reason"), revision=None if text is None else int(text))
        return await self._one(request, namespace, principal, "void", edit)

    async def restore(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/grants/{grant_id}/restore`."""
        check_query(request, "dry_run", "ack")
        namespace, principal = await self._where(request)
        remark = await decode_body(request, VoidRequest, b"{}")
        edit = Edit(reason=remark.reason, revision=remark.revision)
        return await self._one(request, namespace, principal, "restore", edit)

    async def many(self, request: Request) -> Response:
        """`POST /v1/namespaces/{ns}/corrections`: many corrections, with a result for each; those of one grant are done
        in their order. `?backfill=true` (admin): an edit's granted_at may be of any age."""
        check_query(request, "backfill", "ack")
        namespace, principal = await self._where(request)
        if _flag(request, "backfill"):
            require_scope(principal, "admin", namespace.name)
        members = await decode_body(request, list[msgspec.Raw], bytes_max=CORRECTIONS_BYTES_MAX)
        if len(members) > CORRECTIONS_MAX:
            raise TooLarge(f"at most {CORRECTIONS_MAX} corrections are taken at once")
        if not members:
            raise Invalid("holds no correction", field="$")
        key, media = _key(request), media_type(request.scope)
        results: list[Any] = [None] * len(members)
        asks: dict[int, CorrectionRequest] = {}
        for i, member in enumerate(members):
            own_key = None if key is None else member_key(key, i)
            try:
                asks[i] = self._ask(request, namespace, principal, decode(_correction[media], member), own_key)
            except Problem as problem:
                results[i] = unreadable_member(member, media, problem)
        done = await self._correct(request, namespace, list(asks.values()))
        for (i, ask), result in zip(asks.items(), done, strict=True):
            results[i] = refused_member(ask.grant_id, result) if isinstance(result, Problem) else result
        return answer(request, batch_summary(results))

    def _ask(
        self, request: Request, namespace: Namespace, principal: Principal, member: Correction, key: str | None
    ) -> CorrectionRequest:
        edit = _as_json_number(request, member)
        if member.op != "edit" and _changes(edit):
            raise Invalid("is for op edit alone", field=f"$.{_changes(edit)[0]}")
        _check(member.grant_id, member.op, edit)
        is_admin = principal.may("admin", namespace.name)
        backfill = _flag(request, "backfill")
        return CorrectionRequest(member.grant_id, member.op, edit, principal.id, key, is_admin, backfill)

    async def _where(self, request: Request) -> tuple[Namespace, Principal]:
        name = request.path_params["namespace"]
        principal = await principal_of(request.scope, self._keyring)
        require_scope(principal, "write", name)
        return await self._namespace_cache.namespace(name), principal

    async def _one(
        self, request: Request, namespace: Namespace, principal: Principal, verb: Verb, edit: Edit
    ) -> Response:
        grant_id = request.path_params["grant_id"]
        _check(grant_id, verb, edit)
        backfill = _flag(request, "backfill")
        if backfill:
            require_scope(principal, "admin", namespace.name)
        ask = CorrectionRequest(
            grant_id, verb, edit, principal.id, _key(request), principal.may("admin", namespace.name), backfill
        )
        if _flag(request, "dry_run"):
            if "ack" in request.query_params:
                raise Invalid("a dry run writes nothing that could be acknowledged", field="?ack")
            return answer(request, await self._corrector.preview(namespace, ask))
        (result,) = await self._correct(request, namespace, [ask])
        if isinstance(result, Problem):
            raise result
        return answer(request, result)

    async def _correct(
        self, request: Request, namespace: Namespace, asks: Sequence[CorrectionRequest]
    ) -> list[CorrectionResult]:
        """The result of each, once what counted is acknowledged as the request asks."""
        ack = self._acks.begin(request.query_params.get("ack"))
        if ack is None:
            return await self._corrector.correct_all(namespace, asks)
        with ack:
            ack.open(len(asks))
            epoch = await ack.epoch(namespace.partition)
            results = await self._corrector.correct_all(namespace, asks)
            for i, result in enumerate(results):
                if isinstance(result, CorrectionReceipt):
                    ack.note_correction(i, namespace, result, epoch)
                    result.ack = ack.level
            for i, problem in (await ack.wait()).items():
                results[i] = problem
        return results


def _flag(request: Request, name: str) -> bool:
    """A parameter that is true or false; absent: false. Invalid."""
    value = request.query_params.get(name, "false")
    if value not in ("true", "false"):
        raise Invalid("must be true or false", field=f"?{name}")
    return value == "true"


def _key(request: Request) -> str | None:
    """The Idempotency-Key. Invalid."""
    key = header(request.scope, b"idempotency-key") or None
    if key is not None:
        check_text(key, "Idempotency-Key", ID_BYTES_MAX)
    return key


def _changes(edit: Edit) -> list[str]:
    return [name for name in EDITABLE if getattr(edit, name) is not msgspec.UNSET]


def _check(grant_id: str, verb: Verb, edit: Edit) -> None:
    """Invalid; also for an edit that changes nothing, which must be a mistake."""
    check_text(grant_id, "$.grant_id", ID_BYTES_MAX)
    if edit.reason is not None:
        check_text(edit.reason, "$.reason", REASON_BYTES_MAX)
    if verb == "edit" and not _changes(edit):
        raise Invalid(f"names nothing to change; an edit changes {either(EDITABLE)}", field="$")


def _as_json_number(request: Request, edit: Edit) -> Edit:
    """The edit with its amount as JSON text, also from MessagePack."""
    if media_type(request.scope) == MSGPACK and not isinstance(edit.amount, msgspec.UnsetType):
        edit.amount = msgpack_number(edit.amount)
    return edit
