"""The switch beside periods: seasons, categories, older windows, and how long a window lasts yet."""

from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Open, give, publish, shown, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def test_older_windows_are_read_once(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    give(api, board, "wren", 4, granted_at=(datetime.now(UTC) - timedelta(days=1)).isoformat())
    page.goto(f"{live_server.url}/#/{board}/day")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    expect(page.locator("#left")).to_contain_text("ends in")
    expect(page.get_by_role("button", name="Later")).to_be_disabled()
    page.get_by_role("button", name="Earlier").click()
    shown(page, ("1", "wren", "4"))
    wait_for_state(page, "Over")
    expect(page.locator("#left")).to_have_text("Over")
    expect(page.locator("#windows input:checked")).to_have_value("day")
    address = page.url
    page.get_by_role("button", name="Later").click()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    wait_for_state(page, "Live")
    assert page.url.endswith(f"/#/{board}/day")
    page.goto(address)
    shown(page, ("1", "wren", "4"))
    page.get_by_text("Day", exact=True).click()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))


@pytest.mark.full
def test_seasons_and_categories_are_chosen(live_server: Any, api: httpx.Client, space: str, open_page: Open) -> None:
    seasons = [
        {"name": "spring-" + "long-" * 10, "starts": "2020-01-01T00:00:00Z", "ends": "2100-01-01T00:00:00Z"},
        {"name": "past", "starts": "2020-01-01T00:00:00Z", "ends": "2020-02-01T00:00:00Z"},
    ]
    publish(api, space, seasons=seasons, category_boards=True, accept_past="P30D")
    give(api, space, "otter", 9, category="red")
    give(api, space, "heron", 7, category="blue & green")
    for width in (390, 1280):
        page = open_page(width)
        page.goto(f"{live_server.url}/#/{space}/all")
        shown(page, ("1", "otter", "9"), ("2", "heron", "7"))
        expect(page.locator("#left")).to_have_text("")
        page.select_option("#category", "blue & green")
        shown(page, ("1", "heron", "7"))
        page.reload()
        shown(page, ("1", "heron", "7"))
        expect(page.locator("#category")).to_have_value("blue & green")
        page.select_option("#season", seasons[0]["name"])
        shown(page, ("1", "heron", "7"))
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.select_option("#category", "")
        shown(page, ("1", "otter", "9"), ("2", "heron", "7"))
        page.select_option("#season", "past")
        expect(page.locator("#note h2")).to_have_text("No scores yet")
        expect(page.locator("#left")).to_have_text("final")
        page.get_by_text("All time").click()
        shown(page, ("1", "otter", "9"), ("2", "heron", "7"))


@pytest.mark.full
def test_windows_have_the_names_that_the_server_makes(live_server: Any, page: Page) -> None:
    page.goto(live_server.url)
    names = page.evaluate("""async () => {
      const { windowAt, periodOf } = await import('/web/calendar.js');
      const rules = { timezone: 'Europe/London', day_starts: '04:00', week_starts: 'sunday' };
      const at = Date.parse('2021-07-19T01:30:00Z'); // 2:30 at night there.
      const periods = ['year', 'quarter', 'month', 'week', 'day', 'hour'];
      const weeks = ['2021-01-01', '2020-12-31', '2024-12-30', '2026-11-29']
          .map((day) => windowAt('week', Date.parse(day), {}));
      const own = periods.map((period) => windowAt(period, at, rules));
      return [own, weeks, own.map(periodOf)];
    }""")
    assert names[0] == ["2021", "2021-Q3", "2021-07", "W2021-07-18", "2021-07-18", "2021-07-19T02"]
    assert names[1] == ["2020-W53", "2020-W53", "2025-W01", "2026-W48"]
    assert names[2] == ["year", "quarter", "month", "week", "day", "hour"]
