"""Users of a namespace found by the beginning of their id or of the name that it shows."""

import base64
from typing import Any

import httpx
import psycopg
import pytest

from app.read import search
from tests.conftest import Names, Stack
from tests.support.live_socket import key
from tests.support.waits import until


@pytest.fixture(scope="module")
def world(live_server: Stack) -> str:
    """A public namespace, and one beside it with users who begin alike."""
    name = Names().fresh()
    grants = {
        name: ("se-anna", "se-Annb", "se-bob", "se-hid", "se-away", "sx-1", "sx-2", "sx-3"),
        f"{name}-other": ("se-anno", "se-bob"),
    }
    profiles = {"se-bob": "Änne Wide", "sx-1": "ÄNNE One", "sx-2": "Änne Two", "se-hid": "änne hidden"}
    with live_server.client() as api:
        for space, users in grants.items():
            assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).status_code == 201
            bodies = [{"grant_id": user, "user_id": user, "amount": 1} for user in users]
            assert api.post(f"/v1/namespaces/{space}/grants", json=bodies).json()["rejected"] == 0
        for user, shown in profiles.items():
            assert api.put(f"/v1/users/{user}", json={"display_name": shown}).status_code == 200
        own = f"/v1/namespaces/{name}/users"
        assert api.put(f"{own}/sx-2", json={"display_name": "Zoë"}).status_code == 200
        assert api.put(f"{own}/se-new", json={"display_name": "No Grant"}).status_code == 200
        assert api.post(f"{own}/se-hid/hide").status_code == 200
        assert api.post("/v1/users/se-away/hide").status_code == 200
    live_server.wait_flushed()
    return name


def matches(client: httpx.Client, space: str, q: str, **query: Any) -> list[str]:
    answer = client.get(f"/v1/namespaces/{space}/users", params={"q": q, **query})
    assert answer.status_code == 200, answer.text
    return [user["user_id"] for user in answer.json()["users"]]


def test_by_the_beginning_of_id_or_shown_name(live_server: Stack, world: str) -> None:
    with live_server.client(None) as anyone:
        assert matches(anyone, world, "se-ann") == matches(anyone, world, "SE-ANN") == ["se-anna", "se-Annb"]
        assert matches(anyone, world, "se-") == ["se-anna", "se-Annb", "se-bob"]
        assert matches(anyone, world, "ÄNNE") == ["sx-1", "se-bob"], "a name whatever its case, where it is shown"
        assert matches(anyone, world, "zo") == ["sx-2"]
        assert matches(anyone, f"{world}-other", "änne") == ["se-bob"]
        assert matches(anyone, f"{world}-other", "zo") == []
        body = anyone.get(f"/v1/namespaces/{world}/users", params={"q": "zo"}).json()
        assert body == {
            "users": [{"user_id": "sx-2", "display_name": "Zoë", "avatar": None}],
            "next_cursor": None,
        }


def test_who_is_hidden_or_without_a_grant_is_found_by_those_who_write(live_server: Stack, world: str) -> None:
    with live_server.client(key(live_server, f"read:{world}")) as reader:
        assert matches(reader, world, "se-") == ["se-anna", "se-Annb", "se-bob"]
    with live_server.client(key(live_server, f"write:{world}", f"read:{world}")) as writer:
        assert matches(writer, world, "se-") == ["se-anna", "se-Annb", "se-away", "se-bob", "se-hid", "se-new"]
        users = writer.get(f"/v1/namespaces/{world}/users", params={"q": "se-"}).json()["users"]
        assert [user["user_id"] for user in users if user["hidden"]] == ["se-away", "se-hid"]


def test_pages_hold_each_user_once(live_server: Stack, world: str) -> None:
    with live_server.client() as api:
        for user in ("se-page-1", "se-page-2", "se-page-3", "se-page-4", "se-page-5"):
            api.put(f"/v1/namespaces/{world}/users/{user}", json={"display_name": "se-page too"})
        pages: list[list[str]] = []
        cursor: str | None = ""
        while cursor is not None:
            query: dict[str, Any] = {"q": "se-page", "limit": 2} | ({"cursor": cursor} if cursor else {})
            body = api.get(f"/v1/namespaces/{world}/users", params=query).json()
            pages.append([user["user_id"] for user in body["users"]])
            cursor = body["next_cursor"]
        assert pages == [["se-page-1", "se-page-2"], ["se-page-3", "se-page-4"], ["se-page-5"]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({}, "?q"),
        ({"q": "a"}, "?q"),
        ({"q": "x" * 129}, "?q"),
        ({"q": "a\x00"}, "?q"),
        ({"q": "ab", "limit": 51}, "?limit"),
        ({"q": "ab", "cursor": "!"}, "?cursor"),
        ({"q": "ab", "cursor": "eHg"}, "?cursor"),
        ({"q": "ab", "cursor": "i-1"}, "?cursor"),
        ({"q": "ab", "cursor": "n9223372036854775807"}, "?cursor"),
        ({"q": "ab", "cursor": "i99999999999999999999"}, "?cursor"),
        ({"q": "ab", "x": "1"}, "?x"),
    ],
)
def test_what_cannot_be_looked_for_is_refused(api: httpx.Client, world: str, query: dict[str, Any], field: str) -> None:
    answer = api.get(f"/v1/namespaces/{world}/users", params=query)
    assert (answer.status_code, answer.json()["code"], answer.json()["field"]) == (422, "invalid", field)


