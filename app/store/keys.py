"""Every Redis key's name. `{p}` is a hash tag: one partition's keys share a slot, so a script call stays atomic.

The names of hash fields stand in fields.py.
"""

import re
from collections.abc import Collection, Sequence

DIRECTORY = "lb:directory"  # hash: namespace name → its id, partition, version and rules
API_KEYS = "lb:keys"  # hash: key id → version, its hash and scopes; null for a revoked one
DEPLOYMENT = "lb:deployment"  # hash: the deployment's id, partitions and format
NAMESPACES_WITH_PROFILES = "lb:profiles:namespaces"  # hash: id of a namespace with profiles of its own → whether every
# process knows of them
PROFILES = "lb:profiles"  # hash: user → version and profile, of users who have one


def log(p: int) -> str:
    """Stream of entries: those that the ledger lacks, and some before them."""
    return f"lb:{{{p}}}:log"


def meta(p: int) -> str:
    """Hash: the partition's head, see fields.py."""
    return f"lb:{{{p}}}:meta"


def changes(p: int) -> str:
    """Hash: the latest changes of namespaces, API keys and profiles by name, see lua/announce_change.lua."""
    return f"lb:{{{p}}}:changes"


def dedup(p: int, generation: int | str) -> str:
    """Hash of one generation: entry id → digest and place, see lua/include/dedup.lua."""
    return f"lb:{{{p}}}:dedup:{generation}"


def rules(p: int) -> str:
    """Hash: namespace id → version of its rules."""
    return f"lb:{{{p}}}:rules"


def hidden(p: int) -> str:
    """Hash: user → version and state, of users of the whole deployment, see lua/include/visibility.lua."""
    return f"lb:{{{p}}}:hidden"


def hidden_in(p: int, namespace_id: int) -> str:
    """Hash: user → version and state, of users of one namespace."""
    return f"lb:{{{p}}}:hidden:{namespace_id}"


def profiles_in(p: int, namespace_id: int) -> str:
    """Hash: user → version and profile, of users who have one in this namespace; and the counter of their changes."""
    return f"lb:{{{p}}}:profiles:{namespace_id}"


def board(p: int, namespace_id: int, name: str) -> str:
    """Sorted set: user, behind a prefix where there is a tie-break → score, see lua/include/boards.lua."""
    return f"lb:{{{p}}}:b:{namespace_id}:{name}"


def tie_prefixes(p: int, namespace_id: int, name: str) -> str:
    """Hash of a board with a tie-break: user → the digits in front of the name, see lua/include/tie_break.lua."""
    return f"lb:{{{p}}}:bp:{namespace_id}:{name}"


def distinct_scores(p: int, namespace_id: int, name: str) -> str:
    """Sorted set of a board whose ranking is `dense`: each of its scores once."""
    return f"lb:{{{p}}}:bs:{namespace_id}:{name}"


def sum_tree(p: int, namespace_id: int, name: str) -> str:
    """Hash of a board whose namespace keeps bounded sums: node → sum, see lua/include/sum_tree.lua."""
    return f"lb:{{{p}}}:bt:{namespace_id}:{name}"


def grant_times(p: int, namespace_id: int, name: str) -> str:
    """Hash of a board whose aggregation is `latest`: user → granted_at (µs) of the grant that counts there."""
    return f"lb:{{{p}}}:bg:{namespace_id}:{name}"


def balances(p: int, namespace_id: int) -> str:
    """Hash of a user (append the name): balances, velocities, grant times, and scores while the user is hidden."""
    return f"lb:{{{p}}}:u:{namespace_id}:"


def days(p: int, namespace_id: int) -> str:
    """Hash of a user (append the name): the days with a live grant where streaks are on, see lua/include/days.lua."""
    return f"lb:{{{p}}}:d:{namespace_id}:"


def namespace(p: int, namespace_id: int) -> str:
    """Hash: the counters and states of a namespace, see lua/include/namespaces.lua."""
    return f"lb:{{{p}}}:ns:{namespace_id}"


def partition_of(call: Sequence[object]) -> int | None:
    """The partition of a call by its first key; None for a key that belongs to none, or a call without keys. O(1)."""
    index = 3 if call[0] == "EVALSHA" else 1
    key = call[index] if len(call) > index else None
    if isinstance(key, str) and key.startswith("lb:{"):
        return int(key[4 : key.index("}")])
    return None


# Kinds of key that belong to one namespace, each `lb:{p}:<kind>:<namespace id>` and more. What follows may hold ':' and
# any glob character, so a key is known by its beginning, never by a pattern.
_OF_NAMESPACE = re.compile(rb"lb:\{(\d+)\}:(?:b|bp|bs|bt|bg|u|d|ns|hidden|profiles):(\d+)(?::|\Z)")


_BALANCES = re.compile(rb"lb:\{(\d+)\}:u:(\d+):(.*)\Z", re.DOTALL)


def user_of(key: bytes) -> tuple[int, int, str] | None:
    """Partition, namespace id and user of a user's balances; None for any other key. O(1)."""
    match = _BALANCES.match(key)
    return None if match is None else (int(match[1]), int(match[2]), match[3].decode())


# What a rebuild writes anew: all of a namespace but its hidden users and profiles.
_REBUILT = re.compile(rb"lb:\{(\d+)\}:(?:b|bp|bs|bt|bg|u|d|ns):(\d+)(?::|\Z)")
_LOG_OR_DEDUP = re.compile(rb"lb:\{(\d+)\}:(?:log\Z|dedup:)")


def is_rebuilt(key: bytes, p: int, namespace_ids: Collection[int] | None) -> bool:
    """Whether a rebuild of a partition, or of some of its namespaces, writes this key anew from the ledger. O(1)."""
    match = _REBUILT.match(key)
    return match is not None and int(match[1]) == p and (namespace_ids is None or int(match[2]) in namespace_ids)


def is_log_or_dedup(key: bytes, p: int) -> bool:
    """Whether a key is the log of a partition or one of its dedup generations. O(1)."""
    match = _LOG_OR_DEDUP.match(key)
    return match is not None and int(match[1]) == p


def log_aside(p: int, epoch: int) -> str:
    """Stream: what a log held that does not follow from the ledger, as a rebuild met it before an epoch."""
    return f"lb:{{{p}}}:aside:{epoch}"


def namespace_of(key: bytes) -> tuple[int, int] | None:
    """Partition and namespace id of a key that belongs to one namespace; None for any other. O(1)."""
    match = _OF_NAMESPACE.match(key)
    return None if match is None else (int(match[1]), int(match[2]))
