"""Counts how often a row came before, in a few bytes for each."""

from array import array

#: Slots of an empty table; it doubles when it is half full.
_SLOTS_MIN = 1 << 16
_COUNT_BITS = 20
#: The highest count: further rows that are alike share an id, and count once.
_COUNT_MAX = (1 << _COUNT_BITS) - 1


class RowCounts:
    """A count for each fingerprint: 16 to 32 bytes a row. Rows whose fingerprints are the same by chance share a count,
    which only makes the next number higher: an id has the whole digest before it."""

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _SLOTS_MIN))
        self._used = 0

    def next(self, digest: bytes) -> int:
        """How often this digest came before. O(1); sometimes O(rows), when the table grows."""
        # 44 bits of the digest, never 0, above the count.
        name = (int.from_bytes(digest[:8], "big") >> _COUNT_BITS) | 1
        slots = self._slots
        mask = len(slots) - 1
        at = (name >> 1) & mask
        while (slot := slots[at]) and slot >> _COUNT_BITS != name:
            at = (at + 1) & mask
        if not slot:
            slots[at] = name << _COUNT_BITS | 1
            self._used += 1
            if 2 * self._used > len(slots):
                self._grow()
            return 0
        count = slot & _COUNT_MAX
        if count < _COUNT_MAX:
            slots[at] = slot + 1
        return count

    def _grow(self) -> None:
        old, self._slots = self._slots, array("Q", bytes(16 * len(self._slots)))
        mask = len(self._slots) - 1
        for slot in old:
            if slot:
                at = (slot >> (_COUNT_BITS + 1)) & mask
                while self._slots[at]:
                    at = (at + 1) & mask
                self._slots[at] = slot
