"""A namespace and its events."""

from itertools import count
from typing import Any

import httpx

_numbers = count()


class Space:
    """A fresh namespace and its events."""

    def __init__(self, stack: Any, api: httpx.Client, name: str | None = None, **rules: Any) -> None:
        self.stack = stack
        self.api = api
        self.name = name or f"events-{next(_numbers)}"
        self.url = f"/v1/namespaces/{self.name}"
        assert self.put(**rules).status_code == 201

    def put(self, **rules: Any) -> httpx.Response:
        return self.api.put(self.url, json={"accept_past": None} | rules)

    def grant(self, grant_id: str, amount: float = 5, user: str = "otter", **fields: Any) -> None:
        body = {"grant_id": grant_id, "user_id": user, "amount": amount} | fields
        answer = self.api.post(f"{self.url}/grants", json=body)
        assert answer.status_code in (200, 201), answer.text

    def ask(self, after: str | None = None, **query: Any) -> dict[str, Any]:
        self.stack.wait_flushed()
        return self.page(after, **query)

    def page(self, after: str | None = None, **query: Any) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/events", params=query | ({} if after is None else {"after": after}))
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    def summaries(self, **query: Any) -> list[tuple[str, Any]]:
        return [(event["type"], event.get("grant_id")) for event in known(self.ask(**query)["events"])]


def known(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """All but who is new, which every first grant tells a little later."""
    return [event for event in events if event["type"] != "user_registered"]
