"""Every watched board of a process, and how many views each client may have on them."""

from collections.abc import Iterator

from ..http.connections import Owner
from ..model.errors import Overloaded
from ..model.namespace import Namespace
from ..store.profile_cache import ProfilesVersion
from .client_quota import ClientQuota
from .subscriber import Subscriber
from .views import LiveView
from .watched_board import BoardKey, WatchedBoard, WatchedView

#: Watched views; equal ones count once. Each may need a read in every tick.
VIEWS_MAX = 10_000
#: Views of a key: half of all, so that one key leaves room for others.
KEY_VIEWS_MAX = 5_000
#: Views of a user of client tokens, within those of the key: a page shows a dozen boards, on some devices.
USER_VIEWS_MAX = 200
#: Views of an address without a key: a school of 1,000 that watch the neighbours of their own ranks.
ADDRESS_VIEWS_MAX = 1_000
#: Views that are watched only without a key: half of all, from all addresses together.
ANONYMOUS_VIEWS_MAX = 5_000


class WatchedBoards:
    """boards: by their keys. watched: what each subscriber watches."""

    def __init__(self) -> None:
        self.boards: dict[BoardKey, WatchedBoard] = {}
        self.watched: dict[Subscriber, tuple[WatchedBoard, WatchedView]] = {}
        self._views = 0
        self._anonymous_views = 0
        self._quota = ClientQuota(
            "views", key_max=KEY_VIEWS_MAX, user_max=USER_VIEWS_MAX, address_max=ADDRESS_VIEWS_MAX
        )

    def add(
        self,
        subscriber: Subscriber,
        *,
        namespace: Namespace,
        window_name: str,
        category: str | None,
        view: LiveView,
        names_version: ProfilesVersion,
    ) -> None:
        """A newcomer to a view; the board and the view are made if nobody watches them. RateLimited: the client's views
        are all taken; Overloaded: all views are. O(1)."""
        board = self.boards.get((namespace.id, window_name, category))
        board = board or WatchedBoard(namespace, window_name, category, names_version)
        watched = board.views.get(view)
        if watched is None or subscriber.owner not in watched.owners:
            self._quota.take(subscriber.owner)
        if watched is None:
            try:
                self._check_room(subscriber.owner)
            except Overloaded:
                self._quota.give_back(subscriber.owner)
                raise
            self._views += 1
            self._anonymous_views += 1
            watched = board.views[view] = WatchedView(view)
            self.boards[board.key] = board
        self._anonymous_views -= not watched.keys and subscriber.owner.is_key
        watched.add(subscriber)
        self.watched[subscriber] = board, watched

    def groups(self, size_max: int) -> Iterator[list[WatchedBoard]]:
        """The boards of each partition, in groups for one call each."""
        by_partition: dict[int, list[WatchedBoard]] = {}
        for board in self.boards.values():
            by_partition.setdefault(board.namespace.partition, []).append(board)
        for group in by_partition.values():
            for first in range(0, len(group), size_max):
                yield group[first : first + size_max]

    def remove(self, subscriber: Subscriber) -> None:
        """Removes a subscriber, and its view and board if nobody else watches them. O(1)."""
        if subscriber not in self.watched:
            return
        board, watched = self.watched.pop(subscriber)
        watched.remove(subscriber)
        subscriber.slot = None
        if subscriber.owner not in watched.owners:
            self._quota.give_back(subscriber.owner)
        self._anonymous_views += not watched.keys and subscriber.owner.is_key
        if not watched.owners:
            del board.views[watched.view]
            self._views -= 1
            self._anonymous_views -= 1
        if not board.views:
            del self.boards[board.key]

    def _check_room(self, owner: Owner) -> None:
        if self._views >= VIEWS_MAX:
            raise Overloaded("too many views are watched here")
        if not owner.is_key and self._anonymous_views >= ANONYMOUS_VIEWS_MAX:
            raise Overloaded("too many views are watched here without a key")
