"""A refusal names the scope that is needed, and those that the key has."""

import pytest

from app.access.guard import SCOPES_SHOWN_MAX, require_any_scope, require_scope
from app.access.keys import ANONYMOUS, Principal
from app.model.errors import Forbidden, Unauthorized

MANY = tuple(f"read:r{i}" for i in range(SCOPES_SHOWN_MAX + 2))


@pytest.mark.parametrize(
    ("scopes", "has"),
    [
        (("read:gp*",), "it has read:gp*"),
        (("read:gp", "write:f1-*"), "it has read:gp, write:f1-*"),
        (MANY[:SCOPES_SHOWN_MAX], "it has " + ", ".join(MANY[:SCOPES_SHOWN_MAX])),
        (MANY, "it has " + ", ".join(MANY[:SCOPES_SHOWN_MAX]) + " and 2 more"),
    ],
)
def test_a_refusal_names_what_is_needed_and_what_is_there(scopes: tuple[str, ...], has: str) -> None:
    with pytest.raises(Forbidden) as refused:
        require_scope(Principal("k", scopes), "write", "gp")
    needed = "the key needs the scope write:gp, or write with a pattern that covers it"
    assert refused.value.detail == f"{needed}; {has}"


def test_the_whole_deployment_needs_the_widest_pattern() -> None:
    with pytest.raises(Forbidden, match=r"needs the scope read:\*.*; it has read:gp"):
        require_any_scope(Principal("k", ("read:gp",)), "read", "admin")


def test_without_a_key_nothing_is_named() -> None:
    with pytest.raises(Unauthorized) as refused:
        require_scope(ANONYMOUS, "read", "gp")
    assert (refused.value.detail, refused.value.field) == (
        "a key is needed here: send Authorization: Bearer <key>; `leaderboard keys create` makes one",
        "Authorization",
    )
