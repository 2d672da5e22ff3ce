"""Everything that Redis keeps of some users of a namespace, read at one instant, for comparisons with the ledger."""

from collections.abc import Sequence

from ..drivers.redis import Call, evalsha
from ..drivers.scripts import load
from ..model.namespace import Namespace
from . import keys

DUMP_USERS = load("dump_users")


def dump_users_call(namespace: Namespace, boards: Sequence[str], users: Sequence[str]) -> Call:
    """Asks for what is kept of users on some boards, in their balances and their days; lua/dump_users.lua says how the
    reply is made up. O(users × boards × log)."""
    p, ns, rules = namespace.partition, namespace.id, namespace.rules
    dated, dense, timed = rules.tie_break != "none", rules.ranking == "dense", namespace.aggregation.keeps_times
    kinds = [keys.board, *([keys.tie_prefixes] if dated else []), *([keys.distinct_scores] if dense else [])]
    kinds += [keys.grant_times] if timed else []
    names = [name(p, ns, board) for board in boards for name in kinds]
    names += [keys.balances(p, ns) + user for user in users]
    names += [keys.days(p, ns) + user for user in users] if rules.streaks else []
    has = [int(dated), int(dense), int(timed), int(rules.streaks)]
    return evalsha(DUMP_USERS, [keys.meta(p), *names], [len(boards), *has, *users])
