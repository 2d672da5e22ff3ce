"""`<leader-board>`: in pages of its own, and what the server's page gets from it."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.page_view import CHROMIUM, HOSTILE, LONG, Open, Watched, give, publish, shown, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

SEASON = "a-season-with-a-name-that-goes-on-and-on-and-on-and-on-2026"
BOXES = """() => [...document.querySelector('leader-board').shadowRoot.querySelectorAll('#rows tr')]
    .map((row) => ['.name', '.gain', '.score'].map((cell) => {
      const { left, right, top, bottom } = row.querySelector(cell).getBoundingClientRect();
      return { left, right, top, bottom };
    }))"""
HUES = """() => [...document.querySelector('leader-board').shadowRoot.querySelectorAll('#rows tr')]
    .map((row) => Number(row.style.getPropertyValue('--lb-hue')))"""
PARTS = """() => [...document.querySelector('leader-board').shadowRoot.querySelectorAll('.bar')]
    .map((bar) => new DOMMatrix(getComputedStyle(bar).transform).a)"""


def test_a_page_embeds_a_board(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")  # Its policy is a strict one.
    wait_for_state(page, "Live")
    page.evaluate("document.querySelector('main').innerHTML = '<leader-board limit=2 lang=de></leader-board>'")
    page.evaluate("(name) => document.querySelector('leader-board').setAttribute('namespace', name)", board)
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    expect(page.locator("th").first).to_have_text("Rang")
    give(api, board, "heron", 1_000.0)
    shown(page, ("1", "heron", "1.003"), ("2", "otter", "9"))
    expect(page.locator("#announcer")).to_have_text("heron führt jetzt, mit 1.003")
    page.evaluate("document.querySelector('leader-board').setAttribute('around', 'otter')")
    shown(page, ("1", "heron", "1.003"), ("2", "otter", "9"), ("3", HOSTILE, "5"))
    expect(page.locator("tr[aria-current=true] .name")).to_have_text("otter")
    page.evaluate("document.querySelector('leader-board').remove()")


def test_a_token_that_comes_later_opens_a_private_board(
    live_server: Any, api: httpx.Client, board: str, space: str, page: Page
) -> None:
    private = f"{space}-private"
    api.put(f"/v1/namespaces/{private}", json={}).raise_for_status()
    give(api, private, "wren", 4)
    user = {"user_id": "wren", "namespaces": [private]}
    token = api.post("/v1/tokens", json=user).raise_for_status().json()["token"]
    page.goto(f"{live_server.url}/#/{board}/all")
    wait_for_state(page, "Live")
    page.evaluate("(name) => document.querySelector('leader-board').setAttribute('namespace', name)", private)
    wait_for_state(page, "Waiting", "There is no such public board: a private one needs a key")
    page.evaluate("(token) => document.querySelector('leader-board').setAttribute('token', token)", token)
    shown(page, ("1", "wren", "4"))


def test_a_board_that_is_made_anew_comes_back(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    wait_for_state(page, "Live")
    assert api.delete(f"/v1/namespaces/{board}?confirm={board}").status_code == 204
    wait_for_state(page, "Waiting", "There is no such public board: a private one needs a key")
    publish(api, board)
    give(api, board, "wren", 4)
    wait_for_state(page, "Live", timeout_ms=20_000)  # The client's waits become longer.
    shown(page, ("1", "wren", "4"))


def test_a_phone_shows_long_words_without_overflow(
    live_server: Any, api: httpx.Client, space: str, open_page: Open
) -> None:
    season = {"name": SEASON, "starts": "2020-01-01T00:00:00Z", "ends": "2100-01-01T00:00:00Z"}
    publish(api, space, seasons=[season], scale=6)
    give(api, space, LONG, 999_999_999.5)
    give(api, space, "otter", -3)
    page = open_page(390)
    page.goto(f"{live_server.url}/#/{space}/season:{SEASON}")
    shown(page, ("1", LONG, "999,999,999.500000"), ("2", "otter", "−3.000000"))
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    give(api, space, LONG, -888_888_888.25)
    expect(page.locator(".gain").first).to_have_text("−888,888,888.250000")
    for name, gain, score in page.evaluate(BOXES):
        assert gain["right"] == 0 or gain["top"] >= name["bottom"] or gain["left"] >= name["right"]
        assert score["left"] >= name["right"]
    targets = page.locator("header button, #tools button:visible, select:visible, #windows label")
    boxes = [one.bounding_box() for one in targets.all()]
    assert all(box and box["width"] >= 43.9 and box["height"] >= 43.9 for box in boxes)


def test_rows_move_from_where_they_were(live_server: Any, api: httpx.Client, board: str, open_page: Open) -> None:
    page = open_page(motion="no-preference")
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    tops = page.evaluate(BOXES.replace("['.name', '.gain', '.score'].map((cell) =>", "['.name'].map((cell) =>"))
    step = tops[1][0]["top"] - tops[0][0]["top"]
    page.evaluate("window.animations.length = 0")
    give(api, board, "heron", 10)
    shown(page, ("1", "heron", "13"), ("2", "otter", "9"), ("3", HOSTILE, "5"))
    moving = "window.animations.filter((frames) => frames.includes('translateY'))"
    page.wait_for_function(f"{moving}.length === 3")
    moves = page.evaluate(moving)
    starts = sorted(float(move.partition("translateY(")[2].partition("px")[0]) for move in moves)
    assert starts == pytest.approx([-step, -step, 2 * step], abs=1)


def test_where_the_lowest_is_best_its_bar_is_longest(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    publish(api, space, order="asc", aggregation="best")
    give(api, space, "otter", 60)
    give(api, space, "heron", 120)
    page.goto(f"{live_server.url}/#/{space}/all")
    shown(page, ("1", "otter", "60"), ("2", "heron", "120"))
    assert page.evaluate(PARTS) == [1, 0.5]


def test_ids_that_are_alike_have_colours_that_are_not(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    publish(api, space)
    for i in range(10):
        give(api, space, f"player-{i}", 10 - i)
    page.goto(f"{live_server.url}/#/{space}/all")
    expect(page.locator("#rows tr")).to_have_count(10)
    hues = sorted(page.evaluate(HUES))
    assert len(set(hues)) == 10
    assert hues[-1] - hues[0] > 180


def test_nothing_moves_when_the_connection_is_lost(own_stack: Any, open_page: Open, watched: Watched) -> None:
    with own_stack.client() as client:
        publish(client, "board")
        give(client, "board", "otter", 4)
        page = open_page(390)
        page.goto(f"{own_stack.url}/#/board/all")
        shown(page, ("1", "otter", "4"))
        before = page.evaluate(BOXES)
        own_stack.stop("serve")
        expect(page.locator("#state b")).to_have_text("Reconnecting")
        assert page.evaluate(BOXES) == before
    watched.forgive("WebSocket connection to", "ERR_CONNECTION_REFUSED")


def test_arabic_is_read_from_the_right(live_server: Any, board: str, browser: Browser) -> None:
    page = browser.new_page(locale="ar")
    page.goto(f"{live_server.url}/#/{board}/all")
    expect(page.locator("#state b")).to_have_text("مباشر")
    assert page.evaluate("document.documentElement.dir") == "rtl"
    rank, score = (page.locator(cell).first.bounding_box() for cell in (".rank", ".score"))
    assert rank is not None
    assert score is not None
    assert rank["x"] > score["x"]
    page.close()


def test_every_language_says_everything(live_server: Any, page: Page) -> None:
    page.goto(live_server.url)
    kinds = page.evaluate("""async () => {
      const forms = ['count', 'players', 'streak', 'best', 'behind', 'grants']; // Each language has its own.
      const inside = (name, text, at) => {
        if (forms.includes(name) || typeof text === 'string') return [at + name];
        return paths(text, `${at}${name}.`);
      };
      const paths = (texts, at = '') => Object.entries(texts).flatMap(([name, text]) => inside(name, text, at));
      const files = await Promise.all(['en', 'de', 'ar'].map((one) => import(`/clients/text_${one}.js`)));
      return files.map((file) => paths(file.default).sort());
    }""")
    assert kinds[0] == kinds[1] == kinds[2]
    page.close()


def test_a_row_opens_what_is_known_of_its_user(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space, streaks=True, scale=1)
    give(api, space, "otter", 9)
    give(api, space, "heron", 7, source="race", action="finish")
    give(api, space, "heron", -0.5, source="penalty")
    page.goto(f"{live_server.url}/#/{space}/week")
    shown(page, ("1", "otter", "9.0"), ("2", "heron", "6.5"))
    page.get_by_role("button", name="heron").focus()
    page.keyboard.press("Enter")
    drawer = page.get_by_role("dialog", name="heron")
    expect(drawer.locator("dt")).to_have_text(["All time", "Month", "Week", "Day"])
    expect(drawer.locator("dd").first).to_have_text("2 · 6.52.5 to the next")
    expect(page.locator("#drawer-streak")).to_have_text("1 day in a row · best: 1 day")
    expect(page.locator("#drawer-note")).to_contain_text("a key with the scope “read”")
    page.keyboard.press("Escape")
    expect(drawer).to_be_hidden()

    page.get_by_role("button", name="Use a key").click()
    page.fill("#key", live_server.key)
    page.keyboard.press("Enter")
    page.get_by_role("button", name="heron").click()
    grants = page.locator("#drawer-grants li")
    expect(grants).to_have_count(2)
    assert sorted(grants.locator("b").all_text_contents()) == ["7.0", "−0.5"]
    assert sorted(grants.locator("bdi").all_text_contents()) == ["penalty", "race · finish"]

    page.get_by_role("button", name="Show those around").click()
    shown(page, ("1", "otter", "9.0"), ("2", "heron", "6.5"))
    assert page.url.endswith(f"/#/{space}/week/10/heron")
    page.get_by_role("button", name="Show the top").click()
    assert page.url.endswith(f"/#/{space}/week")
