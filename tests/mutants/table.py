"""The mutants: each breaks one rule by one change of one file, and names the tests that must notice.

A rule belongs here if a wrong number, a lost grant or a refused right would follow from breaking it.
"""

from tests.mutants.crash import CRASH
from tests.mutants.former_primary import FORMER_PRIMARY
from tests.mutants.js_client import JS_CLIENT
from tests.mutants.ledger_chain import CHAIN
from tests.mutants.mutant import Mutant
from tests.mutants.older_postgres import OLDER_POSTGRES

APPLY, VISIBILITY = "tests/lua/test_apply.py", "tests/lua/test_visibility.py"
CLOSED, QUOTAS = "tests/lua/test_closed_windows.py", "tests/lua/test_quotas.py"
FULL, CLAIM = "tests/lua/test_full_memory.py", "tests/lua/test_claim.py"

MARKS, COMMITTER_MARKS = "tests/lua/test_marks.py", "tests/unit/test_committer_marks.py"

SCRIPTS = [
    Mutant(
        "a closed partition takes nothing",
        "lua/include/partition_head.lua",
        "if values[7] then",
        "if false then",
        (MARKS,),
    ),
    Mutant(
        "what was acknowledged behind the beginning of a later epoch is lost",
        "lua/include/log_check.lua",
        "if epoch < head.epoch and seq > head.begins_after then",
        "if false then",
        (MARKS,),
    ),
    Mutant(
        "an epoch begins once for a Redis",
        "lua/mark_partition.lua",
        "if redis.call('HGET', meta_key, fields.CHECKED) == server then",
        "if false then",
        (MARKS,),
    ),
    Mutant(
        "a partition that was not compared with the ledger is not used",
        "app/store/partitions.py",
        "if values.get(fields.CHECKED) != mark.encode():",
        "if False:",
        (COMMITTER_MARKS,),
    ),
    Mutant(
        "an id counts once",
        "lua/include/process_entry.lua",
        "local value = bundle.seen[entry.number] or bundle.pending[entry.id]",
        "local value = bundle.pending[entry.id]",
        (APPLY,),
    ),
    Mutant(
        "an id counts once in a call",
        "lua/include/process_entry.lua",
        "local value = bundle.seen[entry.number] or bundle.pending[entry.id]",
        "local value = bundle.seen[entry.number]",
        (APPLY,),
    ),
    Mutant(
        "an id with other content is a conflict",
        "lua/include/dedup.lua",
        "if sub(value, 1, 16) ~= digest then",
        "if false then",
        (APPLY,),
    ),
    Mutant(
        "an Idempotency-Key is claimed once",
        "lua/include/process_entry.lua",
        "local code, detail = check_claim(bundle, entry), nil",
        "local code, detail = nil, nil",
        (CLAIM,),
    ),
    Mutant(
        "a log that is too long keeps what the ledger lacks",
        "lua/advance_flushed.lua",
        "math.max(entries_max, head.seq - has_seq + 1)",
        "entries_max",
        (FULL,),
    ),
    Mutant(
        "a log that lost its tail takes nothing",
        "lua/include/log_check.lua",
        "elseif is_after(epoch, seq, head.flushed_epoch, head.flushed_seq) then",
        "elseif false then",
        (APPLY,),
    ),
    Mutant(
        "a log that holds another entry takes nothing",
        "lua/include/log_check.lua",
        "if entries[1][2][2] ~= digest then",
        "if false then",
        (APPLY,),
    ),
    Mutant(
        "a plan by old rules is refused",
        "lua/include/validate.lua",
        "if namespace.current_version ~= namespace.version then",
        "if false then",
        (APPLY,),
    ),
    Mutant(
        "a plan holds only while its user is as it was",
        "lua/include/cell_ops.lua",
        "elseif (values[SEQ] or 0) ~= number then",
        "elseif false then",
        ("tests/lua/test_aggregation.py",),
    ),
    Mutant(
        "an atomic call is all or nothing",
        "lua/apply.lua",
        "if is_atomic and is_refused then",
        "if false then",
        (APPLY,),
    ),
    Mutant(
        "the log has a bound",
        "lua/include/validate.lua",
        "  if #bundle.applied >= bundle.capacity then\n    return 'log_full'\n  end\n",
        "",
        (APPLY, QUOTAS),
    ),
    Mutant(
        "a closed window takes no grant",
        "lua/include/validate.lua",
        "if board_set.is_closed and not entry.kind.passes_closed then",
        "if false then",
        (CLOSED,),
    ),
    Mutant(
        "a window closes by the store's own clock",
        "lua/include/validate.lua",
        "closed_windows.is_over(entry) and 'applied' or 'not_over'",
        "'applied'",
        (CLOSED,),
    ),
    Mutant(
        "velocity bounds a user's grants",
        "lua/include/validate.lua",
        "if not velocity.is_within(limits, entry.user, entry.amount, now) then",
        "if false then",
        ("tests/lua/test_velocity.py",),
    ),
    Mutant(
        "a namespace's users have a bound",
        "lua/include/quotas.lua",
        "users_in(namespace, board_set) >= quotas.users then",
        "users_in(namespace, board_set) > quotas.users then",
        (QUOTAS,),
    ),
    Mutant(
        "a hidden user is on no board",
        "lua/include/boards.lua",
        "is_visible(users[i]) and board.scores[users[i].number]",
        "board.scores[users[i].number]",
        (VISIBILITY,),
    ),
    Mutant(
        "nothing is granted to a user who is being erased",
        "lua/include/visibility.lua",
        "return user.visibility == 'erasing' and not kind.passes_erasing and 'user_erasing' or nil",
        "return nil",
        (VISIBILITY,),
    ),
    Mutant(
        "the log is trimmed behind the ledger only",
        "lua/advance_flushed.lua",
        "if memory.is_short() or partition_head.is_after(keep_epoch, keep_seq, has_epoch, has_seq) then",
        "if false then",
        (FULL,),
    ),
    Mutant(
        "a dedup generation goes once the ledger has all of it",
        "lua/rotate_dedup.lua",
        "if last_seq <= head.flushed_seq then",
        "if true then",
        ("tests/lua/test_rotate_dedup.py",),
    ),
    Mutant(
        "a sum tree follows its board",
        "lua/include/write_state.lua",
        "if board.sum_tree and next(board.sum_tree.low) then",
        "if false then",
        ("tests/lua/test_bounded_sums.py",),
    ),
]

