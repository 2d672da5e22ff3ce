"""Sealing on real parts: closed windows leave Redis, read as before, and follow what an admin lets in behind them."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from websockets.sync.client import connect

from app.model.namespace import partition_of
from app.store import keys
from tests.support.sealed_namespace import DAY, MONTH, OLD, RULES, TODAY, VIEWS, Space
from tests.support.waits import until


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_a_sealed_window_reads_as_it_did(
    live_server: Any, api: httpx.Client, names: Any, direct: Any, rules: dict[str, Any]
) -> None:
    space = Space(live_server, api, names.fresh(), **rules)
    for user, amount in (("dora", 3), ("bob", 3), ("ann", 5), ("cleo", 3), ("bob", 2), ("dora", 0), ("é/:*", 1)):
        assert space.grant(user, amount, category=f"c{amount % 2}").status_code == 201
    assert space.api.delete(f"{space.url}/grants/g3").status_code == 200
    views = [(w, v) for w in (DAY, MONTH) for v in VIEWS]
    if rules.get("category_boards"):
        views += [(DAY, "category=c0&limit=9"), (DAY, "category=c1&limit=2"), (DAY, "category=none")]
    before = [space.board(*view) for view in views]
    cursors = [text["next_cursor"] for text in before[:2]]
    pages = [space.board(DAY, f"limit=2&cursor={cursor}") for cursor in cursors]
    space.seal(DAY, MONTH)
    assert space.keys_of(direct, DAY) == space.keys_of(direct, MONTH) == []
    if rules.get("category_boards"):
        # All boards of an archived window have one version, the highest that one of them had.
        for window in (DAY, MONTH):
            answers = [board for (name, _), board in zip(views, before, strict=True) if name == window]
            highest = max(board["version"] for board in answers)
            for board in answers:
                board["version"] = highest
    assert [space.board(*view) for view in views] == before
    assert [space.board(DAY, f"limit=2&cursor={cursor}") for cursor in cursors] == pages
    assert space.board("all")["total"] == 4


def test_only_an_admin_reaches_behind_a_seal(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh())
    space.grant("ann", 5)
    space.seal(DAY)
    space.put(accept_past=None)
    refused = space.grant("bob", 7)
    assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
        422,
        "window_closed",
        "$.granted_at",
    )
    writer = live_server.new_key("write:*")
    body = {"grant_id": "g2", "user_id": "bob", "amount": 7, "granted_at": OLD.isoformat()}
    headers = {"authorization": f"Bearer {writer}"}
    assert api.post(f"{space.url}/grants?backfill=true", json=body, headers=headers).json()["code"] == "forbidden"
    assert space.scores("all") == {"ann": 5}
    let_in = api.post(f"{space.url}/grants?backfill=true", json=body)
    assert (let_in.status_code, let_in.json()["score"]) == (201, 7)
    assert space.scores("all") == {"bob": 7, "ann": 5}
    space.wait_for(DAY, {"bob": 7, "ann": 5})
    assert api.post(f"{space.url}/grants", json=body).json()["status"] == "duplicate"
    revisions = """SELECT r.revision, r.board_size FROM archive_revisions r JOIN archived_boards a ON a.id = archive_id
                   WHERE a.namespace_id = %s AND board = %s ORDER BY r.revision"""
    assert space.sql(revisions, space.id, DAY) == [(1, 1), (2, 2)]


def test_backfill_takes_what_is_older_than_the_bound(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), velocity=[{"per": "PT1M", "max_grants": 1}])
    space.put(accept_past="P7D")
    assert space.grant("ann", 5).json()["code"] == "granted_at_range"
    assert space.grant("ann", 5, query="?backfill=true").status_code == 201
    assert space.grant("ann", 5, query="?backfill=true").status_code == 201
    late = TODAY + timedelta(days=30)
    assert space.grant("ann", 5, at=late, query="?backfill=true").json()["code"] == "granted_at_range"
    assert space.grant("ann", 5, query="?backfill=maybe").json()["field"] == "?backfill"


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_corrections_behind_a_seal_make_revisions(
    live_server: Any, api: httpx.Client, names: Any, rules: dict[str, Any]
) -> None:
    """Twice the same: in a namespace that is sealed in between, and in one that never is."""
    sealed, open_ = (Space(live_server, api, names.fresh(), **rules) for _ in range(2))
    later = OLD + timedelta(days=1)
    for space in (sealed, open_):
        for user, amount in (("ann", 5), ("bob", 3), ("ann", 2), ("cleo", 3), ("dora", 4)):
            assert space.grant(user, amount, category=f"c{amount % 2}").status_code == 201
    sealed.seal(DAY, MONTH)
    for space in (sealed, open_):
        query = "?backfill=true"
        calls = [
            space.grant("bob", 3, query=query, category="c1"),
            api.delete(f"{space.url}/grants/g1"),
            api.patch(f"{space.url}/grants/g4", json={"amount": 5}),
            api.patch(f"{space.url}/grants/g4", json={"category": "new"}),
            api.post(f"{space.url}/grants/g1/restore"),
            space.grant("eve", 9, query=query),
            api.delete(f"{space.url}/grants/g5"),
            space.grant("finn", 1, at=later, query=query),
            api.post(f"{space.url}/corrections", json=[{"op": "edit", "grant_id": "g7", "amount": 3}]),
        ]
        assert {call.status_code for call in calls} <= {200, 201}, [call.text for call in calls]
    live_server.wait_flushed()
    day = f"{later:%Y-%m-%d}"
    views = [(window, view) for window in ("all", DAY, day, MONTH) for view in VIEWS]
    if rules.get("category_boards"):
        views += [(DAY, f"category={category}&limit=9") for category in ("c0", "c1", "new")]

    def board_of(space: Space) -> list[Any]:
        fields = ("total", "entries", "missing", "status", "code")
        return [{name: board.get(name) for name in fields} for board in (space.board(*view) for view in views)]

    expected = board_of(open_)
    until(lambda: board_of(sealed) == expected, f"{board_of(sealed)}\n{expected}")
    assert DAY in sealed.archived()
    assert open_.archived() == set()
    balances = [space.api.get(f"{space.url}/users/bob").json() for space in (sealed, open_)]
    assert balances[0]["score"] == balances[1]["score"]


def test_an_edit_moves_a_grant_out_of_a_closed_window(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh())
    for user in ("ann", "bob"):
        space.grant(user, 5)
    space.seal(DAY, MONTH)
    moved = api.patch(f"{space.url}/grants/g1", json={"granted_at": (TODAY - timedelta(days=1)).isoformat()})
    assert moved.status_code == 200, moved.text
    space.wait_for(DAY, {"bob": 5})
    space.wait_for(MONTH, {"bob": 5})
    assert space.scores(f"{TODAY - timedelta(days=1):%Y-%m-%d}") == {"ann": 5}


def test_a_dry_run_tells_of_closed_windows(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    for user, amount in (("ann", 5), ("bob", 3)):
        space.grant(user, amount)
    space.seal(DAY)
    ops = api.patch(f"{space.url}/grants/g2?dry_run=true", json={"amount": 6}).json()["moves"]
    assert [(m["window"], m["previous_score"], m["score"], m["previous_rank"], m["rank"]) for m in ops] == [
        ("all", 3, 6, 2, 1),
        (DAY, 3, 6, 2, 1),
    ]


def test_a_board_that_differs_from_the_ledger_stays(
    live_server: Any, api: httpx.Client, names: Any, direct: Any
) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    for user, amount in (("ann", 5), ("bob", 3)):
        space.grant(user, amount)
    (key,) = [key for key in space.keys_of(direct, DAY) if b":b:" in key]
    direct.zadd(key, {"bob": 4})
    space.put(accept_past="P7D")
    until(lambda: space.sql("SELECT 1 FROM seals WHERE namespace_id = %s", space.id), "the window is not closed")
    until(lambda: "differs from the ledger" in (live_server.folder / "persist.log").read_text(), "nobody says so")
    assert space.scores() == {"ann": 5, "bob": 4}
    assert space.archived() == set()
    direct.zadd(key, {"bob": 3})
    until(lambda: space.archived() == {DAY}, "it is not looked at again")
    assert space.scores(query="limit=999") == {"ann": 5, "bob": 3}, "no version tells of what a hand has changed"


def test_a_duplicate_that_was_sealed_in_is_taken_out_again(
    live_server: Any, api: httpx.Client, names: Any, direct: Any
) -> None:
    """seen forgot a grant, the board counted it twice, and its window is sealed before the ledger can say so."""
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    space.grant("ann", 5)
    live_server.wait_flushed()
    (key,) = [key for key in space.keys_of(direct, DAY) if b":b:" in key]
    p = int(key.split(b"}")[0].split(b"{")[1])
    for generation in direct.hget(keys.meta(p), "generations").decode().split(","):
        direct.delete(keys.dedup(p, generation))
    space.count = 0
    assert space.grant("ann", 5).json()["score"] == 10
    space.seal(DAY)
    assert space.scores("all") == space.scores() == {"ann": 5}


def test_a_season_is_sealed_with_its_categories(live_server: Any, api: httpx.Client, names: Any) -> None:
    ends = OLD + timedelta(days=1)
    season = {"name": "s1", "starts": (OLD - timedelta(days=9)).isoformat(), "ends": ends.isoformat()}
    space = Space(live_server, api, names.fresh(), seasons=[season], category_boards=True)
    for user, amount in (("ann", 5), ("bob", 3)):
        space.grant(user, amount, category="red")
    before = [space.board("season:s1"), space.board("season:s1", "category=red")]
    space.seal("season:s1")
    assert [space.board("season:s1"), space.board("season:s1", "category=red")] == before


def test_a_seal_is_an_event(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    space.grant("ann", 5)
    space.seal(DAY)
    events = api.get(f"{space.url}/events?type=window_sealed").json()["events"]
    assert [(event["type"], event["window"]) for event in events] == [("window_sealed", DAY)]


def test_a_window_that_grants_can_reach_stays_open(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    yesterday = TODAY - timedelta(days=1)
    space.grant("ann", 5, at=yesterday)
    space.grant("ann", 5)
    space.seal(DAY)
    assert space.archived() == {DAY}
    assert space.grant("ann", 5, at=yesterday).json()["score"] == 15


def test_who_watches_a_closed_window_sees_its_revisions(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"])
    space.grant("ann", 5)
    space.seal(DAY)
    with connect(live_server.url.replace("http", "ws") + "/v1/live", subprotocols=["leaderboard.v1"]) as socket:  # type: ignore[list-item]
        socket.send(json.dumps({"type": "auth", "token": live_server.key}))
        view = {"kind": "top", "limit": 3}
        socket.send(json.dumps({"type": "subscribe", "id": 1, "namespace": space.name, "window": DAY, "view": view}))
        ready, first = (json.loads(socket.recv(timeout=5)) for _ in range(2))
        assert (ready["type"], first["type"], first["total"]) == ("ready", "snapshot", 1)
        assert first["entries"] == space.board()["entries"]
        space.put(accept_past=None)
        assert space.grant("bob", 7, query="?backfill=true").status_code == 201
        change = json.loads(socket.recv(timeout=10))
        assert (change["type"], change["from"], change["total"]) == ("delta", first["version"], 2)
        assert [(entry["user_id"], entry["rank"]) for entry in change["upsert"]] == [("bob", 1), ("ann", 2)]
    space.wait_for(DAY, {"bob": 7, "ann": 5})


def test_a_revision_writes_what_differs(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), periods=["all", "day"], category_boards=True)
    for i in range(40):
        space.grant(f"user-{i:02}", 10 * i, category=f"c{i % 2}")
    space.seal(DAY)
    sql = """SELECT a.board, u.name, r.ctid::text, a.revision FROM archived_boards a JOIN archive_rows r ON
        r.archive_id = a.id
             JOIN users u ON u.number = r.user_number WHERE a.namespace_id = %s"""
    before = space.sql(sql, space.id)
    assert api.patch(f"{space.url}/grants/g11", json={"amount": 125}).status_code == 200
    expected = {f"user-{i:02}": 10 * i for i in range(40)} | {"user-10": 125}
    space.wait_for(DAY, expected)
    after = space.sql(sql, space.id)
    assert {revision for board, *_, revision in after if board == f"{DAY}:c1"} == {1}, "nothing changed there"
    place_of = {(board, user): place for board, user, place, _ in before}
    moved = {(board, user) for board, user, place, _ in after if place_of[board, user] != place}
    assert moved == {(DAY, f"user-{i}") for i in (10, 11, 12)} | {(f"{DAY}:c0", f"user-{i}") for i in (10, 12)}
    # Who leaves takes no place along.
    assert api.delete(f"{space.url}/grants/g40").status_code == 200
    del expected["user-39"]
    space.wait_for(DAY, expected)
    assert [entry["position"] for entry in space.board()["entries"]] == list(range(1, 40))


def test_only_an_admin_moves_a_grant_behind_a_seal(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh(), category_boards=True)
    space.grant("ann", 5, category="red")
    space.seal(DAY)
    imported = {"grant_id": "late", "user_id": "bob", "amount": 7, "category": "red"}
    assert api.post(f"{space.url}/grants", json=imported).status_code == 201
    path, moved = f"{space.url}/grants/late", {"granted_at": OLD.isoformat()}
    refused = api.patch(path, json=moved)
    assert (refused.status_code, refused.json()["code"]) == (422, "granted_at_range")
    writer = live_server.new_key("write:*")
    headers = {"authorization": f"Bearer {writer}"}
    assert api.patch(f"{path}?backfill=true", json=moved, headers=headers).json()["code"] == "forbidden"
    assert api.patch(f"{path}?backfill=1", json=moved).json()["field"] == "?backfill"
    moves = api.patch(f"{path}?backfill=true&dry_run=true", json=moved).json()["moves"]
    assert f"{DAY}" in [move["window"] for move in moves]
    assert space.scores(DAY) == {"ann": 5}
    assert api.patch(f"{path}?backfill=true", json=moved).json()["status"] == "applied"
    space.wait_for(DAY, {"bob": 7, "ann": 5})
    assert space.scores("all") == {"bob": 7, "ann": 5}
    # And out again, into a day that still runs.
    now = datetime.now(UTC)
    assert api.patch(path, json={"granted_at": now.isoformat()}).json()["status"] == "applied"
    space.wait_for(DAY, {"ann": 5})
    assert space.scores(now.date().isoformat()) == {"bob": 7}


@pytest.mark.own_valkey
def test_open_windows_are_read_from_redis_once(live_server: Any, api: httpx.Client, names: Any, direct: Any) -> None:
    """A namespace's hash may hold very many fields: it is not read again and again for what is due."""
    first, second = (Space(live_server, api, names.fresh(), periods=["all", "day"]) for _ in range(2))
    first.grant("ann", 5)
    first.seal(DAY)
    fields = direct.hgetall(keys.namespace(partition_of(first.name, None, 16), first.id))
    assert [name for name in fields if DAY.encode() in name] == [f"x:{DAY}".encode()]

    # Windows that open later are told by the ledger's rows; each round of chores looks at every namespace.
    later = OLD + timedelta(days=1)
    with live_server.store() as watching, watching.monitor() as seen:
        first.put(accept_past=None)
        assert first.grant("ann", 5, at=later).status_code == 201
        first.seal(f"{later:%Y-%m-%d}")
        second.grant("ann", 5)
        second.seal(DAY)
        direct.echo("the end")
        answers = (line["command"].upper() for line in seen.listen())
        commands = list(iter(lambda: next(answers), "ECHO THE END"))
    reads = [command.split()[:2] for command in commands if command.startswith(("HKEYS", "HSCAN"))]
    reads = [read for read in reads if ":NS:" in read[1]]
    assert [name for name, _ in reads].count("HKEYS") <= 3, "by the three changes of rules alone"
    reads = [read for read in reads if read[0] == "HSCAN"]
    counts = [sum(key.endswith(f":NS:{space.id}") for _, key in reads) for space in (first, second)]
    assert counts == [1, 2], "once for a window that is archived, and once to know what is open"
