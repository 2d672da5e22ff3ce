"""Thousands of random questions over HTTP against brute force over the rows of the ledger.

Each seed makes a handful of namespaces of its own. A failure names its seed, which asks the same again:
`pytest tests/integration/test_oracle.py -k seed-3`; ORACLE_SEEDS=100-120 asks others.
"""

import json
import os
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from random import Random
from typing import Any

import httpx
import psycopg
import pytest

from tests.support.board_oracle import share
from tests.support.board_questions import RANKINGS, Asker, rows
from tests.support.ledger_book import Book
from tests.support.namespace_questions import Reader
from tests.support.random_namespaces import World, some_rules

FIRST, LAST = map(int, os.environ.get("ORACLE_SEEDS", "0-5").split("-"))
SPACES, USERS, QUESTIONS = 5, 14, 80
FIFTHS = [{"name": n, "up_to": i / 5} for i, n in enumerate(("very-high", "high", "medium", "low", "very-low"), 1)]


def veil(api: httpx.Client, user: str, verb: str) -> None:
    assert api.post(f"/v1/users/{user}/{verb}").status_code == 200


@pytest.mark.parametrize("seed", range(FIRST, LAST + 1), ids="seed-{}".format)
def test_every_answer_is_that_of_the_ledger(live_server: Any, api: httpx.Client, seed: int) -> None:
    chance, prefix = Random(seed), f"oracle-{seed}-"
    users = [f"o{seed}-{n}" for n in range(USERS)]
    worlds = [
        World(api, f"{prefix}{n}", some_rules(chance, seed * SPACES + n), users, Random(f"{seed}-{n}"))
        for n in range(SPACES)
    ]
    for user in users[:2]:
        veil(api, user, "hide")
    with ThreadPoolExecutor(SPACES) as pool:
        list(pool.map(World.happen, worlds))
    veil(api, users[0], "unhide")
    veil(api, users[2], "hide")
    live_server.wait_flushed()
    with psycopg.connect(live_server.postgres.url) as db:
        readers = {
            name: Reader(api, f"/v1/namespaces/{name}", Book(db, name), users, chance)
            for name in (f"{prefix}{n}" for n in range(SPACES))
        }
    for reader in readers.values():
        for _ in range(QUESTIONS):
            reader.ask()
    for _ in range(5):
        tops(api, readers, chance)
        figures(api, readers, chance)
        field(api, readers, prefix, chance)
    assert sum(reader.questions for reader in readers.values()) >= SPACES * QUESTIONS


def tops(api: httpx.Client, readers: dict[str, Reader], chance: Random) -> None:
    """`POST /v1/boards`."""
    boards: list[dict[str, Any]] = []
    for name, reader in readers.items():
        window, _, _, category = reader.board()
        ranking, limit = chance.choice(RANKINGS), chance.randrange(1, 20)
        boards.append({"namespace": name, "window": window, "category": category, "limit": limit, "ranking": ranking})
    reply = json.loads(api.post("/v1/boards", json={"boards": boards}).text, parse_float=Decimal)
    for one, board in zip(boards, reply["boards"], strict=True):
        oracle = readers[one["namespace"]].book.oracle(one["window"], one["category"])
        assert (board["namespace"], board["window"]) == (one["namespace"], one["window"]), board
        assert board["total"] == len(oracle.scores), board
        assert rows(board["entries"]) == oracle.rows(one["ranking"])[: one["limit"]], board


def figures(api: httpx.Client, readers: dict[str, Reader], chance: Random) -> None:
    """`POST /v1/stats`."""
    members, expected = list[dict[str, Any]](), list[dict[str, Any]]()
    for name, reader in readers.items():
        window, oracle, _, category = reader.board()
        low, high, named, query = Asker(api, reader.url, window, oracle, chance, category).some_bounds()
        bounds = {end: float(query[end]) for end in ("min_score", "max_score") if query[end] is not None}
        members.append({"namespace": name, "window": window, "category": category, "exclusive": named} | bounds)
        expected.append(oracle.figures(low, high, named, 0))
    boards = json.loads(api.post("/v1/stats", json={"boards": members}).text, parse_float=Decimal)["boards"]
    for one, board, figures in zip(members, boards, expected, strict=True):
        figures_of_board = {
            name: float(board[name]) if isinstance(figures[name], float) else board[name] for name in figures
        }
        assert figures_of_board == figures, (one, board)


def field(api: httpx.Client, readers: dict[str, Reader], prefix: str, chance: Random) -> None:
    """`GET /v1/stats?prefix=`: figures, percentile and band of each, in their order."""
    window = chance.choice(["all", *chance.choice(list(readers.values())).book.windows])
    answer = api.get("/v1/stats", params={"prefix": prefix, "window": window})
    namespaces = json.loads(answer.text, parse_float=Decimal)["namespaces"]
    figures = {
        name: reader.book.oracle(window).figures(None, None, (), 0)
        for name, reader in readers.items()
        if reader.keeps(window)
    }
    means = [one["mean"] for one in figures.values() if one["mean"] is not None]
    order = sorted(figures, key=lambda name: (figures[name]["mean"] is None, -(figures[name]["mean"] or 0), name))
    assert [one["namespace"] for one in namespaces] == order, namespaces
    for one in namespaces:
        expected = figures[one["namespace"]]
        for name, value in expected.items():
            actual = one[name]
            assert (float(actual) if isinstance(value, float) else actual) == value, (name, value, one)
        if expected["mean"] is None:
            assert (one["percentile"], one["band"]) == (None, None), one
            continue
        higher = sum(mean > expected["mean"] for mean in means)
        bands = readers[one["namespace"]].book.rules["bands"] or FIFTHS
        band = next(band["name"] for band in bands if higher / len(means) < band["up_to"])
        assert (one["percentile"], one["band"]) == (share(len(means) - higher, len(means)), band), one
