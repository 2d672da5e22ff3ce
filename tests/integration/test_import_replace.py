"""`leaderboard import --replace` edits what differs; `--users` brings in names and who is hidden."""

import json
from pathlib import Path
from typing import Any

import httpx

from tests.support.checked_deployment import verify
from tests.support.import_run import import_here, scores

HEAD = "grant_id,user_id,amount,category,granted_at"


def test_what_differs_is_edited(live_server: Any, api: httpx.Client, space: str, tmp_path: Path) -> None:
    api.put(f"/v1/namespaces/{space}", json={"accept_past": "P7D", "category_boards": True})
    path = tmp_path / "rows.csv"
    rows = [f"g{i},u{i},{i},a,2019-01-0{i}T00:00:00Z" for i in range(1, 6)]
    path.write_text("\n".join([HEAD, *rows]))
    assert import_here(live_server, path, "--namespace", space).counts["new"] == 5
    rows[1] = "g2,u2,20,,2018-12-31T00:00:00Z"
    rows[2] = "g3,somebody,3,a,2019-01-03T00:00:00Z"
    path.write_text("\n".join([HEAD, *rows]))
    first = import_here(live_server, path, "--namespace", space)
    assert (first.code, first.counts["refused"], scores(api, space)["u2"]) == (1, 2, 2)
    done = import_here(live_server, path, "--namespace", space, "--replace")
    assert done.lines[:2] == [
        "5 rows: 0 new, 3 there already, 1 edited, 1 refused",
        "  grant_conflict: 1, first in line 4: belongs to 'u3' there, and no edit changes that: void it first",
    ]
    assert scores(api, space) == {"u1": 1, "u2": 20, "u3": 3, "u4": 4, "u5": 5}
    live_server.wait_flushed()
    edited = api.get(f"/v1/namespaces/{space}/grants/g2").json()
    assert (edited["category"], edited["granted_at"]) == (None, "2018-12-31T00:00:00Z")
    again = import_here(live_server, path, "--namespace", space, "--replace")
    assert again.lines[0] == "5 rows: 0 new, 4 there already, 1 refused"
    assert verify(live_server, space) == (0, [])


def test_another_meta_is_told_and_none_is_no_other(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows.ndjson"
    rows = [{"grant_id": f"g{i}", "user_id": "ann", "amount": i, "meta": {"lap": i, "at": [1.0, 2]}} for i in (1, 2, 3)]
    path.write_text("\n".join(map(json.dumps, rows)))
    assert import_here(live_server, path, "--namespace", space).counts["new"] == 3
    rows[0] |= {"meta": {"at": [1, 2], "lap": 1}, "amount": 10}
    rows[1] |= {"meta": {"lap": 3}, "amount": 20}
    rows[2] = {"grant_id": "g3", "user_id": "ann", "amount": 30}
    path.write_text("\n".join(map(json.dumps, rows)))
    done = import_here(live_server, path, "--namespace", space, "--replace")
    assert done.lines[:2] == [
        "3 rows: 0 new, 0 there already, 2 edited, 1 refused",
        "  grant_conflict: 1, first in line 2: has another meta there, and no edit changes that: void it first",
    ]
    assert scores(api, space) == {"ann": 10 + 2 + 30}


def test_only_an_admin_corrects_many_behind_the_bound(live_server: Any, api: httpx.Client, space: str) -> None:
    headers = {"authorization": f"Bearer {live_server.new_key('write:*')}"}
    body = [{"op": "edit", "grant_id": "g", "amount": 1}]
    answer = api.post(f"/v1/namespaces/{space}/corrections?backfill=true", json=body, headers=headers)
    assert answer.json()["code"] == "forbidden"


def test_users_come_with_names_and_hidden_ones_stay_hidden(
    live_server: Any, api: httpx.Client, space: str, tmp_path: Path
) -> None:
    users, grants = tmp_path / "users.ndjson", tmp_path / "rows.csv"
    rows = [
        {"user_id": "ann", "display_name": "Ann A.", "opt_out": False},
        {"user_id": "bob", "display_name": "Bob B.", "hidden": True},
        {"user_id": "cleo", "opt_out": True, "note": "nobody needs it"},
    ]
    users.write_text("\n".join(map(json.dumps, rows)))
    grants.write_text("user_id,amount\nann,1\nbob,2\ncleo,3\n")
    done = import_here(live_server, grants, "--users", users, "--namespace", space)
    assert done.lines == ["3 users, 0 refused", "3 rows: 3 new, 0 there already, 0 refused"]
    board = api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"]
    assert [(entry["user_id"], entry["display_name"]) for entry in board] == [("ann", "Ann A.")]
    users.write_text("user_id,hidden\nann,maybe\n,true\n")
    bad = import_here(live_server, "--users", users, "--namespace", space)
    assert (bad.code, bad.lines) == (1, ["0 users, 2 refused"])
    assert "invalid: 1, first in line 2: hidden 'maybe' is neither true nor false" in bad.stderr
    users.write_text("nick;Nutzer\nBert;bob\n")
    flags = ("--users", users, "--namespace", space, "--map", "user_id=Nutzer", "--map", "display_name=nick")
    assert import_here(live_server, *flags, "--dry-run").lines == ["1 user would be sent, 0 refused"]
    assert api.get(f"/v1/namespaces/{space}/users/bob").json()["display_name"] == "Bob B."
    assert import_here(live_server, *flags).lines == ["1 user, 0 refused"]
    assert api.get(f"/v1/namespaces/{space}/users/bob").json()["display_name"] == "Bert"
    assert "'amount' is none of user_id" in import_here(live_server, *flags, "--map", "amount=x").stderr
