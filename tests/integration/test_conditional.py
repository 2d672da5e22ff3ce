"""Answers that a client need not get twice: each has a tag, and a client that has it gets 304."""

from typing import Any

import httpx
import pytest

from tests.support.sealed_namespace import DAY, Space

PATHS = [
    *("boards/all", "boards/all?limit=2&offset=1", "boards/all?around=bob", "boards/all?user=bob&user=nobody"),
    *("boards/all?min_score=4", "boards/day", "boards/all/at/1", "boards/all/percentile/50", "boards/all/rank-of/4"),
    *("boards/all/count?min_score=1", "boards/all?include=updated_at", "boards/all?as_of=2250-01-01T00:00:00Z"),
    *("boards/all?compare_to=2020-01-01T00:00:00Z", "users/bob"),
    *("boards/all/stats", "boards/all/stats?min_score=4", "users/bob/activity", "activity", "trends"),
]


@pytest.fixture
def crowded(live_server: Any, api: httpx.Client, names: Any) -> Space:
    space = Space(live_server, api, names.fresh())
    for user, amount in (("ann", 5), ("bob", 3), ("cleo", 3)):
        assert api.post(f"{space.url}/grants", json=grant(space, user, amount)).status_code == 201
    live_server.wait_flushed()
    return space


def grant(space: Space, user: str, amount: int) -> dict[str, Any]:
    space.count += 1
    return {"grant_id": f"g{space.count}", "user_id": user, "amount": amount}


def ask(space: Space, path: str, tag: str | None = None, **headers: str) -> httpx.Response:
    named = {} if tag is None else {"if-none-match": tag}
    return space.api.get(f"{space.url}/{path}", headers=named | headers)


@pytest.mark.parametrize("path", PATHS)
def test_a_client_with_the_answer_gets_304_until_it_changes(crowded: Space, path: str) -> None:
    first = ask(crowded, path)
    assert first.status_code == 200, first.text
    tag = first.headers["etag"]
    for expected in (tag, f'"other", {tag}', f"W/{tag}"):
        same = ask(crowded, path, expected)
        assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", tag)
        assert "content-type" not in same.headers
        assert same.headers["cache-control"] == first.headers["cache-control"]
    assert ask(crowded, path, '"other"').content == first.content
    packed = ask(crowded, path, tag, accept="application/msgpack")
    assert packed.status_code == 200
    assert packed.headers["etag"] != tag
    crowded.api.post(f"{crowded.url}/grants", json=grant(crowded, "bob", 4))
    crowded.stack.wait_flushed()
    changed = ask(crowded, path, tag)
    assert changed.status_code == 200
    assert changed.headers["etag"] != tag


def test_what_is_heavy_may_be_served_while_it_is_made_anew(crowded: Space) -> None:
    for path in (f"{crowded.url}/trends", f"/v1/stats?prefix={crowded.name}"):
        first = crowded.api.get(path)
        assert first.headers["cache-control"] == "private, max-age=5, stale-while-revalidate=30", path
        same = crowded.api.get(path, headers={"if-none-match": first.headers["etag"]})
        assert (same.status_code, same.content) == (304, b""), path
        if "trends" in path:
            assert same.headers["lag-seq"] == "0"


def test_a_tag_tells_every_question_from_every_other(crowded: Space) -> None:
    other = Space(crowded.stack, crowded.api, f"{crowded.name}-2", category_boards=True)
    assert crowded.api.post(f"{other.url}/grants", json=grant(other, "ann", 5)).status_code == 201
    paths = [*PATHS, "boards/all?ranking=dense", "boards/all?limit=9", "boards/all/rank-of/3", "boards/all/at/2"]
    paths += ["boards/all/percentile/40", "boards/all/count?min_score=2", "boards/all/count"]
    tags = [ask(crowded, path).headers["etag"] for path in paths]
    tags += [ask(other, path).headers["etag"] for path in ("boards/all", "boards/all?category=red")]
    assert len(set(tags)) == len(tags)


def test_names_and_rules_change_the_tag(crowded: Space) -> None:
    user = f"{crowded.name}-zoe"
    assert crowded.api.post(f"{crowded.url}/grants", json=grant(crowded, user, 1)).status_code == 201
    tag = ask(crowded, "boards/all").headers["etag"]
    assert crowded.api.put(f"/v1/users/{user}-sister", json={"display_name": "Zita"}).status_code in (200, 201)
    assert ask(crowded, "boards/all", tag).status_code == 304
    assert crowded.api.put(f"/v1/users/{user}", json={"display_name": "Zoë"}).status_code in (200, 201)
    named = ask(crowded, "boards/all", tag)
    assert (named.status_code, named.json()["entries"][-1]["display_name"]) == (200, "Zoë")
    crowded.put(accept_past=None, ranking="ordinal")
    ranked = ask(crowded, "boards/all", named.headers["etag"])
    assert ranked.status_code == 200
    assert [entry["rank"] for entry in ranked.json()["entries"]] == [1, 2, 3, 4]


def test_who_may_keep_it_and_how_long(crowded: Space) -> None:
    control = {path: ask(crowded, path).headers["cache-control"] for path in PATHS}
    for path in ("boards/all?as_of=2250-01-01T00:00:00Z", "boards/all?compare_to=2020-01-01T00:00:00Z", "trends"):
        assert control.pop(path).endswith("stale-while-revalidate=30")
    assert set(control.values()) == {"private, no-cache"}
    crowded.put(accept_past=None, visibility="public")
    assert ask(crowded, "boards/all").headers["cache-control"] == "public, no-cache"
    assert ask(crowded, "boards/all").headers["vary"] == "Accept, Origin"
    assert ask(crowded, "boards/all/random").headers["cache-control"] == "no-store"
    assert "etag" not in ask(crowded, "boards/all/random").headers
    assert "etag" not in ask(crowded, "boards/all/at/99").headers


def test_a_right_is_checked_before_a_tag(crowded: Space) -> None:
    tag = ask(crowded, "boards/all").headers["etag"]
    with crowded.stack.client(None) as anonymous:
        assert anonymous.get(f"{crowded.url}/boards/all", headers={"if-none-match": tag}).status_code == 401


def test_an_archive_has_its_tag_and_tells_its_revisions(live_server: Any, api: httpx.Client, names: Any) -> None:
    space = Space(live_server, api, names.fresh())
    user = f"{space.name}-ann"
    space.grant(user, 5)
    space.grant("bob", 3)
    space.seal(DAY)
    first = ask(space, f"boards/{DAY}")
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "private, max-age=5, stale-while-revalidate=30"
    same = ask(space, f"boards/{DAY}", tag)
    assert (same.status_code, same.headers["cache-control"]) == (304, first.headers["cache-control"])
    assert api.post(f"/v1/users/{user}/hide").status_code == 200
    shown = ask(space, f"boards/{DAY}", tag)
    assert shown.status_code == 200
    assert shown.json()["total"] == 1
