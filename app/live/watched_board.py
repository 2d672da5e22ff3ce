"""A board that somebody watches: its views, the reads that they take, and the states that come of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from ..http.connections import Owner
from ..model.micros import from_micros
from ..model.namespace import Namespace
from ..model.stats import Statistics, statistics_body
from ..model.windows import Window
from ..store.boards import BoardPage, BoardRow
from ..store.profile_cache import NO_PROFILE, DisplayProfile, ProfileCache, ProfilesVersion
from . import protocol
from .protocol import Frame, FrameEntry, Stamp, State
from .subscriber import Subscriber
from .views import TopView, View, cut_rows, read_arguments


class WatchedView:
    """A view and who watches it. `newcomers` hold nothing of it yet; the others its state, once their slot is sent.

    owners: for how many subscriptions each client watches it. lap: the hub's lap in which it was read last.
    """

    def __init__(self, view: View) -> None:
        self.view = view
        self.state: State | None = None
        self.subscribers: set[Subscriber] = set()
        self.newcomers: set[Subscriber] = set()
        self.owners: Counter[Owner] = Counter()
        self.keys = 0
        self.lap = 0

    def is_due(self, stamp: Stamp, lap: int) -> bool:
        """Whether it is to be read: somebody came, or it changed and was not read in this lap."""
        return bool(self.newcomers) or (self.lap != lap and (self.state is None or self.state.stamp != stamp))

    def add(self, subscriber: Subscriber) -> None:
        """Somebody comes."""
        self.newcomers.add(subscriber)
        self.owners[subscriber.owner] += 1
        self.keys += subscriber.owner.is_key

    def remove(self, subscriber: Subscriber) -> None:
        """Somebody goes."""
        self.subscribers.discard(subscriber)
        self.newcomers.discard(subscriber)
        self.keys -= subscriber.owner.is_key
        self.owners[subscriber.owner] -= 1
        if not self.owners[subscriber.owner]:
            del self.owners[subscriber.owner]

    def publish(self, state: State, arrived: Iterable[Subscriber]) -> None:
        """A new state to all, and to those who had arrived before it was read their first frame.

        One diff and one encoding a format, however many watch.
        """
        held, whole = self.state, Frame(protocol.snapshot(state))
        self.state = state
        if held is None or state.differs(held):
            change = Frame(protocol.delta(held, state)) if held is not None and state.follows(held) else None
            for subscriber in self.subscribers:
                subscriber.offer(whole, change)
        same = Frame(protocol.uptodate(state))
        for subscriber in self.newcomers.intersection(arrived):
            subscriber.start(whole, same, state)
            self.newcomers.discard(subscriber)
            self.subscribers.add(subscriber)


class BoardRead(NamedTuple):
    """One read of a board, and the views that it serves, each with those who had arrived when it was asked for."""

    board: "WatchedBoard"
    namespace: Namespace
    window: Window
    ask: tuple[str | int, ...]
    names: int
    served: list[tuple[WatchedView, tuple[Subscriber, ...]]]

    def arrived(self) -> Iterator[Subscriber]:
        """All who wait for it."""
        for _, newcomers in self.served:
            yield from newcomers


class WatchedBoard:
    """One namespace's board in one window. `asked` is the window as clients name it: `day` moves on by itself.

    names: how often somebody's name may have changed who stands in one of its views.
    """

    def __init__(self, namespace: Namespace, asked: str, names_version: ProfilesVersion) -> None:
        self.namespace = namespace
        self.asked = asked
        self.names = 0
        self._names_version = names_version
        self.views: dict[View, WatchedView] = {}
        self._window: Window | None = None

    @property
    def key(self) -> tuple[int, str]:
        """A namespace made anew under an old name is another one."""
        return self.namespace.id, self.asked

    def window(self, now: int) -> Window:
        """What `asked` means now."""
        held = self._window
        if held is None or (held.name != self.asked and not _holds(held, now)):
            held = self._window = self.namespace.calendar.find(self.asked, now)
            assert held is not None, "a board without its window is not watched"
        return held

    def adopt(self, namespace: Namespace) -> None:
        """Takes the rules in force, where they are others."""
        if namespace.version != self.namespace.version:
            self.namespace, self._window = namespace, None

    def note_names(self, names: ProfileCache, version: ProfilesVersion) -> None:
        """Takes up which names have changed. O(users in its views) after a change, else O(1)."""
        if version == self._names_version:
            return
        states = [watched.state for watched in self.views.values() if watched.state is not None]
        users = [entry.user_id for state in states for entry in state.entries]
        self.names += names.has_changed(self.namespace, users, self._names_version)
        self._names_version = version

    def newcomers(self) -> Iterator[Subscriber]:
        """All who hold nothing of it yet."""
        for watched in list(self.views.values()):
            yield from watched.newcomers

    def everyone(self) -> Iterator[Subscriber]:
        """All who watch it, as they are now."""
        for watched in list(self.views.values()):
            yield from (*watched.subscribers, *watched.newcomers)

    def readings(self, window: Window, stamp: Stamp, lap: int) -> Iterator[BoardRead]:
        """The reads that are due where the board stands at this stamp: one for all its `top` views together."""
        due = [watched for watched in self.views.values() if watched.is_due(stamp, lap)]
        limit = max((watched.view.limit for watched in due if isinstance(watched.view, TopView)), default=0)
        reads: dict[tuple[str | int, ...], list[WatchedView]] = {}
        for watched in due:
            reads.setdefault(read_arguments(watched.view, limit), []).append(watched)
        for ask, served in reads.items():
            arrived = [(watched, tuple(watched.newcomers)) for watched in served]
            yield BoardRead(self, self.namespace, window, ask, stamp.names, arrived)


def publish_stats(reading: BoardRead, found: Statistics) -> None:
    """Gives statistics to all who watch them."""
    window, told = reading.window, statistics_body(found, reading.namespace.rules.scale)
    head = (window.name, _moment(window.starts), _moment(window.ends), found.epoch, found.version, found.users, ())
    for watched, arrived in reading.served:
        watched.publish(State(*head, *_rules(reading), reading.names, stats=told), arrived)


def publish(reading: BoardRead, board: BoardPage, names: Mapping[str, DisplayProfile]) -> None:
    """Gives what was read to all whom it serves. names: of those who have a profile."""
    number = reading.namespace.number

    def entry(at: BoardRow) -> FrameEntry:
        name = names.get(at.user, NO_PROFILE)
        return FrameEntry(at.position, at.rank0 + 1, at.user, number(at.units), name.display_name, name.avatar)

    rows = [entry(at) for at in sorted(board.places)]
    starts, ends = _moment(reading.window.starts), _moment(reading.window.ends)
    for watched, arrived in reading.served:
        entries = cut_rows(watched.view, rows)
        named = any(entry.user_id in names for entry in entries)
        head = (reading.window.name, starts, ends, board.epoch, board.version, board.total, entries)
        state = State(*head, *_rules(reading), reading.names, named)
        watched.publish(state, arrived)


def _rules(reading: BoardRead) -> tuple[int, int | None]:
    return reading.namespace.version, reading.namespace.rules_from_seq


def _holds(window: Window, now: int) -> bool:
    """A clock may be set back: a window is left on either side."""
    return (window.starts is None or window.starts <= now) and (window.ends is None or now < window.ends)


def _moment(micros: int | None) -> Any:
    return None if micros is None else from_micros(micros)
