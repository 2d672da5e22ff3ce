"""Whose names changed lately, as one counter tells a process."""

from collections.abc import Sequence

#: Users of whom the latest change is remembered; what was read before the oldest of them is compared once more.
USERS_MAX = 512


class RecentChanges:
    """Follows one counter. number: where the counter stood when this process looked last.

    position: rises with each change that this process learns of, and never falls, whatever became of the counter: of
    two positions the later one is of more changes. begin: where it starts; nothing is known to hold since before.
    """

    def __init__(self, number: int = 0, begin: int = 0) -> None:
        self.number = number
        self.position = begin
        self._known_since = begin
        self._last: dict[str, int] = {}

    def follow(self, number: int, users: Sequence[str] | None) -> None:
        """Where the counter stands now, and whose names changed since it was followed last, in order; None: anybody's
        may have. O(users)."""
        self.number = number
        if users is None:
            self.position += 1
            self._known_since = self.position
            self._last.clear()
            return
        for user in users:
            self.position += 1
            self._last.pop(user, None)
            self._last[user] = self.position
        while len(self._last) > USERS_MAX:
            self._known_since = self._last.pop(next(iter(self._last)))

    def has_changed(self, users: Sequence[str], since: int) -> bool:
        """Whether the name of one of them may have changed since a position. O(users + changes since); O(1) where
        nobody's has."""
        if since == self.position or not users:
            return False
        if since < self._known_since:
            return True
        changed = set()
        for user, position in reversed(self._last.items()):
            if position <= since:
                break
            changed.add(user)
        return not changed.isdisjoint(users)
