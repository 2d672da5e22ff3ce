"""Every Redis key's name. `{p}` is a hash tag: one partition's keys share a slot, so a script call stays atomic."""

import re

DIRECTORY = "lb:directory"  # hash: namespace name → its id, partition, version and rules
API_KEYS = "lb:keys"  # hash: key id → its hash and scopes
DEPLOYMENT = "lb:deployment"  # hash: id, partitions; `changes` rises with every change of namespaces or keys,
# `profiles` with every change of a profile; `changes:<n>`, `profiles:<n>`: what one of the latest changes was;
# `profiles:erased`: no profile up to this version is written of a user who has none
NAMED = "lb:named"  # hash: namespace id → whether every process was told that users have names of their own there
PROFILES = "lb:profiles"  # hash: user → version and profile, of those who have one


def log(p: int) -> str:
    """Stream of entries: those not yet in the ledger and a tail."""
    return f"lb:{{{p}}}:log"


def meta(p: int) -> str:
    """Hash: epoch, seq, at, flushed, generations, one `g:<n>` a generation, format; veils
    while anybody is hidden, unveiled: the latest version of a state that went."""
    return f"lb:{{{p}}}:meta"


def seen(p: int, generation: int | str) -> str:
    """Hash of one generation: entry id → content digest and stream id."""
    return f"lb:{{{p}}}:seen:{generation}"


def rules(p: int) -> str:
    """Hash: namespace id → version of its rules."""
    return f"lb:{{{p}}}:rules"


def hidden(p: int) -> str:
    """Hash: user → version and state, of those who are off the boards, come back, or are being erased."""
    return f"lb:{{{p}}}:hidden"


def names_in(p: int, namespace_id: int) -> str:
    """Hash: user → version and profile, of those who have one of this namespace; how often one changed, and whose."""
    return f"lb:{{{p}}}:names:{namespace_id}"


def hidden_in(p: int, namespace_id: int) -> str:
    """Hash: the same of those who are off the boards of one namespace."""
    return f"lb:{{{p}}}:hidden:{namespace_id}"


def board(p: int, namespace_id: int, window: str) -> str:
    """Sorted set: user → score."""
    return f"lb:{{{p}}}:b:{namespace_id}:{window}"


def orders(p: int, namespace_id: int, window: str) -> str:
    """Hash of a board with a tie-break: user → the digits in front of the name."""
    return f"lb:{{{p}}}:bo:{namespace_id}:{window}"


def scores(p: int, namespace_id: int, window: str) -> str:
    """Sorted set of a board whose ranking is `dense`: each of its scores once."""
    return f"lb:{{{p}}}:bs:{namespace_id}:{window}"


def sums(p: int, namespace_id: int, window: str) -> str:
    """Hash of a board whose namespace keeps bounded sums: node of its tree → sum, see lua/include/sum_tree.lua."""
    return f"lb:{{{p}}}:bt:{namespace_id}:{window}"


def times(p: int, namespace_id: int, window: str) -> str:
    """Hash of a board whose aggregation is `latest`: user → granted_at (µs) of the grant that counts there."""
    return f"lb:{{{p}}}:bg:{namespace_id}:{window}"


def balances(p: int, namespace_id: int) -> str:
    """Hash a user (append the name): total, count, last, seq, at, per category and source, velocities, the times of
    categories and sources, and the scores that a hidden user has on each board."""
    return f"lb:{{{p}}}:u:{namespace_id}:"


def days(p: int, namespace_id: int) -> str:
    """Hash a user (append the name): the days with a live grant where streaks are on, see lua/include/days.lua."""
    return f"lb:{{{p}}}:d:{namespace_id}:"


def space(p: int, namespace_id: int) -> str:
    """Hash: version and sums of each board, distinct categories and sources, a mark while anybody is hidden in it."""
    return f"lb:{{{p}}}:s:{namespace_id}"


# Kinds of key that belong to one namespace, each `lb:{p}:<kind>:<namespace id>` and more. What follows may hold ':' and
# any glob character, so a key is told by its beginning, never by a pattern.
_OF_NAMESPACE = re.compile(rb"lb:\{(\d+)\}:(?:b|bo|bs|bt|bg|u|d|s|hidden|names):(\d+)(?::|\Z)")


def namespace_of(key: bytes) -> tuple[int, int] | None:
    """Partition and namespace id of a key that belongs to one namespace; None for any other. O(1)."""
    found = _OF_NAMESPACE.match(key)
    return None if found is None else (int(found[1]), int(found[2]))