def test_what_no_id_can_hold_is_no_pattern(api: httpx.Client, world: str) -> None:
    for q in ("%%", "__", "se%", "\\\\", "''"):
        assert matches(api, world, q) == []


def test_users_elsewhere_cost_nothing(own_stack: Stack) -> None:
    """Others who begin alike are members of other namespaces: a page does not look at them."""
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/race", json={})
        many = search.LOOKED_AT_MAX + 200
        db.execute(
            "INSERT INTO users (name) SELECT 'zz-' || lpad(i::text, 6, '0') FROM generate_series(1, %s) AS i", (many,)
        )
        api.post("/v1/namespaces/race/grants", json={"grant_id": "g", "user_id": "zz-last", "amount": 1})
        own_stack.wait_flushed()
        body = api.get("/v1/namespaces/race/users", params={"q": "zz"}).json()
        assert ([user["user_id"] for user in body["users"]], body["next_cursor"]) == (["zz-last"], None)


def test_a_page_looks_at_so_many_and_goes_on_behind_them(own_stack: Stack, monkeypatch: pytest.MonkeyPatch) -> None:
    """Hidden members who begin alike: a page looks at a bounded number of them, and its cursor passes them."""
    many = search.LOOKED_AT_MAX + 200
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/race", json={"visibility": "public"})
        users = [f"zz-{i:06}" for i in range(many)] + ["zz-last"]
        for some in (users[:1000], users[1000:]):
            grants = [{"grant_id": user, "user_id": user, "amount": 1} for user in some]
            assert api.post("/v1/namespaces/race/grants", json=grants).json()["rejected"] == 0
        own_stack.wait_flushed()
        db.execute(
            "INSERT INTO hidden_users (user_number, opted_out) SELECT number, true FROM users WHERE name < 'zz-9'"
        )
        with own_stack.client(None) as anyone:
            first = anyone.get("/v1/namespaces/race/users", params={"q": "ZZ"}).json()
            assert (first["users"], first["next_cursor"] is None) == ([], False)
            cursor = first["next_cursor"]
            text = base64.urlsafe_b64decode(cursor + "A" * (-len(cursor) % 4)) + cursor.encode()
            assert b"zz-" not in text, "no hidden user's id"
            second = anyone.get("/v1/namespaces/race/users", params={"q": "ZZ", "cursor": cursor}).json()
        assert ([user["user_id"] for user in second["users"]], second["next_cursor"]) == (["zz-last"], None)


def test_older_users_get_rows_in_the_background_and_are_found_meanwhile(own_stack: Stack) -> None:
    """As after an update: nobody has a row, and no persister has begun to write them."""
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/old", json={})
        grants = [{"grant_id": f"old-{i}", "user_id": f"old-{i}", "amount": 1} for i in range(5)]
        assert api.post("/v1/namespaces/old/grants", json=grants).json()["rejected"] == 0
        assert api.put("/v1/users/old-1", json={"display_name": "Ältere"}).status_code == 200
        own_stack.wait_flushed()
        own_stack.stop("persist")
        db.execute("DELETE FROM searchable_users")
        db.execute("DELETE FROM pending_search_updates")
        db.execute("UPDATE search_fill SET done_at = NULL, reached_user = 0, last_version = NULL")
        own_stack.stop("serve")
        own_stack.start("serve")
        first = api.get("/v1/namespaces/old/users", params={"q": "old", "limit": 2}).json()
        assert [user["user_id"] for user in first["users"]] == ["old-0", "old-1"]
        own_stack.start("persist")
        until(lambda: db.execute("SELECT FROM search_fill WHERE done_at IS NOT NULL").fetchone() is not None, "rows")
        rest = api.get("/v1/namespaces/old/users", params={"q": "old", "cursor": first["next_cursor"]}).json()
        assert [user["user_id"] for user in rest["users"]] == ["old-2", "old-3", "old-4"], "a page goes on as it began"
        assert matches(api, "old", "OLD") == ["old-0", "old-1", "old-2", "old-3", "old-4"]
        assert matches(api, "old", "äl") == ["old-1"]
