"""How ranks have changed: arrows beside them, and the row of the user whose neighbours are shown."""

import re
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.page_view import CHROMIUM, give, publish, shown

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def test_arrows_tell_who_rose_and_who_fell(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    for user, amount in (("otter", 9), ("heron", 5), ("wren", 3)):
        give(api, space, user, amount)
    live_server.wait_flushed()
    moment = quote(datetime.now(UTC).isoformat())
    # Nobody waits for a day here: the server is urls for a moment ago.
    page.route(
        re.compile("compare_to="),
        lambda route: route.continue_(url=re.sub("compare_to=[^&]*", f"compare_to={moment}", route.request.url)),
    )
    give(api, space, "wren", 4)
    give(api, space, "newt", 1)
    live_server.wait_flushed()
    page.goto(f"{live_server.url}/#/{space}/all")
    shown(page, ("1", "otter", "9"), ("2", "wren", "7"), ("3", "heron", "5"), ("4", "newt", "1"))
    changes = page.locator("#rows .change")
    expect(changes).to_have_text(["", "▲1", "▼1", "new"])
    expect(page.get_by_role("img", name="up 1 since")).to_have_count(1)
    # They follow the ranks of now without another question.
    urls = []
    page.on("request", lambda request: urls.append(request.url))
    give(api, space, "wren", 10)
    shown(page, ("1", "wren", "17"), ("2", "otter", "9"), ("3", "heron", "5"), ("4", "newt", "1"))
    expect(changes).to_have_text(["▲2", "▼1", "▼1", "new"])
    assert not [url for url in urls if "compare_to" in url]


@pytest.mark.full
def test_a_board_that_nobody_was_on_has_no_arrows(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    give(api, space, "otter", 9)
    live_server.wait_flushed()
    with page.expect_response(lambda answer: "compare_to" in answer.url) as answered:
        page.goto(f"{live_server.url}/#/{space}/all")
    assert answered.value.status == 200
    shown(page, ("1", "otter", "9"))
    expect(page.locator("#rows .change")).to_have_text([""])


def test_the_row_of_whose_neighbours_are_shown_stands_out(
    live_server: Any, api: httpx.Client, board: str, page: Page
) -> None:
    page.goto(f"{live_server.url}/#/{board}/all/10/heron")
    expect(page.locator("#rows tr[aria-current=true] .name")).to_have_text("heron")
    expect(page.locator("#rows tr[aria-current]")).to_have_count(1)
    page.get_by_role("button", name="Show the top").click()
    expect(page.locator("#rows tr[aria-current]")).to_have_count(0)
