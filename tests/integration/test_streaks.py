"""Streaks: days in a row in the user's zone, else the namespace's, whatever is late, corrected or moved."""

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest

_numbers = count()
RULES = {"streaks": True, "accept_past": None}


class Player:
    """A user of a fresh namespace, each with a name of their own: a profile is of all namespaces."""

    def __init__(self, api: httpx.Client, zone: str | None, **rules: Any) -> None:
        number = next(_numbers)
        self.api, self.user, self.url = api, f"player-{number}", f"/v1/namespaces/daily-{number}"
        assert api.put(self.url, json=RULES | rules).status_code == 201
        if zone is not None:
            self.moves_to(zone)

    def moves_to(self, zone: str | None) -> None:
        assert self.api.put(f"/v1/users/{self.user}", json={"timezone": zone}).status_code == 200

    def grant(self, grant_id: str, at: str, **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": self.user, "amount": 1, "granted_at": at} | fields
        assert self.api.post(f"{self.url}/grants", json=body).status_code == 201

    def streak(self) -> dict[str, Any]:
        return dict(self.api.get(f"{self.url}/users/{self.user}").json()["streak"])

    def best(self) -> tuple[int, str]:
        reply = self.streak()
        return reply["best"], reply["last_day"]


@pytest.fixture
def player(api: httpx.Client) -> Player:
    return Player(api, "Pacific/Auckland", timezone="America/New_York")


def test_a_users_own_zone_comes_before_the_namespaces(api: httpx.Client, player: Player) -> None:
    # 11:30 UTC is past midnight in Auckland, 13:00 a new day there; in New York all of it is the 5th.
    player.grant("g1", "2024-05-05T10:30:00Z")
    player.grant("g2", "2024-05-05T12:30:00Z")
    assert player.best() == (2, "2024-05-06")
    other = {"grant_id": "h1", "user_id": "somebody", "amount": 1, "granted_at": "2024-05-05T12:30:00Z"}
    assert api.post(f"{player.url}/grants", json=other).status_code == 201
    streak = api.get(f"{player.url}/users/somebody").json()["streak"]
    assert (streak["best"], streak["last_day"]) == (1, "2024-05-05")
    # Boards stay in the namespace's zone.
    assert api.get(f"{player.url}/boards/2024-05-05").json()["total"] == 2


def test_every_way_to_grant_takes_the_users_zone(api: httpx.Client, player: Player) -> None:
    def body(grant_id: str, at: str, **fields: Any) -> dict[str, Any]:
        return {"grant_id": grant_id, "user_id": player.user, "amount": 1, "granted_at": at} | fields

    plain = f"/v1/namespaces/plain-{player.user}"
    assert api.put(plain).status_code == 201
    batch = [body("g1", "2024-05-05T12:30:00Z"), body("g2", "2024-05-06T12:30:00Z")]
    assert api.post(f"{player.url}/grants", json=batch).json()["applied"] == 2
    name = player.url.rpartition("/")[2]
    across = [
        body("g3", "2024-05-07T12:30:00Z", namespace=name),
        {"grant_id": "g3", "user_id": player.user, "amount": 1, "namespace": plain.rpartition("/")[2]},
        body("g4", "2024-05-08T12:30:00Z", namespace="there-is-none"),
    ]
    answer = api.post("/v1/grants", json=across).json()
    assert [result["status"] for result in answer["results"]] == ["applied", "applied", "rejected"]
    assert player.best() == (3, "2024-05-08")
    assert api.get(f"{plain}/users/{player.user}").json()["streak"] is None


def test_late_voided_edited_and_restored_grants_count_in_the_users_days(player: Player) -> None:
    api, url = player.api, player.url
    for i, at in enumerate(("2024-05-05T12:30:00Z", "2024-05-07T12:30:00Z", "2024-05-06T12:30:00Z")):
        player.grant(f"g{i}", at)
    assert player.best() == (3, "2024-05-08")
    api.delete(f"{url}/grants/g2")
    assert player.best() == (1, "2024-05-08")
    api.post(f"{url}/grants/g2/restore")
    assert player.best() == (3, "2024-05-08")
    # Half an hour earlier it is still the day before in Auckland; in New York nothing would change.
    assert api.patch(f"{url}/grants/g1", json={"granted_at": "2024-05-07T11:30:00Z"}).status_code == 200
    assert player.best() == (2, "2024-05-07")
    many = [{"op": "edit", "grant_id": "g1", "granted_at": "2024-05-07T12:00:00Z"}, {"op": "void", "grant_id": "g0"}]
    assert api.post(f"{url}/corrections", json=many).json()["applied"] == 2
    assert player.best() == (2, "2024-05-08")


def test_a_move_to_another_zone_changes_no_day_that_was(player: Player) -> None:
    player.grant("g1", "2024-05-05T12:30:00Z")
    player.grant("g2", "2024-05-06T12:30:00Z")
    player.moves_to("America/New_York")
    assert player.best() == (2, "2024-05-07")
    player.grant("g3", "2024-05-08T12:30:00Z")
    assert player.best() == (3, "2024-05-08")
    # A void and a restore bring the day back that the grant had; only another moment is seen by the zone of now.
    player.api.delete(f"{player.url}/grants/g2")
    player.api.post(f"{player.url}/grants/g2/restore")
    player.api.patch(f"{player.url}/grants/g2", json={"amount": 9})
    assert player.best() == (3, "2024-05-08")
    player.api.patch(f"{player.url}/grants/g2", json={"granted_at": "2024-05-06T12:30:01Z"})
    assert player.best() == (1, "2024-05-08")
    player.moves_to(None)
    player.grant("g4", "2024-05-09T03:30:00Z")
    assert player.streak()["last_day"] == "2024-05-08"


def test_the_current_streak_is_seen_from_today_where_the_user_is(api: httpx.Client) -> None:
    # Of these two at least one is in another day than UTC, whenever this runs.
    for zone in ("Pacific/Kiritimati", "Pacific/Pago_Pago"):
        player = Player(api, zone)
        now = datetime.now(UTC)
        today = now.astimezone(ZoneInfo(zone)).date()
        for days in (0, 1, 2):
            player.grant(f"g{days}", (now - timedelta(days=days)).isoformat())
        assert player.streak() == {"current": 3, "best": 3, "last_day": today.isoformat()}


def test_a_streak_follows_the_days_of_the_namespaces_zone_and_every_correction(api: httpx.Client) -> None:
    url = "/v1/namespaces/streaks"
    rules = {"streaks": True, "timezone": "Pacific/Auckland", "accept_past": None}
    assert api.put(url, json=rules).status_code == 201
    # 11:30 UTC is the next day in Auckland's summer; clocks went back there on 2024-04-07.
    times = ["2024-04-05T11:30:00Z", "2024-04-06T11:30:00Z", "2024-04-07T11:30:00Z", "2024-04-08T12:30:00Z"]
    for i, at in enumerate(times):
        body = {"grant_id": f"g{i}", "user_id": "otter", "amount": 1, "granted_at": at}
        assert api.post(f"{url}/grants", json=body).status_code == 201

    def streak() -> dict[str, Any]:
        return dict(api.get(f"{url}/users/otter").json()["streak"])

    assert streak() == {"current": 0, "best": 2, "last_day": "2024-04-09"}
    moved = api.patch(f"{url}/grants/g2", json={"granted_at": "2024-04-07T12:30:00Z"})
    assert moved.json()["status"] == "applied"
    assert streak() == {"current": 0, "best": 4, "last_day": "2024-04-09"}
    api.delete(f"{url}/grants/g3")
    assert streak() == {"current": 0, "best": 3, "last_day": "2024-04-08"}
    api.post(f"{url}/grants/g3/restore")
    api.patch(f"{url}/grants/g0", json={"granted_at": "2024-04-06T12:30:00Z"})
    assert streak() == {"current": 0, "best": 3, "last_day": "2024-04-09"}
    assert api.put(url, json=rules | {"streaks": False}).json()["code"] == "rule_locked"


def test_a_grant_right_after_the_users_zone_was_set_goes_by_it(api: httpx.Client) -> None:
    """On the server that took the profile; its cache was filled by the grant before."""
    player = Player(api, "UTC")
    for i in range(6):
        at = datetime(2024, 5, 1 + 3 * i, 12, 30, tzinfo=UTC)
        zone = ("Pacific/Kiritimati", "Pacific/Pago_Pago")[i % 2]
        player.grant(f"fills-{i}", "2024-01-01T12:00:00Z")
        player.moves_to(zone)
        player.grant(f"g{i}", at.isoformat())
        assert player.streak()["last_day"] == at.astimezone(ZoneInfo(zone)).date().isoformat(), i