MODEL = [
    Mutant(
        "an id with another amount is a conflict",
        "app/model/grant.py",
        "        body.user,\n        body.entry_amount,\n",
        "        body.user,\n",
        ("tests/unit/test_digests.py",),
    ),
    Mutant(
        "an Idempotency-Key stands for one reason",
        "app/model/correction.py",
        "sorted(changes.items()), edit.reason",
        "sorted(changes.items())",
        ("tests/unit/test_digests.py",),
    ),
    Mutant(
        "of other grants the lowest is the best where lower is better",
        "app/model/aggregation.py",
        "min(_amounts(after, None if others is None else others.lowest))",
        "min(_amounts(after, None if others is None else others.highest))",
        ("tests/unit/test_cell_ops.py",),
    ),
]

SERVER = [
    Mutant(
        "an entry that is sent again is told its own outcome",
        "app/write/node_committer.py",
        "again = flight.first_known if flight.sent else -1",
        "again = -1",
        ("tests/unit/test_committer_faults.py",),
    ),
    Mutant(
        "an entry that was looked up beside other generations is looked up again",
        "app/write/node_committer.py",
        'elif any(entry.generations not in ("", self._heads[p].generations) for entry in flight.entries):',
        "elif False:",
        ("tests/unit/test_committer.py", "tests/unit/test_committer_faults.py"),
    ),
    Mutant(
        "a private namespace is read by those who may",
        "app/access/guard.py",
        'return namespace.is_public or principal.may("read", namespace.name)',
        "return True",
        ("tests/unit/test_authorizer.py",),
    ),
    Mutant(
        "a Redis is told what it was not told before it is used",
        "app/store/marks.py",
        "    await StatePublication(fetch, node, announcer, partitions).publish_changes(since, state.version)\n",
        "",
        ("tests/crash/test_state.py::test_an_older_redis_gives_nothing_back_that_was_taken_away",),
    ),
]

