"""Publishing a change of a namespace: first into Redis, from which caches are filled, then by an announcement."""

from collections.abc import Sequence

from ..drivers.redis import Call
from ..model.errors import StoreUnavailable
from . import keys
from .announcements import Announcer
from .changes import Changed
from .namespace_cache import CallRedis


class Publisher:
    """Publishes through what answers one call at a time. has_several_nodes: what a deployment has once may lie on a
    node that is away; then the change is announced all the same, and processes that learn of it read Postgres."""

    def __init__(self, call: CallRedis, announcer: Announcer, *, has_several_nodes: bool) -> None:
        self.call = call
        self.announcer = announcer
        self._has_several_nodes = has_several_nodes

    async def call_if_there(self, call: Call) -> object:
        """The reply; None where the call's key is the deployment's, and its node is away. StoreUnavailable."""
        try:
            return await self.call(call)
        except StoreUnavailable:
            if keys.partition_of(call) is not None or not self._has_several_nodes:
                raise
            return None

    async def publish(self, calls: Sequence[Call], changed: Changed) -> None:
        """Makes the calls in order, and announces. StoreUnavailable: not every partition that is concerned knows it."""
        for call in calls:
            await self.call_if_there(call)
        await self.announcer.announce(changed)
