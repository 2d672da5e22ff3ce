"""What a release has written, later ones read: released migrations, entries of the log, names of fields in Redis.

What a release adds is added here with it (docs/decisions/0094-data-outlives-a-release.md).
"""

from hashlib import sha256
from pathlib import Path

import msgspec

from app.model.entry import LogEntry, PlannedEntry
from app.model.grant import Grant, plan
from app.model.ledger_chain import LedgerChain
from app.model.namespace import Namespace, Rules
from app.persist.ledger_row import LedgerRow, unpack
from app.persist.row_chain import chain_records
from app.store import fields

_AT = 1_790_000_000_000_000
MIGRATIONS = Path(__file__).parents[2] / "app/store/migrations"
#: By the name of a file, the beginning of its digest.
RELEASED_MIGRATIONS: dict[str, str] = {
    "0001.deployment.sql": "6b534ec6d4ee0d04",
    "0002.ledger_by_partition.sql": "dadaf2c127f1193b",
    "0003.time_buckets.sql": "5fb8cd2a55d3b576",
    "0004.archives.sql": "f60ba09d0e28cfa1",
    "0005.visibility.sql": "87e6d823f4b54511",
    "0006.persisters.sql": "410260ee1982e26d",
    "0007.lost_cells.sql": "6b3b98e7e4d37efe",
}
#: An entry with every field, and one with the fewest, as 0.2.0 packed them.
FULL = LogEntry(
    kind="correction",
    namespace_id=7,
    user="ann",
    grant_id="g1",
    revision=2,
    entry_amount=0,
    live_delta=-1,
    category="red",
    source="race",
    source_id="r1",
    action="win",
    session_id="s1",
    granted_at=1_790_000_000_000_000,
    windows=("all", "2026-09"),
    meta=b'{"a":1}',
    new_amount=5,
    voided=True,
    verb="void",
    reason="why",
    actor="key",
    idempotency_key="i1",
    day="2026-09-21",
    request_digest=b"d",
    batch="b1",
    original=(1, 2, 3),
)
PACKED_FULL = (
    "dc0019aa636f7272656374696f6e07a3616e6ea267310200ffa3726564a472616365a27231a377696ea27331cf00065bfeda"
    "25e00092a3616c6ca7323032362d3039c4077b2261223a317d05c3a4766f6964a3776879a36b6579a26931aa323032362d30"
    "392d3231c40164a2623193010203"
)
RELEASED_FIELDS = frozenset(
    {
        "#boards",
        "#categories",
        "#has_hidden",
        "#log",
        "#sources",
        "#users",
        "asides",
        "at",
        "begins_after:",
        "broken",
        "c:",
        "changes",
        "checked",
        "cleared_version",
        "clock",
        "closed",
        "complete_since:",
        "corrected",
        "count",
        "epoch",
        "epoch_begins_after",
        "flushed",
        "format",
        "g",
        "generations",
        "h:",
        "has_hidden",
        "id",
        "key_proof",
        "last",
        "newest_began",
        "partitions",
        "profiles",
        "progress",
        "r:",
        "rebuilt",
        "recovered",
        "s:",
        "seq",
        "state_recorded",
        "state_version",
        "t:",
        "total",
        "v:",
        "x:",
    }
)


def test_a_released_migration_is_never_edited() -> None:
    files = {path.name: sha256(path.read_bytes()).hexdigest()[:16] for path in MIGRATIONS.glob("*.sql")}
    assert {name: files.get(name) for name in RELEASED_MIGRATIONS} == RELEASED_MIGRATIONS


def test_an_entry_of_an_earlier_release_is_read() -> None:
    """The places of its fields are the same; one that was added since has its default."""
    assert unpack(bytes.fromhex(PACKED_FULL)) == FULL
    few = unpack(msgspec.msgpack.encode(msgspec.msgpack.decode(bytes.fromhex(PACKED_FULL))[:15]))
    assert (few.original, few.opening) == (None, False)


def _planned(opening: bool) -> PlannedEntry:
    amount, at = msgspec.Raw(b"5"), msgspec.Raw(b'"2026-09-21T10:00:00Z"')
    grant = Grant("g1", "ann", amount, category="red", granted_at=at, opening=opening)
    return plan(grant, Namespace(7, "n", 0, 1, Rules(accept_past=None)), _AT)


def _hash_of_row(entry: PlannedEntry, body: LogEntry) -> bytes:
    row = LedgerRow(0, 1, 2, entry.content, entry.log_bytes, _AT, 5, 5, False, body)
    return chain_records(LedgerChain(b"key"), 0, bytes(16), [row], {"ann": 1})[1]


def test_a_grant_has_the_digest_and_its_row_the_hash_that_0_2_0_made() -> None:
    """So a retry is known across releases, and an old chain of hashes goes on."""
    entry = _planned(opening=False)
    assert entry.content.hex() == "88fdfc6779bee02dc2909b0bdd063de8"
    assert _hash_of_row(entry, entry.body).hex() == "db3b92e942dc4a3d1c3f76cbe317b666"


def test_what_was_added_since_is_covered_where_it_is_true() -> None:
    entry = _planned(opening=True)
    assert entry.content != _planned(opening=False).content
    unmarked = msgspec.structs.replace(entry.body, opening=False)
    assert _hash_of_row(entry, unmarked) != _hash_of_row(entry, entry.body)


def test_an_entry_of_a_later_release_is_read() -> None:
    """A field that this one does not know is passed over."""
    later = [*msgspec.msgpack.decode(msgspec.msgpack.encode(FULL)), "new"]
    assert unpack(msgspec.msgpack.encode(later)) == FULL


def test_fields_in_redis_keep_their_names() -> None:
    names = {value for name, value in vars(fields).items() if name.isupper()}
    assert names >= RELEASED_FIELDS
