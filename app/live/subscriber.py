"""Who watches: a connection's viewer, and its subscriptions with an outbox of one slot each."""

import asyncio

from ..access.client import UNKNOWN
from ..access.guard import check_reader, readable_namespace
from ..access.keys import ANONYMOUS, Keyring, Principal
from ..drivers.caller import CALLER
from ..http.connections import Owner
from ..model.errors import Problem, Unauthorized
from ..model.namespace import Namespace
from ..store.namespace_cache import NamespaceCache
from .protocol import Frame, Resume, State


class Viewer:
    """Who is behind a connection, and what wakes its sender. `revoked`: the token that was accepted is no more."""

    def __init__(self, keyring: Keyring, address: str = UNKNOWN) -> None:
        self._keyring = keyring
        self._address = address
        self._token: str | None = None
        self._principal: Principal = ANONYMOUS
        self.revoked = False
        self.wake = asyncio.Event()

    @property
    def is_known(self) -> bool:
        """Whether a token was accepted."""
        return self._token is not None

    @property
    def owner(self) -> Owner:
        """Whose share this connection takes: a key's, or its address's."""
        return Owner(self._principal.id, True) if self.is_known else Owner(self._address, False)

    @property
    def key_id(self) -> str:
        """The id of the key that was accepted; empty without one."""
        return self._principal.id

    async def enter(self, token: str) -> None:
        """Shows a token. Unauthorized, StoreUnavailable. From here on this task's work is that of its key."""
        self._principal, self._token = await self._keyring.principal(token), token
        CALLER.set(self._principal.id)

    async def renew(self) -> None:
        """Sees what the token allows by now. StoreUnavailable; a token that is no more is told by `revoked`."""
        if self._token is None:
            return
        try:
            self._principal = self._keyring.cached(self._token) or await self._keyring.principal(self._token)
        except Unauthorized:
            self.revoked = True
            self.wake.set()

    async def find(self, namespace_cache: NamespaceCache, name: str) -> Namespace:
        """The namespace of a name, where this viewer may watch it. Unauthorized, Forbidden, NamespaceNotFound,
        StoreUnavailable."""
        namespace = await readable_namespace(self._principal, namespace_cache, name)
        self.check(namespace)
        return namespace

    def check(self, namespace: Namespace) -> None:
        """Unauthorized or Forbidden unless this viewer may watch the namespace."""
        if self.revoked:
            raise Unauthorized("the key was revoked")
        check_reader(self._principal, namespace)


class Subscriber:
    """One subscription to the window `asked`, which counts for its owner as of its begin.

    resume: the state that the client holds from before, if any.
    """

    def __init__(self, number: int, viewer: Viewer, asked: str, resume: Resume) -> None:
        self.number = number
        self.viewer = viewer
        self.owner = viewer.owner
        self.slot: Frame | None = None
        self.fault: Problem | None = None
        self._asked = asked
        self._resume = resume

    def start(self, whole: Frame, same: Frame, state: State) -> None:
        """The first frame. The version that a client holds does not tell which names it holds: they come anew."""
        self._put(same if state.is_held_by(self._resume, self._asked) and not state.named else whole)

    def offer(self, whole: Frame, change: Frame | None) -> None:
        """Puts the change in the slot, and the whole where the slot is still full: states are skipped, never order."""
        self._put(change if change is not None and self.slot is None else whole)

    def fail(self, problem: Problem) -> None:
        """Ends the subscription: an error frame is all that its client still gets."""
        self.slot, self.fault = None, problem
        self.viewer.wake.set()

    def _put(self, frame: Frame) -> None:
        self.slot = frame
        self.viewer.wake.set()
