"""What a deleted namespace leaves behind: its ledger, and no archive; nothing works on it any more."""

from typing import Any

import psycopg

from app.store import keys
from tests.support.sealed_namespace import DAY, MONTH, Space
from tests.support.waits import until

LEFT = ("archived_boards", "pending_archive_updates", "seals", "quarantined_grants")
ROWS = "SELECT count(*) FROM {} r JOIN archived_boards a ON a.id = r.archive_id WHERE a.namespace_id = %s"


def left(space: Space, number: int) -> dict[str, int]:
    counts = {table: space.sql(f"SELECT count(*) FROM {table} WHERE namespace_id = %s", number) for table in LEFT}
    counts |= {
        table: space.sql(ROWS.format(table), number)
        for table in ("archive_rows", "archive_revisions", "hidden_archive_users")
    }
    return {table: count for table, ((count,),) in counts.items()}


def test_archives_go_and_the_ledger_stays(own_stack: Any) -> None:
    with own_stack.client() as api:
        gone, stays = Space(own_stack, api, "gone"), Space(own_stack, api, "kept")
        for space in (gone, stays):
            for user, amount in (("ann", 5), ("bob", 3)):
                assert space.grant(user, amount).status_code == 201
            space.put(accept_past=None, amount_max=9, suspicious="quarantine")
            assert space.grant("carl", 10).json()["status"] == "quarantined"
            space.rules |= {"amount_max": 9, "suspicious": "quarantine"}
            space.seal(DAY, MONTH)
        assert api.post("/v1/users/bob/hide").status_code == 200
        number, before = gone.id, left(stays, stays.id)
        counts = left(gone, number)
        assert counts == before
        assert all(counts[table] for table in counts if table != "pending_archive_updates")
        todo = (
            "INSERT INTO pending_archive_updates SELECT %s, %s, 1, partition, 99 FROM namespaces "
            "WHERE id = %s RETURNING 1"
        )
        own_stack.kill("persist")
        with psycopg.connect(own_stack.postgres.url) as db:
            db.execute(todo, (number, DAY, number))
        assert api.delete("/v1/namespaces/gone?confirm=gone").status_code == 204
        own_stack.start("persist")
        until(lambda: not any(left(gone, number).values()), "something of its archives is left")
        entries = "SELECT count(*) FROM ledger WHERE namespace_id = %s AND kind = 'grant'"
        assert gone.sql(entries, number) == [(3,)]
        assert left(stays, stays.id) == before
        assert stays.scores() == {"ann": 5}
        ((orphans,),) = gone.sql(
            "SELECT count(*) FROM hidden_archive_users WHERE archive_id NOT IN (SELECT id FROM archived_boards)"
        )
        assert orphans == 0


def test_nothing_is_healed_in_it(own_stack: Any) -> None:
    """Two namespaces of a partition; a duplicate in each is to be taken back, and the first is deleted before."""
    with own_stack.client() as api, own_stack.store() as direct:
        gone, stays = (Space(own_stack, api, name, group="one") for name in ("gone", "kept"))
        for space in (gone, stays):
            assert space.grant("ann", 5).status_code == 201
        own_stack.wait_flushed()
        assert api.delete("/v1/namespaces/gone?confirm=gone").status_code == 204
        places = stays.sql("SELECT partition, epoch, seq, namespace_id FROM ledger WHERE kind = 'grant' ORDER BY seq")
        with psycopg.connect(own_stack.postgres.url) as db:
            for p, epoch, seq, namespace_id in places:
                ((_, fields),) = direct.xrange(keys.log(p), f"{epoch}-{seq}", f"{epoch}-{seq}")
                letter = p, epoch, seq, namespace_id, fields[b"e"]
                db.execute("INSERT INTO dead_letters VALUES (%s, %s, %s, %s, 'duplicate', %s)", letter)
        healed = "SELECT healed_seq IS NOT NULL FROM dead_letters ORDER BY seq"
        until(lambda: any(row == (True,) for row in stays.sql(healed)), "the duplicate that can be is not taken back")
        assert (stays.scores("all"), stays.sql(healed)) == ({"ann": 0}, [(False,), (True,)])
