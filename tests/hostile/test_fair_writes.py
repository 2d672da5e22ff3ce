"""Many batches of one client keep no single grant of another waiting, and take no more than their share."""

import json
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.support.short_limits import BACKLOG_PARTS

BATCHES = 7
LINES = 10_000 // BACKLOG_PARTS


def batch(number: int, tag: str) -> bytes:
    lines = ({"grant_id": f"{tag}-{number}-{i}", "user_id": f"u{i}", "amount": 1} for i in range(LINES))
    return b"\n".join(json.dumps(line).encode() for line in lines)


def send(client: httpx.Client, space: str, body: bytes) -> httpx.Response:
    headers = {"content-type": "application/x-ndjson"}
    return client.post(f"/v1/namespaces/{space}/grants", content=body, headers=headers, timeout=120)


@pytest.mark.timeout(120)
@pytest.mark.parametrize("same_key", [False, True], ids=["another-key", "same-key"])
def test_batches_of_one_leave_single_grants_of_another_alone(
    live_server: Any, short_server: Any, api: httpx.Client, names: Any, same_key: bool
) -> None:
    hog, small = names.fresh(), names.fresh()
    for space in (hog, small):
        api.put(f"/v1/namespaces/{space}", json={})
    hog_key = live_server.new_key("write:*")
    small_key = hog_key if same_key else live_server.new_key("write:*")
    bodies = [batch(i, hog) for i in range(BATCHES)]
    over = threading.Event()
    statuses: Counter[int] = Counter()

    def singles(number: int) -> None:
        with short_server.client(small_key) as client:
            i = 0
            while not over.is_set():
                body = {"grant_id": f"{number}-{i}", "user_id": "otter", "amount": 1}
                statuses[client.post(f"/v1/namespaces/{small}/grants", json=body).status_code] += 1
                i += 1

    with ThreadPoolExecutor(BATCHES + 4) as pool, short_server.client(hog_key) as client:
        small_ones = [pool.submit(singles, n) for n in range(4)]
        answers = list(pool.map(lambda body: send(client, hog, body), bodies))
        over.set()
        for one in small_ones:
            one.result()
    assert set(statuses) == {201}
    assert {answer.status_code for answer in answers} == {200, 429}
    for answer in answers:
        if answer.status_code == 429:
            assert answer.json()["code"] == "rate_limited"
            assert answer.headers["retry-after"] == "1"
        else:
            assert answer.json()["applied"] == LINES
    again = [send(api, hog, body) for body in bodies]
    assert [answer.status_code for answer in again] == [200] * BATCHES
    assert api.get(f"/v1/namespaces/{hog}/boards/all?limit=1").json()["entries"][0]["score"] == BATCHES
