"""How much of something each client holds: of sockets, of views."""

from collections import Counter

from ..http.connections import Owner
from ..model.errors import RateLimited


class ClientQuota:
    """What is held by each key, by each address without one, and by all addresses together. `noun`: for errors."""

    def __init__(self, noun: str, *, key_max: int, address_max: int, anonymous_max: int | None = None) -> None:
        self._noun = noun
        self._key_max = key_max
        self._address_max = address_max
        self._anonymous_max = anonymous_max
        self._held: Counter[Owner] = Counter()
        self.anonymous = 0

    def take(self, owner: Owner) -> None:
        """Counts one more. RateLimited at a bound. O(1)."""
        if owner.is_key:
            if self._held[owner] >= self._key_max:
                raise RateLimited(f"at most {self._key_max} {self._noun} are taken from one key")
        elif self._held[owner] >= self._address_max:
            raise RateLimited(f"at most {self._address_max} {self._noun} are taken from one address without a key")
        elif self._anonymous_max is not None and self.anonymous >= self._anonymous_max:
            raise RateLimited(f"at most {self._anonymous_max} {self._noun} are taken without a key")
        else:
            self.anonymous += 1
        self._held[owner] += 1

    def give_back(self, owner: Owner) -> None:
        """Counts one less. O(1)."""
        self.anonymous -= not owner.is_key
        self._held[owner] -= 1
        if not self._held[owner]:
            del self._held[owner]
