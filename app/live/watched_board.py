"""A watched board: its views, the reads that they need, and the states made from these reads."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import NamedTuple

from ..http.connections import Owner
from ..model.board_ref import BoardRef
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.stats import Statistics, statistics_body
from ..model.views import BoardView, Top
from ..model.windows import Window
from ..store.boards import BoardPage, BoardRow
from ..store.profile_cache import NO_PROFILE, DisplayProfile, ProfileCache, ProfilesVersion
from . import protocol
from .frames import FrameEntry
from .protocol import Frame, Stamp, State
from .subscriber import Subscriber
from .views import LiveView, StatsView, cut_rows, read_view

#: Namespace id, window as clients name it, and category.
BoardKey = tuple[int, str, str | None]


class WatchedView:
    """A view and its subscribers. `newcomers` have no state of it yet; the others have it once their slot is sent.

    owners: how many subscriptions each client has. lap: the hub's lap in which the view was read last.
    """

    def __init__(self, view: LiveView) -> None:
        self.view = view
        self.state: State | None = None
        self.subscribers: set[Subscriber] = set()
        self.newcomers: set[Subscriber] = set()
        self.owners: Counter[Owner] = Counter()
        self.keys = 0
        self.lap = 0

    def is_due(self, stamp: Stamp, lap: int) -> bool:
        """Whether to read it now: somebody came, or it changed and was not read in this lap."""
        return bool(self.newcomers) or (self.lap != lap and (self.state is None or self.state.stamp != stamp))

    def add(self, subscriber: Subscriber) -> None:
        """Adds a newcomer."""
        self.newcomers.add(subscriber)
        self.owners[subscriber.owner] += 1
        self.keys += subscriber.owner.is_key

    def remove(self, subscriber: Subscriber) -> None:
        """Removes a subscriber."""
        self.subscribers.discard(subscriber)
        self.newcomers.discard(subscriber)
        self.keys -= subscriber.owner.is_key
        self.owners[subscriber.owner] -= 1
        if not self.owners[subscriber.owner]:
            del self.owners[subscriber.owner]

    def publish(self, state: State, arrived: Iterable[Subscriber]) -> list[Subscriber]:
        """Puts a new state into the slots of all subscribers, and the first frame into those of the newcomers who
        `arrived` before the read; returns them all, for `deliver`. O(subscribers).

        One diff, and one encoding in each format, for all of them.
        """
        before, whole, news = self.state, Frame(protocol.snapshot(state), state.event_id), list[Subscriber]()
        self.state = state
        if before is None or state.differs(before):
            follows = before is not None and state.follows(before)
            change = Frame(protocol.delta(before, state), state.event_id) if before is not None and follows else None
            for subscriber in self.subscribers:
                subscriber.offer(whole, change)
            news += self.subscribers
        same = Frame(protocol.uptodate(state), state.event_id)
        for subscriber in self.newcomers.intersection(arrived):
            subscriber.start(whole, same, state)
            self.newcomers.discard(subscriber)
            self.subscribers.add(subscriber)
            news.append(subscriber)
        return news


class BoardRead(NamedTuple):
    """One read of a board, and the views that it serves, each with the newcomers that came before the read."""

    board: "WatchedBoard"
    namespace: Namespace
    window: Window
    view: BoardView | StatsView
    names: int
    served: list[tuple[WatchedView, tuple[Subscriber, ...]]]

    def arrived(self) -> Iterator[Subscriber]:
        """All newcomers that wait for this read."""
        for _, newcomers in self.served:
            yield from newcomers


class WatchedBoard:
    """A namespace's board of one window, of all grants or of one category. window_name: as clients name it; `day` is
    another window each day.

    names: how often the name of a user in one of its views may have changed. is_at_rest: all views had the state of the
    stamp that was seen last, and nothing of the stamp but the board's version has changed since; nobody has come.
    """

    def __init__(
        self, namespace: Namespace, window_name: str, category: str | None, names_version: ProfilesVersion
    ) -> None:
        self.namespace = namespace
        self.window_name = window_name
        self.category = category
        self.names = 0
        self.is_at_rest = False
        self._names_version = names_version
        self.views: dict[LiveView, WatchedView] = {}
        self._window: Window | None = None

    @property
    def key(self) -> BoardKey:
        """A namespace that was deleted and created again has another id."""
        return self.namespace.id, self.window_name, self.category

    def window(self, now: int) -> Window:
        """The window that `window_name` means now."""
        window = self._window
        if window is None or (window.name != self.window_name and not _contains(window, now)):
            window = self._window = self.namespace.calendar.find(self.window_name, now)
            assert window is not None, "a board without its window is not watched"
        return window

    def name_in(self, window: Window) -> str:
        """Its name in keys, within its namespace, where its window is this one."""
        return BoardRef(self.namespace, window, self.category).name

    def adopt(self, namespace: Namespace) -> None:
        """Takes a namespace's current rules, if they changed."""
        if namespace.version != self.namespace.version:
            self.namespace, self._window, self.is_at_rest = namespace, None, False

    def note_names(self, names: ProfileCache, version: ProfilesVersion) -> None:
        """Notes whether names in its views have changed. O(users in its views) after a change, else O(1)."""
        if version == self._names_version:
            return
        states = [watched.state for watched in self.views.values() if watched.state is not None]
        users = [entry.user_id for state in states for entry in state.entries]
        if names.has_changed(self.namespace, users, self._names_version):
            self.names += 1
            self.is_at_rest = False
        self._names_version = version

    def newcomers(self) -> Iterator[Subscriber]:
        """All newcomers of its views."""
        for watched in list(self.views.values()):
            yield from watched.newcomers

    def everyone(self) -> Iterator[Subscriber]:
        """All subscribers of its views, as they are now."""
        for watched in list(self.views.values()):
            yield from (*watched.subscribers, *watched.newcomers)

    def has_all(self, stamp: Stamp) -> bool:
        """Whether all who watch have the state of a stamp."""
        return not any(
            watched.newcomers or watched.state is None or watched.state.stamp != stamp
            for watched in self.views.values()
        )

    def readings(self, window: Window, stamp: Stamp, lap: int) -> Iterator[BoardRead]:
        """The reads that are due at this stamp of the board: one for all its `top` views together."""
        due = [watched for watched in self.views.values() if watched.is_due(stamp, lap)]
        limit = max((watched.view.limit for watched in due if isinstance(watched.view, Top)), default=0)
        reads: dict[BoardView | StatsView, list[WatchedView]] = {}
        for watched in due:
            reads.setdefault(read_view(watched.view, limit), []).append(watched)
        for view, served in reads.items():
            arrived = [(watched, tuple(watched.newcomers)) for watched in served]
            yield BoardRead(self, self.namespace, window, view, stamp.names, arrived)


