"""`leaderboard verify` on real parts: it finds what was planted by name, and nothing where nothing is wrong."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.embedded import ValkeyProcess, free_port
from app.model.score import UNITS_MAX
from app.store import keys
from tests.support.checked_deployment import Checked, verify
from tests.support.planted_ledger_faults import LEDGER_FAULTS
from tests.support.planted_redis_faults import REDIS_FAULTS
from tests.support.random_writers import Writers
from tests.support.sealed_namespace import DAY as SEALED
from tests.support.sealed_namespace import Space
from tests.support.waits import until

SINCE = datetime.now(UTC).isoformat()


@pytest.fixture
def checked(own_stack: Any) -> Iterator[Checked]:
    with own_stack.client() as client, own_stack.store() as direct:
        yield Checked(own_stack, client, direct)


def test_nothing_is_found_where_nothing_is_wrong(checked: Checked) -> None:
    done = checked.stack.run("verify")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("ok: ")
    assert done.stdout.endswith("numbers in 1 namespace, and nothing differs from the ledger\n")
    assert done.stderr.splitlines()[-1] == "8 of 8 users compared, at n"
    assert checked.verify() == (0, [])


def test_grants_whose_sum_no_integer_of_64_bits_holds_are_verified(checked: Checked) -> None:
    """Of a best score nothing is added up."""
    assert checked.client.put("/v1/namespaces/best", json={"aggregation": "best"}).status_code == 201
    lines = (f'{{"grant_id":"g{i}","user_id":"ann","amount":{UNITS_MAX}}}' for i in range(9_500))
    headers = {"Content-Type": "application/x-ndjson"}
    answer = checked.client.post("/v1/namespaces/best/grants", content="\n".join(lines), headers=headers, timeout=60)
    assert answer.json()["applied"] == 9_500
    checked.stack.wait_flushed()
    assert checked.verify() == (0, [])


@pytest.mark.long
@pytest.mark.timeout(300)
def test_each_planted_fault_is_named(checked: Checked) -> None:
    """One after the other; mended, nothing of it is found any more."""
    for fault in (*REDIS_FAULTS, *LEDGER_FAULTS):
        named = fault.plant(checked)
        code, lines = checked.verify()
        assert code == 1, fault.name
        assert any(line.startswith(named) for line in lines), (fault.name, named, lines)
        checked.mend()
    assert checked.verify() == (0, [])


@pytest.mark.timeout(120)
def test_open_heals_are_named_and_nothing_else_for_them(own_stack: Any, checked: Checked) -> None:
    own_stack.stop("persist")
    own_stack.extra["LEADERBOARD_CHORES_S"] = "3600"  # at the start, and then not before the test is over
    own_stack.start("persist")
    for i in range(2):  # The pass that writes the second one comes behind the chores.
        body = {"grant_id": f"z{i}", "user_id": "zoe", "amount": 1}
        assert checked.client.post("/v1/namespaces/n/grants", json=body).status_code == 201
        own_stack.wait_flushed()
    checked.direct.delete(keys.dedup(checked.p, 1))
    body = {"grant_id": "g4", "user_id": "dora", "amount": 4, "source": "race", "granted_at": SINCE}
    again = checked.client.post("/v1/namespaces/n/grants", json=body).json()
    assert (again["status"], again["score"]) == ("applied", 8)
    own_stack.wait_flushed()
    what = f"the duplicate {again['epoch']}-{again['seq']} of 'dora' is not taken back yet"
    assert checked.verify() == (1, [f"n: {what}: a persister takes it back"])
    own_stack.stop("persist")
    own_stack.extra["LEADERBOARD_CHORES_S"] = "0.5"
    own_stack.start("persist")
    until(lambda: checked.verify() == (0, []), "it is not taken back")


@pytest.mark.timeout(120)
def test_archives_are_compared_and_what_was_sealed_is_not_missed(own_stack: Any) -> None:
    with own_stack.client() as client:
        space = Space(own_stack, client, "n", category_boards=True, tie_break="earliest", ranking="dense")
        for user, amount in (("ann", 5), ("bob", 3), ("ann", 2)):
            assert space.grant(user, amount, category="red").status_code == 201
        space.seal(SEALED)
        assert client.delete("/v1/namespaces/n/grants/g1").status_code == 200
        space.wait_for(SEALED, {"bob": 3, "ann": 2})
        own_stack.wait_flushed()
        done = own_stack.run("verify", "--quiet")
        assert (done.returncode, done.stdout) == (0, "")
        space.sql(
            "UPDATE archive_rows SET sort_key = sort_key + 1 WHERE position = 1 AND archive_id = (SELECT "
            "min(id) FROM archived_boards)"
        )
        done = own_stack.run("verify", "--quiet")
        assert (done.returncode, done.stdout[:12]) == (1, "n, archive: "), done.stdout


@pytest.mark.timeout(240)
def test_nothing_is_found_under_writes(own_stack: Any) -> None:
    """Users are hidden and shown and windows sealed all the time, too; the last run is of what all of that came to."""
    with Writers(own_stack):
        for _ in range(4):
            done = own_stack.run("verify", "--quiet")
            assert (done.returncode, done.stdout.splitlines()[:20], done.stderr) == (0, [], "")
    own_stack.wait_flushed()
    done = own_stack.run("verify", "--quiet")
    assert (done.returncode, done.stdout) == (0, "")
    with psycopg.connect(own_stack.postgres.url) as db:
        rows = db.execute("SELECT count(*), max(revision) FROM archived_boards").fetchall()
    assert rows[0][0] > 2, "windows were sealed"
    assert rows[0][1] > 2, "their archives followed"


def test_a_redis_behind_the_ledger_is_reported_first(own_stack: Any, checked: Checked) -> None:
    meta, log = keys.meta(checked.p), keys.log(checked.p)
    own_stack.wait_flushed()
    own_stack.stop("persist")
    own_stack.stop("serve")
    seq = int(checked.direct.hget(meta, "seq"))
    ((place, _),) = checked.direct.xrevrange(log, count=1)
    assert own_stack.run("checkconfig").stdout == "ok\n"
    end, epoch = place.decode(), place.partition(b"-")[0].decode()
    breaks: list[tuple[Callable[[], object], str]] = [
        (lambda: checked.direct.hset(meta, "seq", seq - 1), f"Redis ends at {epoch}-{seq - 1}, the ledger at {end}"),
        (lambda: checked.direct.xdel(log, place), f"its log in Redis does not hold {end} as the ledger does"),
        (lambda: checked.direct.delete(meta), "Redis lost its head"),
    ]
    for break_it, text in breaks:
        break_it()
        code, lines = checked.verify()
        assert (code, lines[0].split(": ", 1)[0]) == (1, f"partition {checked.p}"), lines
        assert text in lines[0]
        assert not any(line.startswith("n:") for line in lines), "no board of it is compared"
        config = own_stack.run("checkconfig")
        assert (config.returncode, text in config.stderr) == (1, True), config
        checked.direct.hset(meta, "seq", seq)
    checked.direct.flushall()
    for command in ("verify", "checkconfig"):
        done = own_stack.run(command)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done
        assert "run leaderboard rebuild, if it is the right one" in done.stderr


@pytest.mark.own_valkey
def test_checkconfig_names_all_faults_of_the_stores_each_on_its_line(own_stack: Any) -> None:
    own_stack.stop("persist")
    own_stack.stop("serve")
    with own_stack.store() as direct:
        direct.config_set("maxmemory-policy", "allkeys-lru")
        direct.config_set("appendfsync", "everysec")
        direct.config_set("no-appendfsync-on-rewrite", "yes")
        for p in (3, 5):
            direct.delete(keys.meta(p))
    done = own_stack.run("checkconfig")
    lines = done.stderr.splitlines()
    assert (done.returncode, done.stdout, len(lines)) == (1, "", 4), done
    lost = "partitions 3, 5: Redis lost its head, lb:{N}:meta: run leaderboard rebuild --partition N (for each N)"
    begins = (
        "Redis has maxmemory-policy allkeys-lru",
        "Redis has appendfsync everysec",
        "Redis has no-appendfsync-on-rewrite",
        lost,
    )
    assert all(line.startswith(f"leaderboard: {begin}") for line, begin in zip(lines, begins, strict=True)), lines


def test_a_node_of_a_cluster_is_refused_by_name(own_stack: Any, tmp_path: Path) -> None:
    port = free_port()
    node = ValkeyProcess(tmp_path / "node", port, options={"cluster-enabled": "yes", "cluster-port": str(free_port())})
    node.start()
    try:
        own_stack.extra["LEADERBOARD_REDIS_URL"] = f"redis://127.0.0.1:{port}"
        done = own_stack.run("checkconfig")
    finally:
        node.kill()
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("leaderboard: Redis runs in cluster mode")


def test_a_postgres_that_is_away_is_one_line(own_stack: Any) -> None:
    own_stack.extra["LEADERBOARD_POSTGRES_URL"] = "postgresql://some:Secret-canary@127.0.0.1:1/leaderboard"
    for command in (["migrate"], ["verify"], ["checkconfig"], ["keys", "list"], ["dead-letters", "list"]):
        done = own_stack.run(*command)
        assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1), done
        assert done.stderr.startswith("leaderboard: Postgres does not answer at 127.0.0.1:1 (LEADERBOARD_POSTGRES_URL)")
        assert "canary" not in done.stderr


def test_some_namespaces_can_be_verified_alone(checked: Checked) -> None:
    assert checked.client.put("/v1/namespaces/other", json={}).status_code == 201
    body = {"grant_id": "g", "user_id": "ann", "amount": 1}
    assert checked.client.post("/v1/namespaces/other/grants", json=body).status_code == 201
    checked.stack.wait_flushed()
    checked.direct.zadd(checked.key(keys.board), {checked.member("bob"): 77})
    assert verify(checked.stack, "other") == (0, [])
    for names in (("n",), ("other", "n"), ()):
        code, lines = verify(checked.stack, *names)
        assert (code, [line.startswith("n: ") for line in lines]) == (1, [True] * len(lines)), names
    done = checked.stack.run("verify", "--namespace", "nobody", "--namespace", "n")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1] == "leaderboard: there is no namespace 'nobody'"
