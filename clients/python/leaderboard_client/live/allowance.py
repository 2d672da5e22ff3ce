"""How many messages may be sent. The server closes the connection of a client that sends more."""

import time

#: Messages at once, and then a second; the server takes 100 and 50.
MESSAGES_ONCE_MAX, MESSAGES_A_S_MAX = 80, 40


class Allowance:
    """So many at once, then so many a second."""

    def __init__(self) -> None:
        self._left = float(MESSAGES_ONCE_MAX)
        self._at = time.monotonic()

    def take(self) -> float:
        """Takes one, and gives the seconds after which it may be sent."""
        now = time.monotonic()
        self._left = min(MESSAGES_ONCE_MAX, self._left + (now - self._at) * MESSAGES_A_S_MAX) - 1
        self._at = now
        return max(0.0, -self._left / MESSAGES_A_S_MAX)
