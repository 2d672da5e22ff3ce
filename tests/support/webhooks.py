"""A namespace with a webhook that is told of it."""

import base64
from typing import Any

import httpx

from tests.support.receiver import Receiver
from tests.support.waits import until

SETTINGS = {
    "LEADERBOARD_WEBHOOK_KEY": base64.b64encode(b"k" * 32).decode(),
    "LEADERBOARD_WEBHOOK_LOOPBACK": "on",
}


class Hook:
    """A fresh namespace, and a webhook that is told of it."""

    def __init__(
        self, api: httpx.Client, name: str, url: str, rules: dict[str, Any] | None = None, **settings: Any
    ) -> None:
        self.api = api
        self.name = name
        self.path = f"/v1/webhooks/{name}"
        self.settings = {"url": url, "namespaces": name, "types": ["granted"]} | settings
        assert api.put(f"/v1/namespaces/{name}", json={"accept_past": None} | (rules or {})).status_code == 201
        answer = self.put()
        assert answer.status_code == 201, answer.text
        self.secret: str = answer.json()["secret"]

    def put(self, **settings: Any) -> httpx.Response:
        return self.api.put(self.path, json=self.settings | settings)

    def get(self) -> dict[str, Any]:
        answer = self.api.get(self.path)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def grant(self, grant_id: str, user: str = "ann", **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": user, "amount": 5} | fields
        answer = self.api.post(f"/v1/namespaces/{self.name}/grants", json=body)
        assert answer.status_code == 201, answer.text

    def deliveries(self, **query: Any) -> list[dict[str, Any]]:
        answer = self.api.get(f"{self.path}/deliveries", params=query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["deliveries"])


def arrive(receiver: Receiver, count: int, seconds: float = 20) -> None:
    """Waits until so many messages came."""
    until(lambda: len(receiver.deliveries) >= count, f"{count} messages", seconds)
