"""A namespace whose grants are corrected, driven by short words."""

from itertools import count
from typing import Any

import httpx

_numbers = count()
OLD = {"granted_at": "2019-03-05T12:00:00Z"}


class Space:
    """A fresh namespace, driven by short words."""

    def __init__(self, api: httpx.Client, **rules: Any) -> None:
        self.api = api
        self.name = f"correct-{next(_numbers)}"
        self.url = f"/v1/namespaces/{self.name}"
        assert api.put(self.url, json={"accept_past": None} | rules).status_code == 201

    def grant(self, grant_id: str, amount: float = 5, user: str = "otter", **fields: Any) -> dict[str, Any]:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount} | fields
        answer = self.api.post(f"{self.url}/grants", json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def edit(self, grant_id: str, query: str = "", **fields: Any) -> httpx.Response:
        return self.api.patch(f"{self.url}/grants/{grant_id}{query}", json=fields)

    def void(self, grant_id: str, query: str = "") -> httpx.Response:
        return self.api.delete(f"{self.url}/grants/{grant_id}{query}")

    def restore(self, grant_id: str, **fields: Any) -> httpx.Response:
        return self.api.post(f"{self.url}/grants/{grant_id}/restore", json=fields)

    def board(self, window: str = "all") -> dict[str, float]:
        entries = self.api.get(f"{self.url}/boards/{window}").json()["entries"]
        return {entry["user_id"]: entry["score"] for entry in entries}

    def user(self, user: str = "otter") -> dict[str, Any]:
        return dict(self.api.get(f"{self.url}/users/{user}").json())

    def grant_body(self, grant_id: str) -> dict[str, Any]:
        return dict(self.api.get(f"{self.url}/grants/{grant_id}").json())


def scores(answer: httpx.Response) -> tuple[int, str, Any, Any, int]:
    body = answer.json()
    return answer.status_code, body["status"], body["previous_score"], body["score"], body["revision"]
