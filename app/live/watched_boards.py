"""Every watched board of a process, and how many views each client may have on them."""

from ..http.connections import Owner
from ..model.errors import Overloaded
from ..model.namespace import Namespace
from ..store.profile_cache import ProfilesVersion
from .board_group import BoardGroup
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
        self._by_partition: dict[int, dict[BoardKey, WatchedBoard]] = {}
        #: Of those partitions whose boards are the same as when it was made.
        self._groups: dict[int, list[BoardGroup]] = {}
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
            if board.key not in self.boards:
                self.boards[board.key] = board
                self._by_partition.setdefault(namespace.partition, {})[board.key] = board
                self._groups.pop(namespace.partition, None)
        self._anonymous_views -= not watched.keys and subscriber.owner.is_key
        watched.add(subscriber)
        board.is_at_rest = False
        self.watched[subscriber] = board, watched

    def adopt(self, board: WatchedBoard, namespace: Namespace) -> None:
        """Gives a board the current rules of its namespace, which may lie in another partition now."""
        if namespace.version == board.namespace.version:
            return
        self._leave_partition(board)
        board.adopt(namespace)
        self._by_partition.setdefault(namespace.partition, {})[board.key] = board
        self._groups.pop(namespace.partition, None)

    def groups(self, size_max: int) -> list[BoardGroup]:
        """The boards of each partition, in groups for one call each. O(groups), and O(boards) of partitions where some
        came or went."""
        for p, boards in self._by_partition.items():
            if p not in self._groups:
                every = list(boards.values())
                self._groups[p] = [
                    BoardGroup(every[first : first + size_max]) for first in range(0, len(every), size_max)
                ]
        return [group for groups in self._groups.values() for group in groups]

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
            self._leave_partition(board)

    def _leave_partition(self, board: WatchedBoard) -> None:
        p = board.namespace.partition
        del self._by_partition[p][board.key]
        if not self._by_partition[p]:
            del self._by_partition[p]
        self._groups.pop(p, None)

    def _check_room(self, owner: Owner) -> None:
        if self._views >= VIEWS_MAX:
            raise Overloaded("too many views are watched here")
        if not owner.is_key and self._anonymous_views >= ANONYMOUS_VIEWS_MAX:
            raise Overloaded("too many views are watched here without a key")
