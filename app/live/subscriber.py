"""The viewer behind a connection, and its subscriptions. The outbox of each is one slot."""

from typing import Protocol

from ..access.client import UNKNOWN
from ..access.guard import caller_of, check_reader, readable_namespace
from ..access.keys import ANONYMOUS, Keyring, Principal
from ..drivers.caller import CALLER
from ..http.connections import Owner
from ..model.errors import Problem, Unauthorized
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache
from .protocol import Frame, Resume, State

#: Why a connection ends, or a subscription is refused, whose token was accepted once.
REVOKED = "the key was revoked, or the token expired"
_NO_TOKEN = 'a key is needed here: send {"type": "auth", "token": "<key>"} first'


class Outlet(Protocol):
    """The way to the client of a connection."""

    def deliver(self, subscriber: "Subscriber") -> None:
        """Sends what is in a subscription's slot, or its fault, if the client takes it now; else once it does."""

    def revoke(self) -> None:
        """Ends the connection: its token is not valid any more."""


class Viewer:
    """The client of one connection. no_token: what it is told where a token is needed and it has none; revoked: its
    token was accepted and is not valid any more; outlet: where its frames go."""

    __slots__ = ("_address", "_keyring", "_no_token", "_principal", "_token", "outlet", "revoked")

    def __init__(self, keyring: Keyring, address: str = UNKNOWN, no_token: str = _NO_TOKEN) -> None:
        self._keyring = keyring
        self._address = address
        self._no_token = no_token
        self._token: str | None = None
        self._principal: Principal = ANONYMOUS
        self.revoked = False
        self.outlet: Outlet | None = None

    @property
    def is_known(self) -> bool:
        """Whether a token was accepted."""
        return self._token is not None

    @property
    def owner(self) -> Owner:
        """The client that the connection counts for: its key, with its user for a client token; else its address."""
        if not self.is_known:
            return Owner(self._address, False)
        return Owner(self._principal.id, True, self._principal.user)

    @property
    def key_id(self) -> str:
        """The id of the key that was accepted; empty without one."""
        return self._principal.id

    async def enter(self, token: str) -> None:
        """Accepts a token. From here on the task works for the token's key. Unauthorized, StoreUnavailable."""
        self._principal, self._token = await self._keyring.principal(token), token
        CALLER.set(caller_of(self._principal))

    async def renew(self) -> None:
        """Updates the rights of the token; sets `revoked` if it is not valid any more. StoreUnavailable."""
        if self._token is None:
            return
        try:
            self._principal = self._keyring.cached(self._token) or await self._keyring.principal(self._token)
        except Unauthorized:
            self._revoke()

    def check_expiry(self) -> None:
        """Sets `revoked` if the client token is over. O(1)."""
        if self._keyring.has_expired(self._principal) and not self.revoked:
            self._revoke()

    def _revoke(self) -> None:
        self.revoked = True
        if self.outlet is not None:
            self.outlet.revoke()

    async def find(self, namespace_cache: NamespaceCache, name: str) -> Namespace:
        """The namespace of a name, if this viewer may watch it. Unauthorized, Forbidden, NamespaceNotFound,
        StoreUnavailable."""
        try:
            namespace = await readable_namespace(self._principal, namespace_cache, name)
        except Unauthorized:
            raise Unauthorized(self._no_token) from None
        self.check(namespace)
        return namespace

    def check(self, namespace: Namespace) -> None:
        """Unauthorized or Forbidden unless this viewer may watch the namespace."""
        if self.revoked:
            raise Unauthorized(REVOKED)
        try:
            check_reader(self._principal, namespace)
        except Unauthorized:
            raise Unauthorized(self._no_token) from None


class Subscriber:
    """One subscription. It counts for the viewer's owner at its start.

    window_name: as the client names it. resume: the state that the client has from before, if any.
    """

    __slots__ = ("_resume", "_window_name", "fault", "number", "owner", "slot", "viewer")

    def __init__(self, number: int, viewer: Viewer, window_name: str, resume: Resume) -> None:
        self.number = number
        self.viewer = viewer
        self.owner = viewer.owner
        self.slot: Frame | None = None
        self.fault: Problem | None = None
        self._window_name = window_name
        self._resume = resume

    def start(self, whole: Frame, same: Frame, state: State) -> None:
        """Puts the first frame in the slot: `same` if the client has this state already, else `whole`. A client's
        version does not say which profiles it has, so a state with profiles is always sent whole."""
        has_state = state.is_same_as(self._resume, self._window_name) and not state.has_profiles
        self.slot = same if has_state else whole

    def offer(self, whole: Frame, change: Frame | None) -> None:
        """Puts the change in the slot. If the slot is still full, the whole state replaces it: a slow client skips
        states and never sees them out of order."""
        self.slot = change if change is not None and self.slot is None else whole

    def deliver(self) -> None:
        """Sends what is in the slot, if the client takes it now; else once it does."""
        if self.viewer.outlet is not None:
            self.viewer.outlet.deliver(self)

    def fail(self, problem: Problem) -> None:
        """Ends the subscription: its client gets an error frame and nothing else."""
        self.slot, self.fault = None, problem
        self.deliver()
