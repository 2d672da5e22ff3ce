"""What every operation is described by, and the problems that many of them share."""

from typing import NamedTuple

#: The parts of the document, in the order in which a reader meets them.
TAGS = {
    "Grants": "Points in, and corrections of them.",
    "Boards": "Rankings, questions to them, and their statistics.",
    "Users": "What a user has, profiles, hiding and erasing.",
    "History": "What happened and how much came in between two moments, from the ledger.",
    "Namespaces": "Competitions and their rules.",
    "Webhooks": "Events that are sent to a URL.",
    "Access": "API keys and client tokens.",
    "Health": "Whether the service works.",
}

#: Of every operation that asks for a key.
COMMON = (
    *("bad_request", "unauthorized", "forbidden", "invalid", "rate_limited"),
    *("overloaded", "store_unavailable", "recovering"),
)
#: Of those that name a namespace in the path.
INSIDE = (*COMMON, "namespace_not_found")
#: Of those that name a board.
BOARD = (*INSIDE, "board_not_found")
#: Of those that take a body.
BODY = ("too_large", "unsupported_media_type")


class Operation(NamedTuple):
    """One operation. problems: the codes that it may answer, besides those that any request may meet. needs_body:
    False where none is taken for an empty one."""

    tag: str
    summary: str
    description: str
    problems: tuple[str, ...] = COMMON
    needs_body: bool = True
