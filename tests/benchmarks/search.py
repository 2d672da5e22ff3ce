"""User search among 1,000,000 users in 100 namespaces, over HTTP, while 1,000 grants a second are written.

One namespace has all of the users as members, 98 have 10,000 each, and one has 100. Every third user has a display
name. The users, and the rows by which they are found, go straight into Postgres. Four clients search at once by
random beginnings of ids and names. The floor is a bare range scan of an index of ids, under the same load.
"""

import asyncio
import random
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import asyncpg

from app.drivers.postgres import PLANNER_SETTINGS
from tests.conftest import Stack

USERS, NAMESPACES, FEW = 1_000_000, 98, 100
CLIENTS, SEARCHES, PAGES_MAX = 4, 2_000, 300
FIRST_NAMES = ("Anna", "Änne", "Boris", "Chloé", "Dmitri", "Emma", "Farid", "Grace", "Hanna", "Ivo", "Jürgen", "Zoë")
LAST_NAMES = ("Adler", "Berg", "Costa", "Dietz", "Evans", "Fuchs", "García", "Horn", "Ito", "Jansen", "Kaya", "Weiß")
FILL = (
    "SET session_replication_role = replica",
    f"INSERT INTO users (name) SELECT 'user-' || lpad(i::text, 7, '0') FROM generate_series(1, {USERS}) AS i",
    """INSERT INTO profiles (user_number, display_name, folded_name)
       SELECT number, name, replace(lower(name), 'ß', 'ss') FROM (
           SELECT number, ($1::text[])[1 + number % 12] || ' ' || ($2::text[])[1 + number / 12 % 12] || ' ' || number
                  AS name
           FROM users WHERE number % 3 = 0) AS x""",
    """INSERT INTO standings (namespace_id, user_number, score, grants, last_granted_at)
       SELECT n.id, u.number, 1, 1, now() FROM users u CROSS JOIN LATERAL (
           SELECT id FROM namespaces WHERE name = 'all' OR name = 'part-' || u.number % 98
           UNION ALL SELECT id FROM namespaces WHERE name = 'few' AND u.number % 10000 = 0) AS n""",
    """INSERT INTO searchable_users (user_number, namespace_id, folded_id, folded_name)
       SELECT s.user_number, s.namespace_id, u.name, p.folded_name FROM standings s
       JOIN users u ON u.number = s.user_number LEFT JOIN profiles p ON p.user_number = s.user_number""",
    "RESET session_replication_role",
    "VACUUM ANALYZE users, profiles, standings, searchable_users",
)
FLOOR = """SELECT name, number FROM users WHERE name COLLATE "C" >= $1 AND name COLLATE "C" < $2
           ORDER BY name COLLATE "C", number LIMIT 11"""


async def fill(url: str) -> None:
    """All users, names and memberships."""
    db = await asyncpg.connect(url)
    for statement in FILL:
        await db.execute(statement, *((FIRST_NAMES, LAST_NAMES) if "$1" in statement else ()), timeout=600)
    await db.close()


def beginning(rng: random.Random) -> str:
    """Of an id, or of a name."""
    number = rng.randrange(1, USERS + 1)
    if rng.random() < 0.5:
        return f"user-{number:07}"[: rng.randint(2, 12)]
    name = f"{FIRST_NAMES[number % 12]} {LAST_NAMES[number // 12 % 12]} {number}"
    return name[: rng.randint(2, len(name))]


def figures(times: list[float]) -> str:
    """The median and the second slowest of a hundred, in milliseconds."""
    times.sort()
    return f"median {times[len(times) // 2] * 1000:7.2f} ms, p99 {times[len(times) * 99 // 100] * 1000:7.2f} ms"


def in_parallel(work: Callable[[int], list[float]]) -> list[float]:
    """What four threads measured."""
    with ThreadPoolExecutor(CLIENTS) as pool:
        return [one for times in pool.map(work, range(CLIENTS)) for one in times]


def pages(stack: Stack, name: str) -> list[float]:
    """Seconds of first pages."""

    def work(seed: int) -> list[float]:
        rng, times = random.Random(f"{name} {seed}"), []
        with stack.client() as client:
            for _ in range(SEARCHES // CLIENTS):
                started = time.perf_counter()
                query = {"q": beginning(rng), "limit": "10"}
                client.get(f"/v1/namespaces/{name}/users", params=query).raise_for_status()
                times.append(time.perf_counter() - started)
        return times

    return in_parallel(work)


def first_user(stack: Stack, name: str) -> tuple[int, float]:
    """Pages and seconds until a search for a beginning that all ids share tells anybody."""
    started, cursor, count, is_empty = time.perf_counter(), "", 0, True
    with stack.client() as client:
        while is_empty and cursor is not None and count < PAGES_MAX:
            query = {"q": "us", "limit": "10"} | ({"cursor": cursor} if cursor else {})
            body = client.get(f"/v1/namespaces/{name}/users", params=query).raise_for_status().json()
            cursor, is_empty, count = body["next_cursor"], not body["users"], count + 1
    return count, time.perf_counter() - started


def floor(stack: Stack) -> list[float]:
    """Seconds of bare range scans."""

    async def scans(rng: random.Random) -> list[float]:
        db, times = await asyncpg.connect(stack.postgres.url, server_settings=PLANNER_SETTINGS), []
        for _ in range(SEARCHES // CLIENTS):
            q = f"user-{rng.randrange(1, USERS + 1):07}"[: rng.randint(2, 12)]
            started = time.perf_counter()
            await db.fetch(FLOOR, q, q + "\U0010ffff")
            times.append(time.perf_counter() - started)
        await db.close()
        return times

    return in_parallel(lambda seed: asyncio.run(scans(random.Random(seed))))


@contextmanager
def writes(stack: Stack) -> Iterator[None]:
    """1,000 grants a second to a namespace of its own, each tenth of a new user."""
    ends = threading.Event()

    def work() -> None:
        begun, i = time.perf_counter(), 0
        with stack.client() as client:
            while not ends.is_set():
                users = (f"w-{j if j % 10 == 0 else j % 100}" for j in range(i, i + 100))
                body = [{"grant_id": f"w{i}-{n}", "user_id": user, "amount": 1} for n, user in enumerate(users)]
                client.post("/v1/namespaces/written/grants", json=body).raise_for_status()
                i += 100
                ends.wait(max(0.0, begun + i / 1000 - time.perf_counter()))

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        ends.set()
        thread.join()


def main(stack: Stack) -> None:
    """A line for each namespace, and its floor."""
    with stack.client() as client:
        for name in ("all", "few", "written", *(f"part-{i}" for i in range(NAMESPACES))):
            client.put(f"/v1/namespaces/{name}", json={}).raise_for_status()
    started = time.perf_counter()
    stack.stop("persist")
    asyncio.run(fill(stack.postgres.url))
    print(f"search: {USERS:,} users put in {time.perf_counter() - started:27.1f} s", flush=True)
    stack.start("persist")
    for name in ("all", "few"):
        count, seconds = first_user(stack, name)
        print(f"search in {name!r}, q=us: the first user {seconds * 1000:12.1f} ms, on page {count}", flush=True)
    with writes(stack):
        for name, what in (("all", "1,000,000 members"), ("part-7", "10,000 members"), ("few", "100 members")):
            print(f"search, {what:18} {figures(pages(stack, name))}", flush=True)
        print(f"{'floor: range scan':26} {figures(floor(stack))}", flush=True)
