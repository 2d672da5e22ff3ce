"""The users whose profiles changed recently, by one counter in Redis."""

from collections.abc import Sequence

#: Users whose latest change a process remembers. Names that were read before the oldest of them are compared again.
USERS_MAX = 512


class RecentChanges:
    """Follows one counter. number: the counter when this process read it last.

    step: rises with each change that this process learns of. It never falls, even if the counter begins again.
    begin: the first step; profiles that were read before it may have changed.
    """

    def __init__(self, number: int = 0, begin: int = 0) -> None:
        self.number = number
        self.step = begin
        self._complete_since = begin
        self._last: dict[str, int] = {}

    def follow(self, number: int, users: Sequence[str] | None) -> None:
        """Takes the counter's new number and the users whose profiles changed since the last call, in order; None: any
        user's may have changed. O(users)."""
        self.number = number
        if users is None:
            self.step += 1
            self._complete_since = self.step
            self._last.clear()
            return
        for user in users:
            self.step += 1
            self._last.pop(user, None)
            self._last[user] = self.step
        while len(self._last) > USERS_MAX:
            self._complete_since = self._last.pop(next(iter(self._last)))

    def has_changed(self, users: Sequence[str], since: int) -> bool:
        """Whether the profile of one of the users may have changed since a step. O(users + changes since); O(1)
        where none has changed."""
        if since == self.step or not users:
            return False
        if since < self._complete_since:
            return True
        changed = set()
        for user, step in reversed(self._last.items()):
            if step <= since:
                break
            changed.add(user)
        return not changed.isdisjoint(users)
