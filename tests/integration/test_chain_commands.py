"""`leaderboard verify --chain` and `leaderboard chain head`, on what real parts wrote."""

from pathlib import Path

import psycopg

from tests.conftest import Stack


def test_an_end_that_was_kept_elsewhere_shows_what_was_written_anew(own_stack: Stack, tmp_path: Path) -> None:
    with own_stack.client() as api:
        api.put("/v1/namespaces/race", json={}).raise_for_status()
        grants = [{"grant_id": f"g{i}", "user_id": "otter", "amount": 1, "session_id": "s"} for i in range(5)]
        api.post("/v1/namespaces/race/grants", json=grants).raise_for_status()
        own_stack.wait_flushed()
        api.delete("/v1/namespaces/race/grants/g1", params={"reason": "twice"}).raise_for_status()
        own_stack.wait_flushed()
    key, heads = tmp_path / "key", tmp_path / "heads"
    key.write_bytes(b"k" * 32)
    head = own_stack.run("chain", "head", "--key", str(key))
    assert (head.returncode, head.stderr) == (0, "")
    heads.write_text(head.stdout)
    compare = ("verify", "--chain", "--anchor", str(heads), "--key", str(key))
    whole = own_stack.run(*compare)
    assert (whole.returncode, whole.stdout) == (0, "ok: walked 6 rows, and nothing was changed since it was written\n")
    assert "of 6 rows checked" in whole.stderr

    with psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        ((p,),) = db.execute("SELECT partition FROM namespaces").fetchall()
        ((epoch,),) = db.execute("SELECT epoch FROM ledger WHERE grant_id = 'g3'").fetchall()
        db.execute("UPDATE ledger SET amount = 2 WHERE grant_id = 'g3'")
        changed = own_stack.run(*compare, "--quiet")
        assert (changed.returncode, changed.stdout) == (1, f"ledger, partition {p}: {epoch}-4: the row was changed\n")
        db.execute("UPDATE ledger SET amount = 1 WHERE grant_id = 'g3'")
        db.execute("UPDATE partitions SET chain_mac = 'x' WHERE partition = %s", (p,))
        refused = own_stack.run("chain", "head")
        assert (refused.returncode, refused.stdout) == (1, "")
        assert refused.stderr == f"leaderboard: partition {p}: its head was changed: see leaderboard verify --chain\n"

    heads.write_text(head.stdout.replace('"seq":6', '"seq":5'))
    forged = own_stack.run(*compare)
    assert (forged.returncode, forged.stdout) == (1, "")
    assert forged.stderr == f"leaderboard: {heads}: its hmac is not made with this key, or the text was changed\n"
    key.write_bytes(b"short")
    assert own_stack.run(*compare).stderr == f"leaderboard: {key}: must hold 32 or more bytes\n"
    own_stack.extra["LEADERBOARD_DIGEST_KEY"] = "another key of 32 characters or more"
    other = own_stack.run("verify", "--chain")
    assert (other.returncode, other.stdout) == (2, "")
    assert "LEADERBOARD_DIGEST_KEY: is not the digest key of deployment" in other.stderr
