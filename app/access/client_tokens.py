"""Client tokens: signed JWTs for browsers and phones, bound to a user and to namespaces, good for reads and live.

A token is checked in two steps. Its signature and claims are checked once, and cached until it expires. Whether the API
key that made it is still there is the keyring's part, and is asked again whenever keys change.
"""

import re
import secrets
from base64 import urlsafe_b64decode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, NamedTuple

import msgspec

from ..model.errors import Unauthorized
from ..model.micros import SECOND, from_micros
from ..model.text import ID_BYTES_MAX
from .token_keys import TokenKey, TokenKeys

#: Seconds of a token's life: a day.
LIFE_S_MAX = 86_400
#: Seconds of a token's life unless the request names others.
LIFE_S = 3_600
#: Seconds by which `iat` and `nbf` may lie ahead. A token ends at `exp` exactly: all servers go by the clock of Redis.
AHEAD_S_MAX = 60
#: Namespaces of a token, names or patterns.
NAMESPACES_MAX = 20
#: Characters of a token; a header field holds it beside others.
TOKEN_CHARS_MAX = 4 * 1024
#: Verified tokens that a process caches, as many as sockets of a key. The one used least recently is dropped.
VERIFIED_MAX = 10_000
_CHECKED_BY_LIBRARY: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "strict_aud": True}
# Why a signature is wrong helps nobody but who tries to forge one.
_CHANGED = "the token is no client token of this deployment, or was changed"
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)

#: Names of namespaces, or patterns in which `*` stands for any characters.
Namespaces = Annotated[
    tuple[Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9._*-]{1,64}$")], ...],
    msgspec.Meta(min_length=1, max_length=NAMESPACES_MAX),
]
_Seconds = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]


class Claims(msgspec.Struct, frozen=True):
    """What a token says. sub: the user; ns: patterns of namespaces; key: the id of the API key that made it; proof: of
    that key's secret. Times in seconds."""

    sub: Annotated[str, msgspec.Meta(min_length=1, max_length=ID_BYTES_MAX)]
    ns: Namespaces
    key: _Text
    proof: _Text
    aud: _Text
    jti: _Text
    iat: _Seconds
    exp: _Seconds
    nbf: _Seconds = 0


class TokenHead(msgspec.Struct):
    """What of a token's first part is read before its signature is checked."""

    kid: str = ""


_read_head = msgspec.json.Decoder(TokenHead).decode


class SignedToken(NamedTuple):
    """A token as its maker gets it."""

    text: str
    claims: Claims


class VerifiedToken(NamedTuple):
    """A token whose signature and claims are right. kid: of the key that signed it."""

    text: str
    kid: str
    claims: Claims


class ClientTokens:
    """Signs and verifies. clock: microseconds; audience: the deployment's id."""

    def __init__(self, keys: TokenKeys, clock: Callable[[], int], audience: Callable[[], Awaitable[str]]) -> None:
        self._keys = keys
        self._clock = clock
        self._find_audience = audience
        self._audience: str | None = None
        self._verified: OrderedDict[str, VerifiedToken] = OrderedDict()

    def now_s(self) -> float:
        """The time in seconds, by the deployment's clock."""
        return self._clock() / SECOND

    async def sign(
        self, *, user: str, namespaces: tuple[str, ...], life_s: int, key_id: str, key_hash: str
    ) -> SignedToken:
        """A token for a user, on behalf of an API key. NotConfigured, StoreUnavailable."""
        import jwt  # Imported here: it brings the library of all ciphers, and many a process never sees a token.

        key = self._keys.first()
        now = self._clock() // SECOND
        claims = Claims(
            sub=user,
            ns=namespaces,
            key=key_id,
            proof=key.proof_of(key_hash),
            aud=await self._deployment(),
            jti=secrets.token_urlsafe(12),
            iat=now,
            exp=now + life_s,
        )
        fields = {name: value for name, value in msgspec.to_builtins(claims).items() if name != "nbf"}
        text = jwt.encode(fields, key.sign, algorithm=key.algorithm, headers={"kid": key.kid})
        return SignedToken(text, claims)

    async def verify(self, text: str) -> VerifiedToken:
        """A token with a right signature, of this deployment, in its time. Unauthorized, StoreUnavailable."""
        token = self._verified.get(text)
        if token is None:
            token = self._check(text, await self._deployment() if self._keys.by_kid else "")
            self._verified[text] = token
            if len(self._verified) > VERIFIED_MAX:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(text)
        if self.now_s() >= token.claims.exp:
            # It stays, as the first to be dropped: a page that asks again and again costs no second check.
            self._verified.move_to_end(text, last=False)
            raise Unauthorized(f"the token expired at {from_micros(token.claims.exp * SECOND):%Y-%m-%dT%H:%M:%SZ}")
        return token

    def is_proof(self, token: VerifiedToken, key_hash: str) -> bool:
        """Whether a token was made by the API key with this hash."""
        return secrets.compare_digest(self._keys.by_kid[token.kid].proof_of(key_hash), token.claims.proof)

    def _check(self, text: str, audience: str) -> VerifiedToken:
        import jwt

        if not self._keys.by_kid:
            raise Unauthorized("no client token is taken here: LEADERBOARD_TOKEN_KEYS is not set")
        if len(text) > TOKEN_CHARS_MAX:
            raise Unauthorized(f"a token has at most {TOKEN_CHARS_MAX} characters")
        try:
            key = self._signer(text)
            # The times are checked below, by the deployment's clock instead of this machine's.
            fields: Any = jwt.decode(
                text, key.verify, algorithms=[key.algorithm], audience=audience, options=_CHECKED_BY_LIBRARY
            )
            claims = msgspec.convert(fields, Claims)
        except jwt.InvalidAudienceError:
            raise Unauthorized("the token is one of another deployment") from None
        except (jwt.PyJWTError, msgspec.ValidationError, ValueError, RecursionError):
            raise Unauthorized(_CHANGED) from None
        now = self.now_s()
        if max(claims.iat, claims.nbf) > now + AHEAD_S_MAX:
            raise Unauthorized("the token is not valid yet")
        if not 0 < claims.exp - claims.iat <= LIFE_S_MAX:
            raise Unauthorized(f"a token lives for at most {LIFE_S_MAX} s")
        return VerifiedToken(text, key.kid, claims)

    def _signer(self, text: str) -> TokenKey:
        """The key that signed a token. Unauthorized, ValueError.

        The library checks again whatever passes. It looks at each character twice before it looks at the signature: for
        a forged token of 4 KB that takes ten times as long as this.
        """
        signed, _, signature = text.rpartition(".")
        key = self._keys.by_kid.get(_read_head(_decoded(signed.partition(".")[0])).kid)
        if key is None:
            raise Unauthorized("the token is signed with a key that this deployment does not have, or has no more")
        if not key.has_signed(signed.encode(), _decoded(signature)):
            raise Unauthorized(_CHANGED)
        return key

    async def _deployment(self) -> str:
        if self._audience is None:
            self._audience = await self._find_audience()
        return self._audience


def _decoded(part: str) -> bytes:
    """A part of a token. ValueError."""
    return urlsafe_b64decode(part + "==")


def is_token(text: str) -> bool:
    """Whether a text has the form of a JWT."""
    return _FORM.fullmatch(text) is not None


def no_tokens() -> ClientTokens:
    """Those of a process without keys: none is taken."""

    async def audience() -> str:
        return ""

    return ClientTokens(TokenKeys(), lambda: 0, audience)
