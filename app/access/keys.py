"""API keys: `lb_<id>_<secret>`, stored hashed, with scopes `read`, `write`, `admin` on namespace patterns. The keyring
has the principals of these and of client tokens."""

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256

from ..model.errors import Unauthorized
from ..model.micros import SECOND
from ..model.text import NAMESPACE_NAME
from ..settings import API_KEY
from ..store.changes import EVERYTHING, Changed
from ..store.namespace_cache import KeyRecord, NamespaceCache
from .client_tokens import ClientTokens, VerifiedToken, is_token, no_tokens

SCOPES = ("read", "write", "admin")
#: How a pattern of names is written, for errors.
PATTERN_RULE = (
    "a name is 1 to 64 of A-Z a-z 0-9 . _ -; in a pattern * stands for any of them, ? for one, [abc] for one of these"
)
# `*`, or a part that matches one character of a name.
_PATTERN_PART = re.compile(r"\*|\?|\[!?[A-Za-z0-9._-]+\]|[A-Za-z0-9._-]", re.ASCII)
#: Characters of a scope: `admin:` and a pattern for a name of 64, some of them as sets such as [0-9].
SCOPE_CHARS_MAX = 256
#: Checked keys that a process caches. Beyond them it drops all and checks each again at its next request.
_CACHED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller and its rights, each `<scope>:<namespace pattern>`. `admin` includes the other two. id: of the API key;
    token: the client token that the key made for a user, where the caller has one instead of the key. ends_s: when it
    is over by itself, in seconds since 1970: a client token, or a secret that another one has replaced."""

    id: str
    scopes: tuple[str, ...]
    token: VerifiedToken | None = field(default=None, repr=False)
    ends_s: float | None = None

    @property
    def user(self) -> str | None:
        """The user whom a client token is bound to; None for a key."""
        return None if self.token is None else self.token.claims.sub

    def may(self, scope: str, namespace: str) -> bool:
        """Whether a scope covers a namespace."""
        for granted in self.scopes:
            name, _, pattern = granted.partition(":")
            if name in (scope, "admin") and (pattern == "*" or fnmatchcase(namespace, pattern)):
                return True
        return False

    def covers(self, scope: str, pattern: str) -> bool:
        """Whether one scope covers every name that a pattern matches, in which only `*` is special. O(scopes)."""
        return any(
            name in (scope, "admin") and _covers(own, pattern)
            for name, _, own in (granted.partition(":") for granted in self.scopes)
        )

    def may_all(self, scope: str) -> bool:
        """Whether a scope covers the whole deployment: only the pattern `*` does."""
        return f"{scope}:*" in self.scopes or "admin:*" in self.scopes


ANONYMOUS = Principal("", ())


class Keyring:
    """The principals of API keys and of client tokens. Keys are long and random, so one SHA-256 is a sufficient hash.

    changes: rises whenever a principal may have changed.
    """

    def __init__(
        self, namespace_cache: NamespaceCache, bootstrap: str | None, client_tokens: ClientTokens | None = None
    ) -> None:
        self._namespace_cache = namespace_cache
        self._bootstrap = None if bootstrap is None else _bootstrap_record(bootstrap)
        self.client_tokens = client_tokens or no_tokens()
        self._principals: dict[str, Principal] = {}
        self._tokens: dict[str, set[str]] = {}
        self._of_clients = ClientPrincipals()
        self.changes = 0
        namespace_cache.subscribe(self._forget)

    @property
    def bootstrap_id(self) -> str | None:
        """The id of LEADERBOARD_API_KEY, if that is set."""
        return None if self._bootstrap is None else self._bootstrap.id

    def _forget(self, changed: Changed) -> None:
        """Drops the keys that may have changed, and the client tokens that they made."""
        self.changes += 1
        if changed.is_all:
            self._principals.clear()
            self._tokens.clear()
            self._of_clients.clear()
        for key_id in changed.keys:
            self._of_clients.drop(key_id)
            for token in self._tokens.pop(key_id, ()):
                self._principals.pop(token, None)

    def is_current(self, principal: Principal) -> bool:
        """Whether a principal is still its token's, as far as this process knows. O(tokens of its key); O(1) for a
        client token."""
        if principal is ANONYMOUS:
            return True
        if self.has_expired(principal):
            return False
        if principal.token is not None:
            return self._of_clients.get(principal.token.text) is principal
        return any(self._principals.get(token) is principal for token in self._tokens.get(principal.id, ()))

    def has_expired(self, principal: Principal) -> bool:
        """Whether a principal's client token, or its secret, is over. O(1)."""
        return principal.ends_s is not None and self.client_tokens.now_s() >= principal.ends_s

    def cached(self, token: str) -> Principal | None:
        """The principal of a token that was checked before and holds still, else None. Does not wait."""
        principal = self._principals.get(token) or self._of_clients.get(token)
        if principal is not None and principal.ends_s is not None and self.has_expired(principal):
            return None
        return principal

    async def principal(self, token: str) -> Principal:
        """The principal of a token. Unauthorized, StoreUnavailable."""
        cached = self.cached(token)
        if cached is not None:
            return cached
        match = API_KEY.fullmatch(token)
        if match is None:
            if is_token(token):
                return await self._client(token)
            raise Unauthorized("the key is not of the form lb_<id>_<secret>, as `leaderboard keys create` shows it")
        hashed = hash_key(token)
        if self._bootstrap is not None and hmac.compare_digest(hashed, self._bootstrap.hash):
            return self._remember(token, Principal(match[1], self._bootstrap.scopes))
        changes = self.changes
        record = await self._namespace_cache.key(match[1])
        for known, ends_s in () if record is None else self._hashes(record):
            if record is not None and hmac.compare_digest(hashed, known):
                principal = Principal(record.id, record.scopes, ends_s=ends_s)
                # Else the record may be one from before a change.
                return self._remember(token, principal) if changes == self.changes else principal
        raise Unauthorized("the key is unknown, revoked or rotated; `leaderboard keys create` makes one")

    async def _client(self, text: str) -> Principal:
        """The principal of a client token: its user, with the rights that its claims name, as long as the key that made
        it has them. Unauthorized, StoreUnavailable."""
        token = await self.client_tokens.verify(text)
        changes, claims = self.changes, token.claims
        record = self._bootstrap
        if record is None or record.id != claims.key or not self.client_tokens.is_proof(token, record.hash):
            record = await self._namespace_cache.key(claims.key)
        hashes = () if record is None else self._hashes(record)
        ends = [ends_s for known, ends_s in hashes if self.client_tokens.is_proof(token, known)]
        if record is None or not ends:
            raise Unauthorized("the key that made this token is revoked, or has another secret")
        if not all(may_mint(Principal(record.id, record.scopes), pattern) for pattern in claims.ns):
            raise Unauthorized("the key that made this token has no right any more to one of its namespaces")
        ends_s = claims.exp if ends[0] is None else min(claims.exp, ends[0])
        principal = Principal(record.id, tuple(f"read:{pattern}" for pattern in claims.ns), token, ends_s)
        if changes == self.changes:  # Else the record may be one from before a change.
            self._of_clients.put(principal)
        return principal

    def _hashes(self, record: KeyRecord) -> Iterator[tuple[str, float | None]]:
        """The hashes of a key's secrets that are good now, the newest first, and when each ends, in seconds."""
        yield record.hash, None
        ends_s = record.previous_until / SECOND
        if record.previous_hash is not None and self.client_tokens.now_s() < ends_s:
            yield record.previous_hash, ends_s

    def _remember(self, token: str, principal: Principal) -> Principal:
        if len(self._principals) >= _CACHED_MAX:
            self._forget(EVERYTHING)
        self._principals[token] = principal
        self._tokens.setdefault(principal.id, set()).add(token)
        return principal


