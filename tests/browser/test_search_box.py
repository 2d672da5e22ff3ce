"""The search for a player of a board."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Watched, give, publish, shown

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def test_a_player_is_found_by_keys(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    for i in range(15):
        give(api, space, f"{space}-{i:02}", 100 - i)
    api.put(f"/v1/namespaces/{space}/users/{space}-13", json={"display_name": HOSTILE}).raise_for_status()
    live_server.wait_flushed()
    page.goto(f"{live_server.url}/#/{space}/all")
    expect(page.locator("#rows tr")).to_have_count(10)
    box = page.get_by_role("combobox", name="Find a player")
    box.press_sequentially(f"{space}-1")
    options = page.locator("#search-list li")
    expect(options).to_have_count(5)
    expect(options.nth(3)).to_contain_text(HOSTILE)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(options.nth(3)).to_have_attribute("aria-selected", "true")
    assert box.get_attribute("aria-activedescendant") == "search-3"
    page.keyboard.press("Enter")
    expect(page.locator("#rows tr[aria-current=true] .name")).to_have_text(HOSTILE)
    assert page.url.endswith(f"/#/{space}/all/10/{space}-13")
    expect(options).to_have_count(0)
    box.fill("nobody-at-all")
    expect(page.locator("#search-note")).to_have_text("Nobody is called that.")
    page.keyboard.press("Escape")
    expect(page.locator("#search-box")).to_be_hidden()


@pytest.mark.full
def test_one_request_at_a_time_and_patience_is_told(live_server: Any, board: str, page: Page, watched: Watched) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    routes: list[Route] = []
    users = [{"user_id": "heron", "display_name": None, "avatar": None}]

    def answer(route: Route) -> None:
        routes.append(route)
        if len(routes) > 1:
            route.fulfill(json={"users": users, "next_cursor": None})

    page.route("**/users?q=*", answer)
    with page.expect_request("**/users?q=ot**"):
        page.fill("#search-q", "ot")
    page.fill("#search-q", "he")
    problem = {"code": "rate_limited", "title": "", "status": 429, "detail": "x"}
    with page.expect_request("**/users?q=he**"):
        routes[0].fulfill(status=429, headers={"Retry-After": "1"}, json=problem)
        expect(page.locator("#search-note")).to_contain_text("The server asks for patience")
    page.locator("#search-list li").click()
    expect(page.locator("#rows tr[aria-current=true] .name")).to_have_text("heron")
    assert len(routes) == 2
    watched.forgive("429")
