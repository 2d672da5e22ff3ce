"""Taking back what counted twice: one compensating entry for each duplicate that only the ledger recognised."""

from hashlib import blake2b

import msgspec

from ..model.entry import GRANT, HEAL, Entry, LogEntry, entry_id, labels_of
from ..model.namespace import Namespace, Rules
from ..store import apply, keys
from ..store.apply import CallRefused
from ..store.partitions import read_head
from ..store.redis import Link
from .sink import Offset, Sink


async def heal(sink: Sink, link: Link, p: int, offset: Offset) -> None:
    """Applies the open heals of a partition. `heal:<epoch>-<seq>` is their grant_id, so that each counts once."""
    for epoch, seq, claimed in await sink.open_heals(p):
        if claimed.kind != GRANT:
            continue  # a correction claims its revision by what the ledger holds: it cannot have counted twice
        name = f"heal:{epoch}-{seq}"
        body = msgspec.structs.replace(
            claimed, kind=HEAL, grant_id=name, amount=-claimed.amount, weight=-claimed.weight, meta=None
        )
        (version,) = await link.run([("HGET", keys.rules(p), body.namespace_id)])
        if version is None or isinstance(version, Exception):
            continue
        rules = await sink.rules(body.namespace_id)
        try:
            head = await read_head(link, p)
            head.known = (offset.epoch, offset.seq, offset.digest)
            (reply,) = await link.run([apply.pack(p, [_entry(body, p, int(version), rules)], head)])
            (outcome,) = apply.read(reply)
        except CallRefused:
            return
        if outcome.code in ("applied", "duplicate") and outcome.seq is not None:
            await sink.close_heal(p, epoch, seq, outcome.seq)


def _entry(body: LogEntry, p: int, version: int, rules: Rules) -> Entry:
    """Takes an amount out of a sum; the best and the latest counted the same grant twice without a change."""
    content = blake2b(f"{body.grant_id} {body.amount}".encode(), digest_size=16).digest()
    namespace = Namespace(body.namespace_id, "", p, version, rules)
    boards = namespace.boards_of(body.windows, body.category)
    name = entry_id(HEAL, body.namespace_id, body.grant_id, 1)
    labels = labels_of(body.category, body.source, body.day)
    moves = "t-"
    if rules.aggregation == "sum":
        by = [body.weight if label.startswith("d:") else body.amount for label in labels]
        moves = "t" + "".join(f"w{i}+{body.amount}" for i in range(1, len(boards) + 1))
        moves += "".join(f"l{i}+{number}" for i, number in enumerate(by, 1))
    return Entry(namespace, body, name, content, windows=boards, labels=labels, moves=moves)
