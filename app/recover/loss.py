"""What a server had acknowledged and neither Redis nor the ledger has: by the reason for which it closed the
partition."""

import re
from typing import NamedTuple

import msgspec

from ..drivers.postgres import Postgres
from ..model.text import count_text

# As lua/include/log_check.lua writes it.
_REASON = re.compile(r"(\d+)-(\d+) is acknowledged, (?:the log ends at \d+-(\d+)|epoch \d+ began behind seq (\d+))")
_encode = msgspec.json.Encoder().encode


class Loss(NamedTuple):
    """Entries of an epoch that are lost, the first and the last of them."""

    epoch: int
    first_seq: int
    last_seq: int

    @classmethod
    def parse(cls, reason: str) -> "Loss | None":
        """None where the reason does not tell how many."""
        match = _REASON.search(reason)
        return None if match is None else cls(int(match[1]), int(match[3] or match[4]) + 1, int(match[2]))

    @property
    def entries(self) -> int:
        """How many they are."""
        return self.last_seq - self.first_seq + 1

    def __str__(self) -> str:
        entries = count_text(self.entries, "entry", "entries")
        return f"{entries}, seq {self.first_seq} to {self.last_seq} up to epoch {self.epoch}"


async def record_loss(postgres: Postgres, p: int, loss: Loss, cause: str) -> None:
    """Records an event in each namespace of the partition: some of the entries may be its own. StoreUnavailable."""
    body = {**loss._asdict(), "entries": loss.entries, "cause": cause}
    await postgres.fetch("record_loss", p, _encode(body).decode())
