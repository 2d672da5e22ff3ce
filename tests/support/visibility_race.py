"""A namespace with users of its own whom a test hides and shows, and what to ask of it."""

from typing import Any
from urllib.parse import quote

import httpx

from app.model.namespace import partition_of
from tests.support.template import PARTITIONS

AT = "2021-07-18T12:00:00Z"
WINDOWS = ("all", "2021-07", "2021-W28", "2021-07-18", "season:cup")
RULES = {
    "accept_past": None,
    "category_boards": True,
    "visibility": "public",
    "seasons": [{"name": "cup", "starts": "2021-01-01T00:00:00Z", "ends": "2022-01-01T00:00:00Z"}],
}


def other_group(name: str) -> str:
    """A group whose namespaces lie in another partition than a namespace `name` without a group."""
    partitions = int(PARTITIONS)
    home = partition_of(name, None, partitions)
    return next(group for i in range(50) if partition_of(group := f"g{i}", None, partitions) != home)


def path(user: str) -> str:
    return f"/v1/users/{quote(user, safe='')}"


class Race:
    """A namespace with users of its own, `ann` standing for one of them."""

    def __init__(self, api: httpx.Client, name: str, **rules: Any) -> None:
        self.api = api
        self.name = name
        self.url = f"/v1/namespaces/{name}"
        assert api.put(self.url, json=RULES | rules).status_code in (200, 201)

    def user(self, user: str) -> str:
        return f"{self.name}/{user}"

    def grant(self, user: str, amount: int, grant_id: str | None = None, **fields: Any) -> Any:
        body = {"grant_id": grant_id or f"{user}-{amount}", "user_id": self.user(user), "amount": amount}
        answer = self.api.post(f"{self.url}/grants", json=body | {"granted_at": AT, "category": "red"} | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()

    def grants(self, **amounts: int) -> None:
        for user, amount in amounts.items():
            self.grant(user, amount)

    def veil(self, verb: str, user: str) -> dict[str, Any]:
        answer = self.api.post(f"{path(self.user(user))}/{verb}")
        assert (answer.status_code, answer.json()["pending"]) == (200, 0), answer.text
        return dict(answer.json())

    def opt_out(self, user: str, opt_out: bool) -> None:
        answer = self.api.put(path(self.user(user)), json={"opt_out": opt_out})
        assert (answer.status_code, answer.json()["opt_out"]) == (200, opt_out), answer.text

    def board(self, window: str = "all", **query: Any) -> list[tuple[str, int, int]]:
        answer = self.api.get(f"{self.url}/boards/{window}", params={**query})
        assert answer.status_code == 200, answer.text
        if not {"around", "user"} & query.keys():
            assert answer.json()["total"] == len(answer.json()["entries"])
        return [(e["user_id"].partition("/")[2], e["rank"], e["score"]) for e in answer.json()["entries"]]

    def boards(self) -> dict[str, Any]:
        """Every board of every window and category."""
        by_window: dict[str, Any] = {window: self.board(window) for window in WINDOWS}
        return by_window | {f"{window} red": self.board(window, category="red") for window in WINDOWS}

    def standing(self, user: str) -> dict[str, Any]:
        answer = self.api.get(f"{self.url}/users/{quote(self.user(user), safe='')}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())
