"""Many corrections of one user on so many boards that one call of the script does not take them all."""

from typing import Any

import httpx

from tests.support.correction_driver import Space

SEASONS = [
    {"name": f"s{i}", "starts": "2019-01-01T00:00:00Z", "ends": f"20{20 + i % 10}-01-01T00:00:00Z"} for i in range(100)
]


def entries_sent(api: httpx.Client) -> float:
    """Entries that the server has sent to the script so far, again or not."""
    lines = api.get("/metrics").text.splitlines()
    return sum(float(line.split()[1]) for line in lines if line.startswith("leaderboard_commit_call_entries_sum"))


def test_corrections_of_several_calls_are_planned_once(api: httpx.Client, live_server: Any) -> None:
    space, count = Space(api, seasons=SEASONS, category_boards=True), 300
    at = "2019-03-05T12:00:00Z"
    grants = [
        {"grant_id": f"g{i}", "user_id": "otter", "amount": i, "category": "red", "granted_at": at}
        for i in range(count + 1)
    ]
    assert api.post(f"{space.url}/grants", json=grants).json()["applied"] == count + 1
    live_server.wait_flushed()
    before = entries_sent(api)
    voids = [{"op": "void", "grant_id": f"g{i}"} for i in range(count)]
    body = api.post(f"{space.url}/corrections", json=voids).json()
    assert body["applied"] == count
    assert space.board() == space.board("season:s99") == {"otter": count}
    # Each entry goes to the script once: one that stands on what another call has done is not refused.
    assert entries_sent(api) - before == count
