"""Client tokens over HTTP: a server with a key gets one for the browser or the phone of a user."""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from ..access.client_tokens import LIFE_S, LIFE_S_MAX, Namespaces
from ..access.guard import no_key, principal_of
from ..access.keys import ANONYMOUS, Keyring, hash_key, may_mint
from ..http.bodies import answer, check_query, decode_body, header
from ..model.errors import Forbidden
from ..model.micros import SECOND, from_micros
from ..model.text import ID_BYTES_MAX, check_text


class TokenRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """For whom, for what and for how long. namespaces: names, or patterns in which `*` stands for any characters."""

    user_id: str
    namespaces: Namespaces
    expires_in_s: Annotated[int, msgspec.Meta(ge=1, le=LIFE_S_MAX)] = LIFE_S


class TokenHandlers:
    """Answers only keys with `write` or `admin`, each for namespaces on which it holds `read` and `write`."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    async def post(self, request: Request) -> Response:
        """`POST /v1/tokens`: 201 with the token, which is stored nowhere."""
        check_query(request)
        principal = await principal_of(request.scope, self._keyring)
        if principal is ANONYMOUS:
            raise no_key()
        if principal.token is not None:
            raise Forbidden("a client token makes no tokens: this needs a key")
        if not any(scope.startswith(("write:", "admin:")) for scope in principal.scopes):
            raise Forbidden("the key needs the scopes read and write, with patterns that cover the token's namespaces")
        sent = await decode_body(request, TokenRequest)
        check_text(sent.user_id, "$.user_id", ID_BYTES_MAX)
        for i, pattern in enumerate(sent.namespaces):
            if not may_mint(principal, pattern):
                detail = f"the key needs read:{pattern} and write:{pattern}, or scopes with patterns that cover it"
                raise Forbidden(detail, field=f"$.namespaces[{i}]")
        key = header(request.scope, b"authorization").partition(" ")[2]
        token = await self._keyring.client_tokens.sign(
            user=sent.user_id,
            namespaces=tuple(dict.fromkeys(sent.namespaces)),
            life_s=sent.expires_in_s,
            key_id=principal.id,
            key_hash=hash_key(key),
        )
        body = {
            "token": token.text,
            "token_id": token.claims.jti,
            "user_id": sent.user_id,
            "namespaces": token.claims.ns,
            "expires_at": from_micros(token.claims.exp * SECOND),
        }
        return answer(request, body, 201, {"Cache-Control": "no-store"})
