"""Searches against a plain model, after random changes; pages while others write."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import psycopg
import pytest

from app.model.profile import fold_name
from tests.conftest import Names, Stack
from tests.support.live_socket import key
from tests.support.waits import until

STEMS = (
    "anna",
    "Änne",
    "ÅNGSTRÖM",
    "straße",
    "STRASSE",
    "ﬁnn",
    "Finn",
    "ñandú",
    "😀smile",
    "李雷",
    "e\u0301mile",
    "Émile",
)
OTHERS = ("Zoë", "ANNA", "Strasse", "😀", "Österreich", "österreich", "Ⅷ", "viii", "finnja", "Anne")


def matches(client: httpx.Client, space: str, q: str, limit: int = 3) -> list[str]:
    """All pages of a search."""
    users: list[str] = []
    cursor: str | None = ""
    while cursor is not None:
        query: dict[str, Any] = {"q": q, "limit": limit} | ({"cursor": cursor} if cursor else {})
        answer = client.get(f"/v1/namespaces/{space}/users", params=query)
        assert answer.status_code == 200, answer.text
        users += [user["user_id"] for user in answer.json()["users"]]
        cursor = answer.json()["next_cursor"]
    return users


def settle(stack: Stack) -> None:
    """Waits until names of the whole deployment are in each namespace."""
    stack.wait_flushed()
    with psycopg.connect(stack.postgres.url, autocommit=True) as db:
        pending = "SELECT FROM pending_search_updates WHERE recheck_xid IS NULL"
        until(lambda: db.execute(pending).fetchone() is None, "names are not in each namespace")


class Model:
    """What a search should find, in plain sets and dicts. Namespace "" is the whole deployment."""

    def __init__(self, stack: Stack, spaces: list[str]) -> None:
        self.stack = stack
        self.spaces = spaces
        self.members: dict[str, set[str]] = {space: set() for space in spaces}
        self.names: dict[tuple[str, str], str | None] = {}
        self.hidden: set[tuple[str, str]] = set()  # by admins
        self.opted_out: set[tuple[str, str]] = set()

    def expected(self, space: str, q: str) -> dict[str, str]:
        """By user, what they are listed by."""
        users: dict[str, str] = {}
        for user in self.members[space]:
            places = {(space, user), ("", user)}
            shown = self.names.get((space, user)) or self.names.get(("", user))
            keys = [fold_name(user), *([fold_name(shown)] if shown else [])]
            matching = [one for one in keys if one.startswith(fold_name(q))]
            if matching and not places & (self.hidden | self.opted_out):
                users[user] = matching[0]
        return users

    def change(self, rng: random.Random, api: httpx.Client, user: str) -> None:
        """One random change."""
        space = rng.choice([*self.spaces, ""])
        path = f"/v1/namespaces/{space}/users/{user}" if space else f"/v1/users/{user}"
        match rng.choice(("grant", "grant", "name", "name", "name", "hide", "unhide", "opt", "erase")):
            case "grant":
                space = space or self.spaces[0]
                body = {"grant_id": f"{rng.random()}", "user_id": user, "amount": 1}
                assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
                self.members[space].add(user)
            case "name":
                name = rng.choice([*STEMS, *OTHERS, None])
                is_out = (space, user) in self.opted_out
                body = {"display_name": name, "opt_out": is_out}
                assert api.put(path, json=body).status_code in (200, 202)
                self.names[space, user] = name
            case "hide":
                assert api.post(f"{path}/hide").status_code in (200, 202)
                self.hidden.add((space, user))
            case "unhide":
                done = api.post(f"{path}/unhide")
                assert done.status_code in (200, 202, 404), done.text
                self.hidden.discard((space, user))
            case "opt":
                wished = rng.random() < 0.3
                body = {"display_name": self.names.get((space, user)), "opt_out": wished}
                assert api.put(path, json=body).status_code in (200, 202)
                (self.opted_out.add if wished else self.opted_out.discard)((space, user))
            case "erase" if rng.random() < 0.3 and any(user in some for some in self.members.values()):
                self.stack.wait_flushed()
                assert api.delete(f"/v1/users/{user}").status_code in (204, 202)
                until(lambda: api.get(f"/v1/users/{user}").status_code == 404, "the erasure is not done")
                for some in self.members.values():
                    some.discard(user)
                for place in [("", user), *((one, user) for one in self.spaces)]:
                    self.names.pop(place, None)
                    self.hidden.discard(place)
                    self.opted_out.discard(place)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_it_finds_who_a_plain_model_finds(live_server: Stack, seed: int) -> None:
    rng, tag = random.Random(seed), Names().fresh()
    spaces = [f"{tag}-{i}" for i in range(3)]
    users = [f"{stem}-{tag}-{i}" for i, stem in enumerate((*STEMS, *STEMS))]
    model = Model(live_server, spaces)
    with live_server.client() as api:
        for space in spaces:
            assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).status_code == 201
        with live_server.client(key(live_server, *(f"read:{space}" for space in spaces))) as reader:
            for _ in range(6):
                for _ in range(20):
                    model.change(rng, api, rng.choice(users))
                settle(live_server)
                for q in rng.sample([*STEMS, *OTHERS], 8):
                    q = q[: rng.randint(2, 4)].ljust(2, "-")
                    q = rng.choice((q, q.upper(), q.lower()))
                    for space in spaces:
                        expected, actual = model.expected(space, q), matches(reader, space, q)
                        assert sorted(actual) == sorted(expected), (space, q)
                        listed = [expected[user].encode() for user in actual]
                        assert listed == sorted(listed), (space, q)
        for space in spaces:
            assert live_server.run("verify", "--quiet", "--namespace", space).returncode == 0


@pytest.fixture(scope="module")
def crowd(live_server: Stack) -> str:
    """A public namespace of 200 users."""
    space = Names().fresh()
    with live_server.client() as api:
        assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).status_code == 201
        body = [{"grant_id": f"{i}", "user_id": f"cr-{i:03}-{space}", "amount": 1} for i in range(200)]
        assert api.post(f"/v1/namespaces/{space}/grants", json=body).json()["rejected"] == 0
    live_server.wait_flushed()
    return space


def test_pages_miss_and_repeat_nobody_while_others_write(live_server: Stack, crowd: str) -> None:
    ends = threading.Event()

    def write() -> None:
        i = 0
        with live_server.client() as api:
            while not ends.is_set():
                i += 1
                new = {"grant_id": f"n{i}", "user_id": f"cr-{i % 200:03}x{i}-{crowd}", "amount": 1}
                api.post(f"/v1/namespaces/{crowd}/grants", json=new).raise_for_status()
                api.put(f"/v1/users/cr-{i % 7:03}x{i}-{crowd}", json={"display_name": f"Cr {i}"}).raise_for_status()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        with live_server.client(key(live_server, f"read:{crowd}")) as reader:
            for _ in range(5):
                users = matches(reader, crowd, "CR-", limit=7)
                assert len(set(users)) == len(users)
                assert {f"cr-{i:03}-{crowd}" for i in range(200)} <= set(users)
    finally:
        ends.set()
        writer.join()


def test_who_is_hidden_is_absent_at_once(live_server: Stack, crowd: str) -> None:
    user = f"cr-150-{crowd}"
    with live_server.client() as api, live_server.client(key(live_server, f"read:{crowd}")) as reader:
        for path in (f"/v1/namespaces/{crowd}/users/{user}", f"/v1/users/{user}"):
            assert matches(reader, crowd, user) == [user]
            api.post(f"{path}/hide").raise_for_status()
            assert matches(reader, crowd, user) == []
            api.post(f"{path}/unhide").raise_for_status()
        assert matches(reader, crowd, user) == [user]
        api.put(f"/v1/users/{user}", json={"opt_out": True}).raise_for_status()
        assert matches(reader, crowd, user) == []


def test_a_name_that_comes_while_its_user_gets_the_first_grant_is_found(live_server: Stack, crowd: str) -> None:
    """The transaction of the grant does not see the name, and writes a row without it after the row was updated."""
    user = f"late-{crowd}"
    with (
        live_server.client() as api,
        psycopg.connect(live_server.postgres.url) as persister,
        psycopg.connect(live_server.postgres.url, autocommit=True) as db,
    ):
        api.put(f"/v1/users/{user}", json={}).raise_for_status()
        (number,) = db.execute("SELECT number FROM users WHERE name = %s", (user,)).fetchone() or (0,)
        (space,) = db.execute("SELECT id FROM namespaces WHERE name = %s", (crowd,)).fetchone() or (0,)
        persister.execute("INSERT INTO standings VALUES (%s, %s, 1, 1, now())", (number, space))
        persister.execute("INSERT INTO searchable_users VALUES (%s, %s, %s, NULL)", (number, space, user))
        api.put(f"/v1/users/{user}", json={"display_name": f"Very Late {crowd}"}).raise_for_status()
        pending = "SELECT FROM pending_search_updates WHERE user_number = %s AND recheck_xid IS NOT NULL"
        until(lambda: db.execute(pending, (number,)).fetchone() is not None, "it is not updated")
        assert matches(api, crowd, f"very late {crowd}") == []
        persister.commit()
        until(lambda: matches(api, crowd, f"very late {crowd}") == [user], "it is not found")
        until(lambda: db.execute(pending, (number,)).fetchone() is None, "it is never done")
        db.execute("DELETE FROM standings WHERE user_number = %s", (number,))  # the ledger has no such grant


def test_a_row_that_is_lost_is_told_and_repaired(own_stack: Stack) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/n", json={})
        api.post("/v1/namespaces/n/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1}).raise_for_status()
        api.put("/v1/users/ann", json={"display_name": "Änne"}).raise_for_status()
        settle(own_stack)
        until(lambda: db.execute("SELECT FROM pending_search_updates").fetchone() is None, "it is never done")
        for loss in ("DELETE FROM searchable_users", "UPDATE searchable_users SET folded_id = 'x', folded_name = 'y'"):
            db.execute(loss.encode())
            done = own_stack.run("verify", "--quiet")
            assert done.returncode == 1
            assert "n: a search does not find 'ann' by id and name as they are" in done.stdout
            assert own_stack.run("repair", "--quiet").returncode == 0
            until(lambda: matches(api, "n", "ANN") == matches(api, "n", "änn") == ["ann"], "it is not found")
            until(lambda: db.execute("SELECT FROM pending_search_updates").fetchone() is None, "it is never done")
        assert own_stack.run("verify", "--quiet").returncode == 0


def test_a_namespace_that_is_deleted_keeps_no_rows(own_stack: Stack) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/n", json={})
        api.post("/v1/namespaces/n/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1}).raise_for_status()
        own_stack.wait_flushed()
        rows = "SELECT FROM searchable_users"
        assert db.execute(rows).fetchone() is not None
        api.delete("/v1/namespaces/n", params={"confirm": "n"}).raise_for_status()
        until(lambda: db.execute(rows).fetchone() is None, "it has rows")


def test_an_erased_user_leaves_no_row_behind(own_stack: Stack) -> None:
    with own_stack.client() as api, psycopg.connect(own_stack.postgres.url, autocommit=True) as db:
        api.put("/v1/namespaces/n", json={})
        api.post("/v1/namespaces/n/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1}).raise_for_status()
        api.put("/v1/users/ann", json={"display_name": "Änne"}).raise_for_status()
        settle(own_stack)
        assert api.delete("/v1/users/ann").status_code in (202, 204)
        until(lambda: db.execute("SELECT FROM searchable_users").fetchone() is None, "a row has the name")
        until(lambda: db.execute("SELECT FROM pending_search_updates").fetchone() is None, "it is to be updated")
        assert db.execute("SELECT FROM searchable_users").fetchone() is None
        assert own_stack.run("verify", "--quiet").returncode == 0


def test_a_flood_without_a_key_holds_nobody_else(own_stack: Stack) -> None:
    """Searches that hang take none of the connections of other reads, and those that are too many are refused."""
    path = "/v1/namespaces/n"
    with (
        own_stack.client() as api,
        own_stack.client(None) as anyone,
        psycopg.connect(own_stack.postgres.url, autocommit=True) as db,
        ThreadPoolExecutor(8) as pool,
    ):
        api.put(path, json={"visibility": "public"})
        api.post(f"{path}/grants", json={"grant_id": "g", "user_id": "ann", "amount": 1}).raise_for_status()
        own_stack.wait_flushed()

        def search(client: httpx.Client) -> int:
            return client.get(f"{path}/users", params={"q": "an"}, timeout=30).status_code

        waiting = "SELECT FROM pg_locks WHERE NOT granted AND relation = 'searchable_users'::regclass"
        with psycopg.connect(own_stack.postgres.url) as other:
            other.execute("LOCK TABLE searchable_users IN ACCESS EXCLUSIVE MODE")
            flood = [pool.submit(search, anyone) for _ in range(8)]
            until(lambda: db.execute(waiting).fetchone() is not None, "no search hangs")
            for client in (anyone, api):
                assert client.get(f"{path}/users/ann/activity", timeout=1.5).status_code == 200
            other.rollback()
        assert {one.result() for one in flood} <= {200, 503}
        codes = [search(anyone) for _ in range(120)]
        assert set(codes) == {200, 429}
        refusal = anyone.get(f"{path}/users", params={"q": "an"})
        assert refusal.json()["code"] == "rate_limited"
        assert int(refusal.headers["Retry-After"]) >= 1
        assert [search(api) for _ in range(100)] == [200] * 100
        assert anyone.get(f"{path}/users/ann/activity").status_code == 200
