"""How scores are spread and how many grants came in, on the page."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Open, Watched, give, publish, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture
def spread(api: httpx.Client, space: str) -> str:
    """A public board with scores from 1 to 9, two of them equal."""
    publish(api, space)
    for user, amount in (("otter", 1), ("heron", 4), ("wren", 4), (HOSTILE, 9)):
        give(api, space, user, amount)
    return space


def requests_of(page: Page, part: str) -> list[str]:
    """Collects the addresses that the page asks for and that have a part."""
    urls: list[str] = []

    def note(request: Request) -> None:
        if part in request.url:
            urls.append(request.url)

    page.on("request", note)
    return urls


def rows_of(page: Page, chart: str) -> list[list[str]]:
    lines = page.locator(f"#statistics-{chart} tbody tr").all()
    return [line.locator("th, td").all_text_contents() for line in lines]


def test_statistics_are_shown_when_they_are_asked_for(live_server: Any, spread: str, page: Page) -> None:
    requests = requests_of(page, "/stats?")
    page.goto(f"{live_server.url}/#/{spread}/all/10/heron")
    wait_for_state(page, "Live")
    assert requests == []
    button = page.get_by_role("button", name="Statistics")
    assert button.get_attribute("aria-expanded") == "false"
    button.click()
    assert button.get_attribute("aria-expanded") == "true"
    region = page.get_by_role("region", name="Statistics")
    expect(region.locator("#statistics-sums")).to_have_text(
        "4 players · mean 4.5 · median 4 · best tenth from 9",
    )
    expect(page.locator("#statistics-spread rect")).to_have_count(3)
    spans = rows_of(page, "spread")
    assert [row[0] for row in spans if row[1] != "0"] == ["1 to 2", "4 to 5", "9"]
    assert sum(int(row[1]) for row in spans) == 4
    expect(page.locator("#statistics-spread .marked")).to_have_count(1)
    assert page.locator("#statistics-spread .marked title").text_content() == "4 to 5: 2 players"
    expect(page.locator("#statistics-place")).to_have_text("heron has 4, rank 2 of 4: in the marked bar.")
    expect(page.locator("#statistics-trend rect")).to_have_count(1)
    assert [row[1:] for row in rows_of(page, "trend")] == [["4", "4"]]
    assert page.evaluate("document.activeElement.id") == "statistics-title"
    page.get_by_role("button", name="Close").click()
    expect(region).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "statistics-open"


@pytest.mark.full
def test_days_are_in_their_order_up_to_today(live_server: Any, api: httpx.Client, spread: str, open_page: Open) -> None:
    page = open_page(390)
    page.goto(f"{live_server.url}/#/{spread}/all")
    page.get_by_role("button", name="Statistics").click()
    page.get_by_label("Time that is shown").select_option("day")
    expect(page.locator("#statistics-trend rect")).to_have_attribute("x", "29.08")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [one.bounding_box() for one in page.locator("#statistics :is(button, select)").all()]
    assert all(box and box["width"] >= 43.9 and box["height"] >= 43.9 for box in boxes)


@pytest.mark.full
def test_another_board_has_other_statistics(live_server: Any, api: httpx.Client, spread: str, page: Page) -> None:
    empty = f"{spread}-empty"
    publish(api, empty)
    page.goto(f"{live_server.url}/#/{spread}/all")
    page.get_by_role("button", name="Statistics").click()
    expect(page.locator("#statistics-sums")).to_contain_text("4 players")
    page.goto(f"{live_server.url}/#/{empty}/week")
    expect(page.locator("#statistics-sums")).to_have_text("No scores yet")
    expect(page.locator("#statistics-trend")).to_have_text("No grants in this time.")
    expect(page.locator("#statistics-spread")).to_be_empty()


@pytest.mark.full
def test_statistics_that_are_not_for_the_reader_say_so(
    live_server: Any, api: httpx.Client, space: str, page: Page, watched: Watched
) -> None:
    publish(api, space, visibility="private")
    give(api, space, "otter", 9)
    page.goto(f"{live_server.url}/#/{space}/all")
    page.get_by_role("button", name="Statistics").click()
    note = page.locator("#statistics-note")
    expect(note).to_have_text("That could not be read: There is no such public board: a private one needs a key")
    page.get_by_role("button", name="Use a key").click()
    page.fill("#key", live_server.key)
    page.keyboard.press("Enter")
    expect(page.locator("#statistics-sums")).to_contain_text("1 player")
    expect(note).to_be_empty()
    page.goto(f"{live_server.url}/#/{space}/2020-13")
    expect(note).to_have_text("That could not be read: There is no such window on this board")
    expect(page.locator("#statistics-spread")).to_be_empty()
    watched.forgive("401", "404")


@pytest.mark.full
def test_a_server_that_asks_for_patience_is_not_pressed(
    live_server: Any, spread: str, page: Page, watched: Watched
) -> None:
    requests = requests_of(page, "/stats?")
    problem = {"code": "rate_limited", "detail": "too many", "status": 429}
    page.route("**/stats?*", lambda route: route.fulfill(status=429, headers={"Retry-After": "60"}, json=problem))
    page.goto(f"{live_server.url}/#/{spread}/all")
    page.get_by_role("button", name="Statistics").click()
    expect(page.locator("#statistics-note")).to_have_text("That could not be read: The server asks for patience")
    assert len(requests) == 1
    watched.forgive("429")


@pytest.mark.full
def test_statistics_are_read_again_once_a_minute_while_they_are_seen(
    live_server: Any, api: httpx.Client, spread: str, page: Page
) -> None:
    requests = requests_of(page, "/stats?")
    page.clock.install()
    page.goto(f"{live_server.url}/#/{spread}/all")
    page.get_by_role("button", name="Statistics").click()
    expect(page.locator("#statistics-sums")).to_contain_text("4 players")
    give(api, spread, "finch", 2)
    page.clock.fast_forward(59_000)
    assert len(requests) == 1
    page.clock.fast_forward(2_000)
    expect(page.locator("#statistics-sums")).to_contain_text("5 players")
    page.get_by_role("button", name="Close").click()
    page.clock.fast_forward(300_000)
    assert len(requests) == 2


@pytest.mark.full
def test_arabic_charts_go_from_the_right(live_server: Any, spread: str, browser: Browser) -> None:
    page = browser.new_page(locale="ar")
    page.goto(f"{live_server.url}/#/{spread}/all")
    page.locator("#statistics-open").click()
    first, last = (page.locator("#statistics-spread rect").nth(i).bounding_box() for i in (0, -1))
    assert first
    assert last
    assert first["x"] > last["x"]
    page.close()
