"""The wall: a board for a screen that nobody touches, in a real headless Chromium, against the real server."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.page_view import CHROMIUM, Watched, give, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

Screen = Callable[..., Page]
SHOWN = "leader-board:not(.spare)"
#: Left, right, top and bottom of each row of the shown board.
BOXES = """() => {
    const rows = document.querySelector('leader-board:not(.spare)').shadowRoot.querySelectorAll('#rows tr');
    return [...rows].map((row) => row.getBoundingClientRect()).map((box) => [box.left, box.right, box.top, box.bottom]);
}"""
SHIFTS = """
window.shifts = [];
new PerformanceObserver((list) => window.shifts.push(...list.getEntries().map((one) => one.value)))
    .observe({ type: 'layout-shift', buffered: true });
"""
WAKE = """
window.locks = [];
Object.defineProperty(navigator, 'wakeLock', { value: { request: async (kind) => {
    const lock = { kind, released: false, onrelease: null };
    window.locks.push(lock);
    return lock;
} } });
"""


@pytest.fixture
def screen(browser: Browser, watched: Watched) -> Iterator[Screen]:
    """Opens a page of a size; with `clock`, its time goes on by hand."""
    opened: list[Page] = []

    def opener(width: int = 1920, height: int = 1080, *, clock: bool = False, script: str = "", **more: Any) -> Page:
        more = {"locale": "en-US", "reduced_motion": "reduce", **more}
        page = browser.new_page(viewport={"width": width, "height": height}, **more)
        opened.append(page)
        watched.watch(page)
        if script:
            page.add_init_script(script)
        if clock:
            page.clock.install()
        return page

    yield opener
    for page in opened:
        page.close()


def fill(api: httpx.Client, name: str, count: int, **rules: Any) -> None:
    publish(api, name, **rules)
    grants = [{"grant_id": f"g{i}", "user_id": f"player {i}", "amount": 100 - i} for i in range(count)]
    assert api.post(f"/v1/namespaces/{name}/grants", json=grants).json()["applied"] == count


def rows(page: Page) -> Any:
    return page.locator(f"{SHOWN} >> #rows tr")


def names(page: Page) -> Any:
    return page.locator(f"{SHOWN} >> #rows .name")


def check_fill(page: Page, width: int, height: int) -> int:
    """Rows fill the screen, none reaches beyond it. Returns the number of columns."""
    boxes = page.evaluate(BOXES)
    assert min(left for left, _, _, _ in boxes) < width * 0.03
    assert max(right for _, right, _, _ in boxes) > width * 0.97
    assert all(0 <= left < right <= width for left, right, _, _ in boxes)
    assert max(bottom for _, _, _, bottom in boxes) > height * 0.9
    assert min(top for _, _, top, _ in boxes) < height * 0.2
    assert max(bottom for _, _, _, bottom in boxes) < height
    inside = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    assert page.evaluate(inside) == [width, height]
    return len({left for left, _, _, _ in boxes})


def test_a_wall_fills_its_screen_and_nothing_on_it_shifts(
    live_server: Any, api: httpx.Client, space: str, screen: Screen
) -> None:
    fill(api, space, 20, display_name="Spring cup")
    page = screen(3840, 2160, script=SHIFTS + WAKE, reduced_motion="no-preference")
    page.goto(f"{live_server.url}/wall/{space}/week?rows=20")
    expect(rows(page)).to_have_count(20)
    assert check_fill(page, 3840, 2160) == 2
    expect(page.locator("#title")).to_have_text("Spring cup")
    expect(page.locator("#what")).to_contain_text("Week · ")
    expect(page.locator("#count")).to_have_text("20 players")
    expect(page.locator("#clock")).to_contain_text("Ends in")
    expect(page.locator("#qr svg")).to_be_visible()
    expect(page.locator("#state")).to_have_text("")
    assert page.evaluate("getComputedStyle(document.body).cursor") == "none"
    page.evaluate("window.shifts.length = 0")
    give(api, space, "player 19", 500)
    expect(names(page).first).to_have_text("player 19")
    page.evaluate("new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    assert page.evaluate("window.shifts") == []
    assert page.evaluate("window.locks.map((lock) => lock.kind)") == ["screen"]
    page.evaluate("Object.assign(window.locks[0], { released: true }).onrelease()")
    assert page.evaluate("window.locks.length") == 2, "taken again"


def test_boards_take_turns_and_what_is_missing_is_left_out(
    live_server: Any, api: httpx.Client, space: str, screen: Screen
) -> None:
    fill(api, space, 3, display_name="First")
    fill(api, f"{space}-other", 2, display_name="Other", category_boards=True)
    give(api, f"{space}-other", "otter", 9, category="a/b, c")
    page = screen(clock=True)
    boards = f"{space}-gone/all,{space}-other/day/a%252Fb%252C%20c"
    page.goto(f"{live_server.url}/wall/{space}/all?boards={boards}&seconds=10")
    expect(page.locator("#title")).to_have_text("First")
    expect(page.locator("#dots i")).to_have_count(3)
    other = page.locator("leader-board.spare")
    page.clock.run_for(6_000)
    expect(other).to_have_attribute("data-state", "absent")
    page.clock.run_for(4_000)
    expect(page.locator("#title")).to_have_text("First")
    page.clock.run_for(6_000)
    expect(other).to_have_attribute("data-state", "live")
    expect(page.locator("#title")).to_have_text("First")
    page.clock.run_for(4_000)
    expect(page.locator("#title")).to_have_text("Other")
    expect(page.locator("#what")).to_contain_text("Day · a/b, c · ")
    expect(names(page)).to_have_text(["otter"])
    page.clock.run_for(6_000)
    expect(page.locator("leader-board.spare")).to_have_attribute("namespace", space)
    expect(page.locator("leader-board.spare")).to_have_attribute("data-state", "live")
    page.clock.run_for(4_000)
    expect(page.locator("#title")).to_have_text("First")


@pytest.mark.parametrize("motion", ["no-preference", "reduce"])
def test_a_ceremony_shows_the_last_first(
    live_server: Any, api: httpx.Client, space: str, screen: Screen, motion: str
) -> None:
    fill(api, space, 4)
    page = screen(clock=True, reduced_motion=motion)
    page.goto(f"{live_server.url}/wall/{space}/all?ceremony&seconds=5")
    expect(rows(page)).to_have_count(4)
    expect(page.locator(SHOWN)).to_have_attribute("data-state", "frozen")
    visible = page.locator(f"{SHOWN} >> #rows .name:visible")
    expect(visible).to_have_count(0)
    bars = "(row) => getComputedStyle(row.querySelector('.bar')).visibility"
    assert rows(page).first.evaluate(bars) == "hidden", "tells nothing of the score"
    page.keyboard.press("Space")
    expect(visible).to_have_text(["player 3"])
    expect(page.locator(f"{SHOWN} >> #announcer")).to_have_text("4: player 3, 97")
    page.mouse.click(100, 100)
    expect(visible).to_have_text(["player 2", "player 3"])
    give(api, space, "player 3", 500)
    page.clock.run_for(7_000)  # The clock goes on by itself, too.
    expect(visible).to_have_text(["player 2", "player 3"])
    page.clock.run_for(3_000)
    expect(visible).to_have_text(["player 1", "player 2", "player 3"])
    page.clock.run_for(10_000)
    expect(visible).to_have_text(["player 0", "player 1", "player 2", "player 3"])
    page.keyboard.press("Enter")
    expect(rows(page).first.locator(".score")).to_have_text("100")


def test_an_api_key_is_not_used(live_server: Any, board: str, screen: Screen) -> None:
    page = screen()
    sockets: list[str] = []
    page.on("websocket", lambda socket: sockets.append(socket.url))
    page.goto(f"{live_server.url}/wall/{board}/all#token={live_server.key}")
    expect(page.locator("#notice h2")).to_have_text("This address holds an API key")
    assert sockets == []


def test_a_board_that_is_made_anew_has_its_new_rules(
    live_server: Any, api: httpx.Client, space: str, screen: Screen
) -> None:
    fill(api, space, 2, display_name="Before")
    page = screen(clock=True)
    page.goto(f"{live_server.url}/wall/{space}/all")
    expect(page.locator("#title")).to_have_text("Before")
    assert api.delete(f"/v1/namespaces/{space}?confirm={space}").status_code == 204
    expect(page.locator(SHOWN)).to_have_attribute("data-state", "absent")
    fill(api, space, 1, display_name="After", scale=2)
    for _ in range(20):
        page.clock.run_for(3_000)
    expect(page.locator("#title")).to_have_text("After")
    expect(rows(page).first.locator(".score")).to_have_text("100.00")


def test_a_window_that_is_over_is_final(live_server: Any, api: httpx.Client, space: str, screen: Screen) -> None:
    fill(api, space, 1, display_name="Spring cup")
    give(api, space, "otter", 7, granted_at="2021-07-14T14:00:00Z")
    page = screen(locale="ar")
    page.goto(f"{live_server.url}/wall/{space}/2021-07")
    expect(names(page)).to_have_text(["otter"])
    expect(page.locator("#clock")).to_have_text("النتيجة النهائية")
    title, row = page.locator("#title").bounding_box(), rows(page).first.bounding_box()
    assert title is not None
    assert title["x"] + title["width"] == pytest.approx(row["x"] + row["width"], abs=2), "it begins at the right"


@pytest.mark.full
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize(
    ("width", "height", "count", "columns"),
    [
        (1280, 720, 10, 1),
        (1280, 720, 15, 1),
        (1280, 720, 16, 2),
        (1920, 1080, 34, 3),
        (3840, 2160, 10, 1),
        (3840, 2160, 60, 4),
        (3840, 2160, 100, 4),
        (1080, 1920, 20, 1),
        (2160, 3840, 40, 1),
        (1024, 768, 20, 2),
        (5120, 1440, 40, 3),
    ],
)
def test_every_screen_is_full(
    live_server: Any, api: httpx.Client, space: str, screen: Screen, scheme: str, width: int, height: int, count: int,
    columns: int,
) -> None:  # fmt: skip
    fill(api, space, count)
    page = screen(width, height, color_scheme=scheme)
    page.goto(f"{live_server.url}/wall/{space}/all?rows={count}")
    expect(rows(page)).to_have_count(count)
    assert check_fill(page, width, height) == columns


@pytest.mark.full
def test_a_private_board_is_shown_by_a_client_token(
    live_server: Any, api: httpx.Client, space: str, screen: Screen, watched: Watched
) -> None:
    fill(api, space, 2, visibility="private")
    user = {"user_id": "wall", "namespaces": [space]}
    token = api.post("/v1/tokens", json=user).raise_for_status().json()["token"]
    page = screen(clock=True)
    page.goto(f"{live_server.url}/wall/{space}/all#token={token[:-4]}AAAA")
    expect(page.locator("#notice h2")).to_have_text("The key was not accepted")
    connections: list[str] = []
    page.on("websocket", lambda socket: connections.append(socket.url))
    for _ in range(100):
        page.clock.run_for(3_000)  # Shorter than what a connection may take.
        expect(page.locator(SHOWN)).to_have_attribute("data-state", "stopped")
    assert 3 <= len(connections) <= 8, "tried again, and ever more seldom: in 300 s after 10, 20, 40, 80 … s"
    page.evaluate("(token) => { location.hash = `token=${token}`; }", token)
    expect(names(page)).to_have_text(["player 0", "player 1"])
    expect(page.locator("#notice")).to_be_hidden()
    expect(page.locator("#qr")).to_be_hidden()
    watched.forgive("401", "WebSocket is closed before")  # The clock goes faster than the server.


@pytest.mark.full
def test_a_wall_comes_back_after_the_server(own_stack: Any, screen: Screen, watched: Watched) -> None:
    with own_stack.client() as client:
        fill(client, "board", 3)
        page = screen()
        page.goto(f"{own_stack.url}/wall/board/all")
        expect(names(page)).to_have_text(["player 0", "player 1", "player 2"])
        before = page.evaluate(BOXES)
        own_stack.kill("serve")
        expect(page.locator("#state")).to_contain_text("Reconnecting")
        assert page.evaluate(BOXES) == before
        own_stack.start("serve")
        give(client, "board", "player 2", 9)
        expect(names(page).first).to_have_text("player 2", timeout=40_000)
        expect(page.locator("#state")).to_have_text("")
    watched.forgive("WebSocket connection to", "ERR_CONNECTION_REFUSED")


@pytest.mark.full
def test_a_day_on_a_wall_leaves_nothing_behind(live_server: Any, api: httpx.Client, space: str, screen: Screen) -> None:
    fill(api, space, 10)
    fill(api, f"{space}-other", 10)
    page = screen(clock=True, reduced_motion="no-preference")
    page.goto(f"{live_server.url}/wall/{space}/all?boards={space}-other/all&seconds=5")
    expect(names(page).first).to_have_text("player 0")
    devtools = page.context.new_cdp_session(page)
    devtools.send("HeapProfiler.enable")

    def measure() -> tuple[int, int, int]:
        devtools.send("HeapProfiler.collectGarbage")
        counts = devtools.send("Memory.getDOMCounters")
        heap = devtools.send("Runtime.getHeapUsage")["usedSize"]
        return counts["nodes"], counts["jsEventListeners"], heap

    def live(turns: int) -> None:
        for i in range(turns):
            give(api, space, f"player {i % 10}", 1)
            page.clock.run_for(1_000)
            expect(page.locator("leader-board.spare")).to_have_attribute("data-state", "live")
            page.clock.run_for(4_000)

    live(40)
    nodes, listeners, heap = measure()
    live(160)
    after = measure()
    assert after[0] <= nodes + 100
    assert after[1] <= listeners + 20
    assert after[2] <= heap + 500_000
