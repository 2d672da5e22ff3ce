"""The page at / in a real headless Chromium, against the real server."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.page_view import (
    CHROMIUM,
    HOSTILE,
    LONG,
    REVERSED,
    Open,
    Watched,
    give,
    publish,
    shown,
    wait_for_state,
)

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def test_a_public_board_appears(live_server: Any, board: str, page: Page) -> None:
    page.goto(live_server.url)
    page.select_option("#namespace", board)
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    wait_for_state(page, "Live")
    expect(page.get_by_role("table", name=board)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    expect(page.locator("#meta")).to_have_text("3 players · All time")
    assert page.url.endswith(f"/#/{board}/all")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_grant_moves_a_row_without_a_reload(
    live_server: Any, api: httpx.Client, board: str, open_page: Open, motion: str
) -> None:
    page = open_page(motion=motion)
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.evaluate("window.same = true")
    give(api, board, "heron", 10)
    expect(page.locator("#rows tr").first.locator(".gain")).to_have_text("+10")
    shown(page, ("1", "heron", "13"), ("2", "otter", "9"), ("3", HOSTILE, "5"))
    expect(page.locator(".gain:not(:empty)")).to_have_count(0)
    assert page.evaluate("window.same")
    ops = page.evaluate("window.animations.filter((frames) => frames.includes('translateY'))")
    assert len(ops) == (3 if motion == "no-preference" else 0)


def test_a_lower_score_is_shown_as_a_loss(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    give(api, board, "otter", -5)
    expect(page.locator("#rows tr").nth(1).locator(".gain")).to_have_text("−5")
    shown(page, ("1", HOSTILE, "5"), ("2", "otter", "4"), ("3", "heron", "3"))


@pytest.mark.parametrize("width", [360, 1920])
def test_a_hostile_name_is_text(live_server: Any, api: httpx.Client, board: str, open_page: Open, width: int) -> None:
    give(api, board, LONG, 2)
    give(api, board, REVERSED, 1)
    publish(api, board, display_name=f"{HOSTILE} {LONG}"[:128])
    page = open_page(width)
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"), ("4", LONG, "2"), ("5", REVERSED, "1"))
    expect(page.locator("#title")).to_contain_text(HOSTILE)
    assert page.locator("main img, main script").count() == 0
    assert page.evaluate("window.hacked") is None
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    # Too long a name is cut short, and pushes no score out of sight.
    cut = page.locator("#rows tr").nth(3).locator(".name").evaluate("(name) => name.scrollWidth > name.clientWidth")
    assert cut
    expect(page.locator("#rows tr").nth(3).locator(".score")).to_be_in_viewport()


def test_a_changed_name_shows_as_text_without_a_reload(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    user = f"{space}-otter"
    publish(api, space)
    give(api, space, user, 9)
    page.goto(f"{live_server.url}/#/{space}/all")
    shown(page, ("1", user, "9"))
    page.evaluate("window.same = true")
    for name in (HOSTILE, "Olive", None):
        assert api.put(f"/v1/users/{user}", json={"display_name": name}).status_code == 200
        shown(page, ("1", name or user, "9"))
    assert page.evaluate("window.same")
    wait_for_state(page, "Live")
    assert page.locator("main img, main script").count() == 0


def test_another_window_has_other_rows(live_server: Any, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.get_by_text("Week", exact=True).click()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    expect(page.locator("#meta")).to_contain_text("2 players · ")
    assert page.url.endswith(f"/#/{board}/week")
    page.go_back()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.go_forward()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    page.goto(f"{live_server.url}/#/{board}/2020-01")
    shown(page, ("1", "heron", "3"))
    expect(page.locator("#meta")).to_have_text("1 player · Jan 1 – 31, 2020")


def test_the_keyboard_reaches_everything(live_server: Any, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    order = []
    for _ in range(8):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert order == [
        "search-q",
        "key-open",
        "replay-open",
        "statistics-open",
        "share-open",
        "namespace",
        "limit",
        "all",
    ]
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    assert page.evaluate("document.activeElement.value") == "week"
    assert page.url.endswith(f"/#/{board}/week")


def test_more_rows_are_shown_on_demand(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    for i in range(12):
        give(api, space, f"otter {i}", 100 - i)
    page.goto(f"{live_server.url}/#/{space}/all")
    expect(page.locator("#rows tr")).to_have_count(10)
    page.select_option("#limit", "25")
    expect(page.locator("#rows tr")).to_have_count(12)
    assert page.url.endswith(f"/#/{space}/all/25")
    page.reload()
    expect(page.locator("#rows tr")).to_have_count(12)
    # One that drops out of the ten leaves the page.
    page.select_option("#limit", "10")
    expect(page.locator("#rows tr")).to_have_count(10)
    give(api, space, "otter 11", 50)
    expect(page.locator(".name").first).to_have_text("otter 11")
    expect(page.locator(".name").last).to_have_text("otter 8")


def test_an_empty_board_waits_for_its_first_score(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space, scale=2, display_name="Spring cup")
    page.goto(f"{live_server.url}/#/{space}/week")
    expect(page.locator("#note h2")).to_have_text("No scores yet")
    expect(page.locator("#title")).to_have_text("Spring cup")
    give(api, space, "otter", 1234.5)
    shown(page, ("1", "otter", "1,234.50"))
    expect(page.locator("#note")).to_be_hidden()


def test_a_private_board_needs_a_key(
    live_server: Any, api: httpx.Client, space: str, page: Page, open_page: Open, watched: Watched
) -> None:
    give(api, space, "otter", 9)
    page.goto(f"{live_server.url}/#/{space}/all")
    wait_for_state(page, "Waiting", "There is no such public board: a private one needs a key")
    page.get_by_role("button", name="Enter a key").click()
    page.fill("#key", "lb_wrong_0123456789abcdef")
    page.keyboard.press("Enter")
    wait_for_state(page, "Stopped", "The key was not accepted")
    watched.forgive("401")
    page.get_by_role("button", name="Enter a key").click()
    page.fill("#key", live_server.key)
    page.get_by_role("button", name="Use key").click()
    shown(page, ("1", "otter", "9"))
    expect(page.locator("#namespace option:checked")).to_have_text(f"{space} · private")
    give(api, space, "otter", 1)
    shown(page, ("1", "otter", "10"))
    page.reload()
    shown(page, ("1", "otter", "10"))
    assert live_server.key not in page.url
    assert page.evaluate("localStorage.length + document.cookie.length") == 0
    page.get_by_role("button", name="Key in use").click()
    page.get_by_role("button", name="Forget").click()
    wait_for_state(page, "Waiting", "There is no such public board: a private one needs a key")
    expect(page.locator("#rows tr")).to_have_count(0)
    watched.forgive("401")  # Until another key came, and without one.


def test_a_missing_board_is_reported(live_server: Any, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/no-such-board/all")
    wait_for_state(page, "Waiting", "There is no such public board: a private one needs a key")
    page.goto(f"{live_server.url}/#/{board}/2020-13")
    wait_for_state(page, "Waiting", "There is no such window on this board")
    page.select_option("#namespace", board)
    page.get_by_text("All time").click()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.goto(f"{live_server.url}/#/%E0%A4%A/<b>")
    wait_for_state(page, "Live")
    assert "<" not in page.url
    assert page.url.endswith("/all"), "not even a board is shown"


def test_the_page_comes_back_after_a_restart(own_stack: Any, page: Page, watched: Watched) -> None:
    with own_stack.client() as client:
        publish(client, "board")
        give(client, "board", "otter", 4)
        page.goto(f"{own_stack.url}/#/board/all")
        shown(page, ("1", "otter", "4"))
        own_stack.stop("serve")
        expect(page.locator("#state b")).to_have_text("Reconnecting")
        shown(page, ("1", "otter", "4"))
        own_stack.start("serve")
        give(client, "board", "heron", 6)
        wait_for_state(page, "Live", timeout_ms=30_000)
        shown(page, ("1", "heron", "6"), ("2", "otter", "4"))
        own_stack.kill("serve")
        expect(page.locator("#state b")).to_have_text("Reconnecting")
        own_stack.start("serve")
        wait_for_state(page, "Live", timeout_ms=30_000)
        give(client, "board", "otter", 6)
        shown(page, ("1", "otter", "10"), ("2", "heron", "6"))
    watched.forgive("WebSocket connection to", "ERR_CONNECTION_REFUSED")


@pytest.mark.parametrize("width", [360, 1280])
def test_every_period_has_its_place(
    live_server: Any, api: httpx.Client, board: str, open_page: Open, width: int
) -> None:
    name = f"{board}-periods"
    periods = ["all", "year", "quarter", "month", "week", "day", "hour"]
    rules = {"visibility": "public", "periods": periods, "day_starts": "04:00", "timezone": "Europe/Berlin"}
    assert api.put(f"/v1/namespaces/{name}", json=rules).status_code == 201
    give(api, name, "otter", 9)
    page = open_page(width)
    page.goto(f"{live_server.url}/#/{name}/hour")
    shown(page, ("1", "otter", "9"))
    labels = page.locator("#windows label")
    expect(labels).to_have_text(["All time", "Year", "Quarter", "Month", "Week", "Day", "Hour"])
    frame = page.locator("#windows").bounding_box()
    assert frame is not None
    for box in (label.bounding_box() for label in labels.all()):
        assert box is not None
        assert frame["x"] <= box["x"]
        assert box["x"] + box["width"] <= frame["x"] + frame["width"]
    page.get_by_text("Day", exact=True).click()
    expect(page.locator("#meta")).to_contain_text("4:00 AM")
