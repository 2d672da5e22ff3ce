"""How many WebSockets or views each client may have."""

from collections import Counter

from ..http.connections import Owner
from ..model.errors import RateLimited


class ClientQuota:
    """Counts for each key, for each user of a client token within its key, for each address without a key, and for all
    addresses together. noun: for errors."""

    def __init__(
        self, noun: str, *, key_max: int, user_max: int, address_max: int, anonymous_max: int | None = None
    ) -> None:
        self._noun = noun
        self._user_max = user_max
        self._key_max = key_max
        self._address_max = address_max
        self._anonymous_max = anonymous_max
        self._counts: Counter[Owner] = Counter()
        self.anonymous = 0

    def take(self, owner: Owner) -> None:
        """Counts one more. RateLimited at a bound. O(1)."""
        if owner.is_key:
            if self._counts[_key(owner)] >= self._key_max:
                raise RateLimited(f"at most {self._key_max} {self._noun} are taken from one key")
            if owner.user is not None and self._counts[owner] >= self._user_max:
                raise RateLimited(f"at most {self._user_max} {self._noun} are taken from one user's client tokens")
        elif self._counts[owner] >= self._address_max:
            raise RateLimited(f"at most {self._address_max} {self._noun} are taken from one address without a key")
        elif self._anonymous_max is not None and self.anonymous >= self._anonymous_max:
            raise RateLimited(f"at most {self._anonymous_max} {self._noun} are taken without a key")
        else:
            self.anonymous += 1
        self._counts.update({owner, _key(owner)})

    def give_back(self, owner: Owner) -> None:
        """Counts one less. O(1)."""
        self.anonymous -= not owner.is_key
        for one in {owner, _key(owner)}:
            self._counts[one] -= 1
            if not self._counts[one]:
                del self._counts[one]


def _key(owner: Owner) -> Owner:
    """The key of a user; any other owner itself."""
    return owner if owner.user is None else Owner(owner.name, owner.is_key)
