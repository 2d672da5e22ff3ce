"""A moderator's hand is faster than the page."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.console_page import enter, key_of, wait_for_done
from tests.support.page_view import CHROMIUM, give, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def secret_of(api: httpx.Client, *scopes: str) -> tuple[str, str]:
    """A fresh key: its id and its secret."""
    made = api.post("/v1/keys", json={"scopes": scopes or ["read:nothing"]}).json()
    return made["id"], made["key"]


def works(url: str, key: str) -> bool:
    return httpx.get(f"{url}/v1/namespaces?prefix=", headers={"authorization": f"Bearer {key}"}).status_code == 200


def test_a_double_click_revokes_nothing(live_server: Any, api: httpx.Client, page: Page) -> None:
    key_id, key = secret_of(api)
    enter(page, live_server.url, key_of(api), "keys")
    page.get_by_role("button", name=f"Revoke {key_id}").dblclick(delay=20)
    expect(page.get_by_role("button", name=f"Revoke for good {key_id}")).to_be_visible()
    assert works(live_server.url, key)
    page.get_by_role("button", name=f"Revoke for good {key_id}").click()
    expect(page.get_by_role("row", name=key_id)).to_contain_text("revoked")
    assert not works(live_server.url, key)


def test_a_double_click_makes_one_key(live_server: Any, api: httpx.Client, page: Page) -> None:
    enter(page, live_server.url, key_of(api), "keys")
    page.get_by_label("Name", exact=True).fill("twins")
    page.get_by_label("Scopes", exact=False).fill("read:nothing")
    page.get_by_role("button", name="New key").dblclick(delay=20)
    expect(page.get_by_text("Shown once")).to_be_visible()
    wait_for_done(page)
    keys = api.get("/v1/keys?limit=1000").json()["keys"]
    assert [key["name"] for key in keys].count("twins") == 1


def test_a_double_click_hides_and_does_not_show_again(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    publish(api, space)
    give(api, space, "heron", 3)
    enter(page, live_server.url, key_of(api), "moderate", space, "user", "heron")
    place = page.get_by_role("button", name="Hide", exact=True).bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    page.mouse.click(x, y)
    expect(page.get_by_role("button", name="Show again", exact=True)).to_be_visible()
    page.mouse.down(click_count=2)  # The second one of the two, as a browser counts it.
    page.mouse.up(click_count=2)
    page.wait_for_load_state("networkidle")
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"] == []
