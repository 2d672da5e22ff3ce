"""API keys: `lb_<id>_<secret>`, stored hashed, with scopes `read`, `write`, `admin` on namespace patterns."""

import hmac
import re
import secrets
from dataclasses import dataclass
from fnmatch import fnmatchcase
from hashlib import sha256

from ..model.errors import Unauthorized
from ..model.text import NAMESPACE_NAME
from ..settings import API_KEY
from ..store.changes import EVERYTHING, Changed
from ..store.namespace_cache import KeyRecord, NamespaceCache

SCOPES = ("read", "write", "admin")
#: How a pattern of names is written, for errors.
PATTERN_RULE = (
    "a name is 1 to 64 of A-Z a-z 0-9 . _ -; in a pattern * stands for any of them, ? for one, [abc] for one of these"
)
# `*`, or a part that matches one character of a name.
_PATTERN_PART = re.compile(r"\*|\?|\[!?[A-Za-z0-9._-]+\]|[A-Za-z0-9._-]", re.ASCII)
#: Checked keys that a process caches. Beyond them it drops all and checks each again at its next request.
_CACHED_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Principal:
    """A caller and its rights, each `<scope>:<namespace pattern>`. `admin` includes the other two."""

    id: str
    scopes: tuple[str, ...]

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
    """The principals of tokens. Keys are long and random, so one SHA-256 is a sufficient hash.

    changes: rises whenever a principal may have changed.
    """

    def __init__(self, namespace_cache: NamespaceCache, bootstrap: str | None) -> None:
        self._namespace_cache = namespace_cache
        self._bootstrap = None if bootstrap is None else hash_key(bootstrap)
        self._principals: dict[str, Principal] = {}
        self._tokens: dict[str, set[str]] = {}
        self.changes = 0
        namespace_cache.subscribe(self._forget)

    def _forget(self, changed: Changed) -> None:
        """Drops the keys that may have changed."""
        self.changes += 1
        if changed.is_all:
            self._principals.clear()
            self._tokens.clear()
        for key_id in changed.keys:
            for token in self._tokens.pop(key_id, ()):
                self._principals.pop(token, None)

    def is_current(self, principal: Principal) -> bool:
        """Whether a principal is still its token's, as far as this process knows. O(tokens of its key)."""
        if principal is ANONYMOUS:
            return True
        return any(self._principals.get(token) is principal for token in self._tokens.get(principal.id, ()))

    def cached(self, token: str) -> Principal | None:
        """The principal of a token that was checked before, else None. Does not wait."""
        return self._principals.get(token)

    async def principal(self, token: str) -> Principal:
        """The principal of a token. Unauthorized, StoreUnavailable."""
        cached = self._principals.get(token)
        if cached is not None:
            return cached
        match = API_KEY.fullmatch(token)
        if match is None:
            raise Unauthorized("the key is not of the form lb_<id>_<secret>, as `leaderboard keys create` shows it")
        hashed = hash_key(token)
        if self._bootstrap is not None and hmac.compare_digest(hashed, self._bootstrap):
            return self._remember(token, Principal(match[1], ("admin:*",)))
        record = await self._namespace_cache.key(match[1])
        if record is None or not hmac.compare_digest(hashed, record.hash):
            raise Unauthorized("the key is unknown or revoked; `leaderboard keys create` makes one")
        return self._remember(token, Principal(record.id, record.scopes))

    def _remember(self, token: str, principal: Principal) -> Principal:
        if len(self._principals) >= _CACHED_MAX:
            self._forget(EVERYTHING)
        self._principals[token] = principal
        self._tokens.setdefault(principal.id, set()).add(token)
        return principal


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


def new_key(scopes: tuple[str, ...]) -> tuple[str, KeyRecord]:
    """A fresh key and its record; the key is shown once."""
    key_id = secrets.token_hex(6)
    token = f"lb_{key_id}_{secrets.token_urlsafe(24)}"
    return token, KeyRecord(key_id, hash_key(token), scopes)
