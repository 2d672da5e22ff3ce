"""What Redis holds of scores, to be compared before and after."""

from typing import Any

#: Boards, their tie-break prefixes, distinct scores, sum trees and grant times, and users' balances.
KINDS = ("b", "bp", "bs", "bt", "bg", "u")
#: Fields of a user's balances that say when something was written.
WRITTEN = (b"seq", b"at", b"corrected")


def scores_in_redis(direct: Any, namespace: int | str = "*") -> dict[bytes, Any]:
    """All keys of scores with their values, but for when these were written; of one namespace, or of all."""
    scores: dict[bytes, Any] = {}
    for kind in KINDS:
        for key in direct.keys(f"lb:*:{kind}:{namespace}:*"):
            if direct.type(key) == b"zset":
                scores[key] = direct.zrange(key, 0, -1, withscores=True)
            else:
                values = direct.hgetall(key)
                scores[key] = {name: values[name] for name in values if name not in WRITTEN}
    return scores