def publish_stats(reading: BoardRead, statistics: Statistics) -> list[Subscriber]:
    """Puts statistics into the slots of all their subscribers, and returns those that have news."""
    window, body = reading.window, statistics_body(statistics, reading.namespace.rules.scale)
    head = (
        window.name,
        _moment(window.starts),
        _moment(window.ends),
        statistics.epoch,
        statistics.version,
        statistics.users,
        (),
    )
    state = State(*head, *_rules(reading), reading.names, is_archived=statistics.is_archived, stats=body)
    return [subscriber for watched, arrived in reading.served for subscriber in watched.publish(state, arrived)]


def publish(reading: BoardRead, page: BoardPage, names: Mapping[str, DisplayProfile]) -> list[Subscriber]:
    """Puts a page into the slots of all views that the read serves, and returns the subscribers that have news. names:
    of the users who have a profile."""
    number = reading.namespace.number

    def entry(row: BoardRow) -> FrameEntry:
        name = names.get(row.user, NO_PROFILE)
        return FrameEntry(row.position, row.rank0 + 1, row.user, number(row.units), name.display_name, name.avatar)

    rows = [entry(row) for row in sorted(page.rows)]
    starts, ends = _moment(reading.window.starts), _moment(reading.window.ends)
    news: list[Subscriber] = []
    for watched, arrived in reading.served:
        entries = cut_rows(watched.view, rows)
        has_profiles = any(entry.user_id in names for entry in entries)
        head = (reading.window.name, starts, ends, page.epoch, page.version, page.board_size, entries)
        state = State(*head, *_rules(reading), reading.names, has_profiles, page.is_archived)
        news += watched.publish(state, arrived)
    return news


def _rules(reading: BoardRead) -> tuple[int, int | None]:
    return reading.namespace.version, reading.namespace.rules_from_seq


def _contains(window: Window, now: int) -> bool:
    """Whether a moment is in a window. The start is checked too, because a clock may be set back."""
    return (window.starts is None or window.starts <= now) and (window.ends is None or now < window.ends)


def _moment(micros: int | None) -> datetime | None:
    return None if micros is None else from_micros(micros)
