"""Reading an archive while a new revision of it comes."""

import asyncio
from typing import Any

from app.model.namespace import Namespace, Rules
from app.model.views import Page
from app.store.board_reader import BoardReader

REVISIONS = {1: ["ann", "hid", "bob"], 2: ["zed", "ann", "hid", "bob"]}


class Postgres:
    """An archive in which `hid` is not shown; a revision is committed between two questions."""

    def __init__(self) -> None:
        self.revision = 1

    async def fetch(self, query: str, *args: Any) -> list[dict[str, Any]]:
        users, revision = REVISIONS[self.revision], self.revision
        if query == "get_hidden_archive_rows":
            self.revision = 2
            return [{"position": users.index("hid") + 1, "sort_key": 0, "peers": 1, "revision": revision}]
        first, last = args[2], args[3]
        return [
            {
                "board_size": len(users),
                "position": place,
                "name": user,
                "sort_key": -place,
                "tie_place": 0,
                "better_users": place - 1,
                "better_scores": place - 1,
                "has_hidden": True,
                "is_hidden": user == "hid",
                "revision": revision,
            }
            for place, user in enumerate(users, 1)
            if first <= place <= last
        ]


def test_who_is_hidden_is_not_shown_whatever_comes_in_between() -> None:
    reader = BoardReader(None, Postgres())  # type: ignore[arg-type]
    space = Namespace(1, "n", 0, 1, Rules())
    board = asyncio.run(reader.resolve(space, "2025-01-01", Page(0, 10), None, [b"archived", b"1", b"5"]))
    assert ([row.user for row in board.rows], board.board_size) == (["zed", "ann", "bob"], 3)
