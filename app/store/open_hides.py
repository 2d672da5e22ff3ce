"""Users who are to leave the boards of a partition and may stand there still, because the entries that took them off
were lost with the log's end: they are taken off before anybody reads it."""

from ..drivers.postgres import Fetch
from ..drivers.redis import RedisLink
from ..model.entry import PlannedEntry
from ..model.visibility import ERASE, HIDE, VisibilityIntent
from . import apply
from .apply import CallRefused, Outcome
from .partitions import read_heads
from .visibility import intent_from_row, move, plan

#: Intents that are read at once.
INTENTS_A_PAGE_MAX = 100


async def open_hides(fetch: Fetch, p: int) -> list[VisibilityIntent]:
    """Users to be hidden or erased whose hide in a partition the ledger does not hold yet. O(open intents)."""
    intents: list[VisibilityIntent] = []
    while rows := await fetch("get_open_intents", [p], intents[-1].version if intents else 0, INTENTS_A_PAGE_MAX):
        intents += map(intent_from_row, rows)
        if len(rows) < INTENTS_A_PAGE_MAX:
            break
    return [intent for intent in intents if intent.desired_state in (HIDE, ERASE)]


async def take_off(fetch: Fetch, link: RedisLink, p: int, mark: str, intents: list[VisibilityIntent]) -> None:
    """Takes users off all boards of a partition on which the ledger saw them; a persister does the rest. `link` knows
    apply.lua; mark: that of the partition. O(their boards). CallRefused, RedisRefused."""
    (head,) = await read_heads(link, [p], mark)
    if isinstance(head, CallRefused):
        raise head

    async def submit(p: int, entries: list[PlannedEntry]) -> list[Outcome]:
        (reply,) = await link.run([apply.pack(p, entries, head)])
        return apply.read(reply)

    for intent in intents:
        await move(submit, p, (await plan(fetch, intent, [p])).get(p, []))
