"""The events of a namespace's move: in and out of the shadow, by whichever way its mode changes."""

from typing import Any

import msgspec

from ..drivers.postgres import Fetch
from ..model.namespace import Namespace, Rules
from ..store.event_rows import EVENTS_LOCK

CUT_OVER, CUT_BACK = "cut_over", "cut_back"
_encode = msgspec.json.Encoder(decimal_format="number").encode


async def lock_events(fetch: Fetch) -> None:
    """Lets this transaction write events of a move. It comes before the namespace's own lock."""
    await fetch("lock_events", EVENTS_LOCK)


async def record_cut(fetch: Fetch, namespace_id: int, event: str, actor: str, body: dict[str, Any]) -> None:
    """Writes CUT_OVER or CUT_BACK, behind `lock_events`, in the transaction that changes the mode."""
    await fetch("record_cutover", namespace_id, event, actor, _encode(body).decode())


def crosses_shadow(old: Rules, new: Rules) -> bool:
    """Whether a change of rules lets readers in, or keeps them out."""
    return (old.mode == "shadow") != (new.mode == "shadow")


async def record_mode(fetch: Fetch, namespace: Namespace, mode: str, actor: str) -> None:
    """Writes that a namespace left the shadow, or came back there, without a comparison. The place is the ledger's end,
    which may lie before what the log has: the export behind it has too much rather than too little. Who was never over
    does not come back. namespace: as it was before."""
    if mode != "shadow":
        offset = next(iter(await fetch("get_offset", namespace.partition)), None)
        place = {"epoch": 0, "seq": 0} if offset is None else {"epoch": offset["epoch"], "seq": offset["seq"]}
        lacking = dict.fromkeys(("comparison", "max_diff", "largest_difference"))
        await record_cut(fetch, namespace.id, CUT_OVER, actor, {**place, **lacking})
        return
    last = next(iter(await fetch("get_last_cutover", namespace.id)), None)
    if last is not None and last["type"] == CUT_OVER:
        await record_cut(fetch, namespace.id, CUT_BACK, actor, {"epoch": last["epoch"], "seq": last["seq"]})