class ClientPrincipals:
    """The principals of client tokens by text, at most `_CACHED_MAX`; the one used least recently is dropped. Tokens
    never push out keys."""

    def __init__(self) -> None:
        self._principals: OrderedDict[str, Principal] = OrderedDict()
        self._of_keys: dict[str, set[str]] = {}

    def get(self, text: str) -> Principal | None:
        """One. O(1)."""
        principal = self._principals.get(text)
        if principal is not None:
            self._principals.move_to_end(text)
        return principal

    def put(self, principal: Principal) -> None:
        """Adds one. O(1)."""
        assert principal.token is not None
        self._principals[principal.token.text] = principal
        self._of_keys.setdefault(principal.id, set()).add(principal.token.text)
        if len(self._principals) > _CACHED_MAX:
            text, oldest = self._principals.popitem(last=False)
            texts = self._of_keys[oldest.id]
            texts.discard(text)
            if not texts:
                del self._of_keys[oldest.id]

    def drop(self, key_id: str) -> None:
        """Drops those of a key. O(its tokens)."""
        for text in self._of_keys.pop(key_id, ()):
            del self._principals[text]

    def clear(self) -> None:
        """Drops all."""
        self._principals.clear()
        self._of_keys.clear()


def may_mint(principal: Principal, pattern: str) -> bool:
    """Whether a key makes tokens for what a pattern matches: where it holds `read` and `write` itself."""
    return principal.token is None and principal.covers("read", pattern) and principal.covers("write", pattern)


def _bootstrap_record(token: str) -> KeyRecord:
    """The record of LEADERBOARD_API_KEY, which no store has."""
    match = API_KEY.fullmatch(token)
    return KeyRecord("" if match is None else match[1], hash_key(token), ("admin:*",))


def hash_key(token: str) -> str:
    """The hash of a key. Only the hash is stored."""
    return sha256(token.encode()).hexdigest()


def can_match(pattern: str) -> bool:
    """Whether a pattern is well-formed and can match some namespace's name."""
    parts = _PATTERN_PART.findall(pattern)
    shortest = "".join("x" for part in parts if part != "*")
    return "".join(parts) == pattern and (not shortest or NAMESPACE_NAME.fullmatch(shortest) is not None)


def _covers(pattern: str, other: str) -> bool:
    """Whether a pattern matches all that another one does: its `*` alone matches that one's `*`."""

    def expression(part: str) -> str:
        if part == "*":
            return ".*"
        inside = part[1:-1].replace("!", "^", 1) if part.startswith("[") else ""
        return f"(?=[A-Za-z0-9._-])[{inside}]" if inside else "[A-Za-z0-9._-]" if part == "?" else re.escape(part)

    try:
        return re.fullmatch("".join(map(expression, _PATTERN_PART.findall(pattern))), other) is not None
    except re.error:  # A set such as [z-a] matches nothing.
        return False


def scope_problem(granted: str) -> str | None:
    """What is wrong with a scope of a new key; None: nothing."""
    name, _, pattern = granted.partition(":")
    if name not in SCOPES or not pattern:
        return f"{granted[:SCOPE_CHARS_MAX]!r} is not <{'|'.join(SCOPES)}>:<namespace pattern>"
    if len(granted) > SCOPE_CHARS_MAX:
        return f"must be at most {SCOPE_CHARS_MAX} characters"
    return None if can_match(pattern) else f"no namespace can match {pattern!r}: {PATTERN_RULE}"


def new_key_id() -> str:
    """The id of a fresh key."""
    return secrets.token_hex(6)


def new_token(key_id: str) -> str:
    """A fresh secret of a key, with its id, as its holder sends it. It is shown once."""
    return f"lb_{key_id}_{secrets.token_urlsafe(24)}"
