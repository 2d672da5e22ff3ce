"""A board of the past in the element."""

import time
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Watched, give, shown, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")
SEEK = "(moment) => document.getElementById('leader-board').setAttribute('as-of', moment)"
BACK = "document.getElementById('leader-board').removeAttribute('as-of')"


def test_rows_go_back_and_come_back(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    give(api, board, "wren", 20)
    page.goto(f"{live_server.url}/#/{board}/all")
    now = (("1", "wren", "20"), ("2", "otter", "9"), ("3", HOSTILE, "5"), ("4", "heron", "3"))
    shown(page, *now)
    otter = page.locator("#rows tr", has_text="otter").element_handle()
    page.evaluate(SEEK, moment)
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    wait_for_state(page, "Past")
    assert otter.evaluate("row => row.isConnected")
    expect(page.locator("#announcer")).to_have_text("")
    page.evaluate(SEEK, "2020-01-01T00:00:00Z")
    expect(page.locator("#note h2")).to_have_text("No scores yet")
    page.evaluate(BACK)
    shown(page, *now)
    wait_for_state(page, "Live")
    give(api, board, "otter", 31)
    shown(page, ("1", "otter", "40"), ("2", "wren", "20"), ("3", HOSTILE, "5"), ("4", "heron", "3"))


def test_the_newest_wish_waits_as_long_as_the_server_says(
    live_server: Any, board: str, page: Page, watched: Watched
) -> None:
    questions: list[tuple[float, str]] = []

    def answer(route: Route) -> None:
        questions.append((time.monotonic(), route.request.url))
        if len(questions) > 1:
            return route.continue_()
        body = '{"code": "overloaded", "detail": "two at once"}'
        return route.fulfill(
            status=503, headers={"Retry-After": "1"}, content_type="application/problem+json", body=body
        )

    page.route("**/boards/all?*as_of=*", answer)
    page.goto(f"{live_server.url}/#/{board}/all")
    wait_for_state(page, "Live")
    page.evaluate(SEEK, "2020-01-01T00:00:00Z")
    wait_for_state(page, "Reconnecting", "The server is overloaded")
    page.evaluate(SEEK, "2020-01-02T00:00:00Z")
    page.evaluate(SEEK, "2099-01-01T00:00:00Z")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    wait_for_state(page, "Past")
    assert ["2020-01-01" in questions[0][1], "2099-01-01" in questions[1][1], len(questions)] == [True, True, 2]
    assert questions[1][0] - questions[0][0] >= 1
    watched.forgive("503")


def test_the_page_plays_a_board_from_its_past(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    give(api, board, "wren", 20)
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "wren", "20"), ("2", "otter", "9"), ("3", HOSTILE, "5"), ("4", "heron", "3"))
    wait_for_state(page, "Live")
    page.get_by_role("button", name="Replay").click()
    wait_for_state(page, "Past")
    time_slider = page.get_by_role("slider", name="Time")
    expect(time_slider).to_be_focused()
    time_slider.press("Home")  # 30 days ago nobody was there.
    expect(page.locator("#note h2")).to_have_text("No scores yet")
    page.get_by_role("button", name="Play", exact=True).click()
    expect(time_slider).to_have_value("1")
    page.get_by_role("button", name="Pause").click()
    time_slider.press("End")
    expect(page.locator("#rows tr")).not_to_have_count(0)
    page.get_by_role("button", name="Back to live").click()
    wait_for_state(page, "Live")
    expect(time_slider).to_be_hidden()
    shown(page, ("1", "wren", "20"), ("2", "otter", "9"), ("3", HOSTILE, "5"), ("4", "heron", "3"))