PERSISTER = [
    Mutant(
        "Redis hears of what is committed, not of what is read",
        "app/persist/flusher.py",
        "(lease.offset.epoch, lease.offset.seq),",
        "(lease.read.epoch, lease.read.seq),",
        ("tests/unit/test_flusher.py",),
    ),
    Mutant(
        "a gap in the log stops its partition",
        "app/persist/log_reader.py",
        "        if row.seq != seq:\n",
        "        if False:\n",
        ("tests/unit/test_log_rows.py",),
    ),
    Mutant(
        "the log must hold the entry at the ledger's offset",
        "app/persist/log_reader.py",
        "if digest_in(reply) != offset.digest:",
        "if digest_in(reply) == b'':",
        ("tests/integration/test_persist.py::test_a_log_that_changed_under_a_persister_is_not_gone_on_with",),
    ),
    Mutant(
        "a persister that lost its lease commits no row",
        "app/store/sql/deployment.sql",
        "\nAND NOT EXISTS (SELECT FROM lease WHERE holder <> $7);",
        ";",
        ("tests/hostile/test_hung_persister.py",),
    ),
]

ACKNOWLEDGEMENTS = [
    Mutant(
        "a wait for replicas covers what others wrote",
        "lua/rewrite_seq.lua",
        "redis.call('HINCRBY', meta_key, fields.SEQ, 0)",
        "",
        ("tests/integration/test_acks.py",),
    ),
    Mutant(
        "a Redis in another epoch acknowledges nothing",
        "app/write/replica_wait.py",
        "if epoch != waiter.epoch or seq < waiter.seq:",
        "if seq < waiter.seq:",
        ("tests/unit/test_replica_wait.py",),
    ),
    Mutant(
        "what the ledger went past without is not in it",
        "app/write/entry_wait.py",
        "waiter.absent -= recorded",
        "waiter.absent.clear()",
        ("tests/unit/test_entry_wait.py",),
    ),
]

RIGHTS = [
    Mutant(
        "a scope covers names and no others",
        "app/access/guard.py",
        "if not principal.may(scope, namespace):",
        "if False:",
        ("tests/unit/test_authorizer.py", "tests/hostile/test_rights.py"),
    ),
    Mutant(
        "a key that lost its right watches no more",
        "app/live/hub.py",
        "                subscriber.viewer.check(current)\n",
        "                pass\n",
        ("tests/unit/test_live_hub.py",),
    ),
]

ANNOUNCEMENTS = [
    Mutant(
        "an announcement that comes later than a greater one is heard, too",
        "lua/announce_change.lua",
        "if number > before - changes_max then",
        "if number > before then",
        ("tests/lua/test_announce_change.py",),
    ),
    Mutant(
        "no name stays behind an erasure",
        "lua/announce_change.lua",
        "redis.call('DEL', changes_key)",
        "redis.call('EXISTS', changes_key)",
        ("tests/lua/test_announce_change.py",),
    ),
    Mutant(
        "a number above what Redis has is taken where Postgres is the older one",
        "app/store/announcements.py",
        "if latest > number:",
        "if False:",
        ("tests/unit/test_announcements.py",),
    ),
    Mutant(
        "a node that was away is compared before it is read again",
        "app/store/node_reader.py",
        "if was_away or any(",
        "if any(",
        ("tests/unit/test_node_reader.py",),
    ),
]

_ELSEWHERE = [*CHAIN, *CRASH, *FORMER_PRIMARY, *JS_CLIENT, *OLDER_POSTGRES]
MUTANTS = [*SCRIPTS, *MODEL, *SERVER, *PERSISTER, *ACKNOWLEDGEMENTS, *RIGHTS, *ANNOUNCEMENTS, *_ELSEWHERE]
