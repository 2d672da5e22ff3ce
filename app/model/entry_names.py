"""How entries are named: their ids in Redis, and the texts that name one entry by where it stands in the log.

Each text has one function that writes it and, if it is read, one that reads it.
"""

import re
from hashlib import blake2b
from typing import Any

import msgspec

from .entry_kinds import EntryKind

_KEY = "key"
_LETTER = "dead letter"
_HEAL = re.compile(r"heal:(\d+)-(\d+)\Z")
_LOSS = re.compile(r"loss:\d+-\d+:(\d+)\Z")
_GAP = re.compile(r"gap:(\d+)-(\d+)\Z")
_pack = msgspec.msgpack.Encoder().encode


def entry_id(kind: EntryKind, namespace_id: int, grant_id: str, revision: int) -> bytes:
    """16 bytes that name an entry: BLAKE2b of the length-prefixed (kind, namespace id, grant_id, revision)."""
    return _id(kind.name, namespace_id, grant_id, revision)


def idempotency_id(namespace_id: int, key: str) -> bytes:
    """16 bytes that name an Idempotency-Key."""
    return _id(_KEY, namespace_id, key, 0)


def decision_id(namespace_id: int, *, epoch: int, seq: int, attempts: int) -> bytes:
    """The id of the entry that carries out a decision about a dead letter. Recording
    the letter and taking it off the boards have the same id, so only one of them counts. attempts: how often recording
    it failed."""
    return _id(_LETTER, namespace_id, retry_name(epoch, seq), attempts + 1)


def _id(kind: str, namespace_id: int, name: str, number: int) -> bytes:
    return blake2b(_pack((kind, namespace_id, name, number)), digest_size=16).digest()


def digest_of_content(content: tuple[Any, ...], key: bytes) -> bytes:
    """16 bytes over what a client sent. key: the deployment's digest key, without which nobody can try contents until
    one fits."""
    return blake2b(_pack(content), key=key, digest_size=16).digest()


def digest_of(text: str) -> bytes:
    """16 bytes over a text: the content of an entry that has only a name."""
    return blake2b(text.encode(), digest_size=16).digest()


def heal_name(epoch: int, seq: int) -> str:
    """The grant_id of the heal that takes an entry back. There is one name for each entry, so each is taken back
    once."""
    return f"heal:{epoch}-{seq}"


def parse_heal_name(grant_id: str) -> tuple[int, int] | None:
    """Epoch and seq of the entry that a heal takes back; None if it is not a heal's name."""
    match = _HEAL.match(grant_id)
    return None if match is None else (int(match[1]), int(match[2]))


def retry_name(epoch: int, seq: int) -> str:
    """The name of a dead letter's second recording."""
    return f"retry:{epoch}-{seq}"


def duplicate_name(p: int, *, epoch: int, seq: int) -> str:
    """The grant_id of the ledger row of an entry that the ledger already had under its own name."""
    return f"duplicate:{p}:{epoch}-{seq}"


def tombstone_name(p: int, *, epoch: int, seq: int) -> str:
    """The grant_id of the row in a dead letter's place."""
    return f"tombstone:{p}:{epoch}-{seq}"


def rebuild_name(p: int, epoch: int) -> str:
    """The grant_id of the entry with which a rebuilt partition goes on."""
    return f"rebuild:{p}:{epoch}"


def loss_name(epoch: int, number: int, *, since_seq: int) -> str:
    """The grant_id of the entry that records what Redis has of a user. number: the user's; since_seq: the last seq of
    the gap, from which on what is lost counts."""
    return f"loss:{epoch}-{number}:{since_seq}"


def parse_loss_name(grant_id: str) -> int | None:
    """The seq from which on what is lost counts; None: from the entry's own one on, as an earlier release recorded
    it."""
    match = _LOSS.match(grant_id)
    return None if match is None else int(match[1])


def gap_name(first_seq: int, last_seq: int) -> str:
    """The grant_id of the row that stands for rows which the ledger lost. verify_ledger.sql reads it, too."""
    return f"gap:{first_seq}-{last_seq}"


def parse_gap_name(grant_id: str) -> tuple[int, int] | None:
    """The first and the last seq that a gap's row stands for; None if it is not a gap's name."""
    match = _GAP.match(grant_id)
    return None if match is None else (int(match[1]), int(match[2]))


def member_key(key: str, index: int) -> str:
    """The Idempotency-Key of one member of a request of many. No client's key holds a line feed."""
    return f"{key}\n{index}"


def duplicate_verdict(epoch: int, seq: int) -> str:
    """The verdict on an entry that the ledger already has. lua/include/process_entry.lua reads it."""
    return f"duplicate {epoch}-{seq}"


def is_duplicate_verdict(verdict: str) -> bool:
    """Whether a verdict is `duplicate_verdict`."""
    return verdict.startswith("duplicate ")
