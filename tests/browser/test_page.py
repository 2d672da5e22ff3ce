"""The page at / in a real headless Chromium, against the real server; a scripted one where it must misbehave."""

import json
import shutil
from collections.abc import Callable, Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Browser, Page, WebSocketRoute, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
HOSTILE = '<img src=x onerror="window.hacked=1">'
REVERSED = "\u202ereversed"
LONG = "W" * 128

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

# Which keyframes were asked for: moves are told apart from highlights by `transform`.
RECORD = """
window.asked = [];
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, how) {
  window.asked.push(JSON.stringify(frames));
  return animate.call(this, frames, how);
};
document.addEventListener('securitypolicyviolation', (event) => {
  console.error('CSP', event.violatedDirective, event.blockedURI);
});
"""

Shown = tuple[str, str, str]
Open = Callable[..., Page]


class Watched:
    """What the browser complained about. A test takes out what it provoked; the rest fails it."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type != "log" else None)

    def forgive(self, *words: str) -> None:
        self.complaints = [line for line in self.complaints if not any(word in line for word in words)]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield held
        held.close()


@pytest.fixture
def watched() -> Iterator[Watched]:
    held = Watched()
    yield held
    assert held.complaints == []


@pytest.fixture
def open_page(browser: Browser, watched: Watched) -> Iterator[Open]:
    opened: list[Page] = []

    def opener(width: int = 1280, motion: Any = "reduce") -> Page:
        page = browser.new_page(
            viewport={"width": width, "height": 800}, locale="en-US", timezone_id="UTC", reduced_motion=motion
        )
        opened.append(page)
        watched.watch(page)
        page.add_init_script(RECORD)
        return page

    yield opener
    for page in opened:
        page.close()


@pytest.fixture
def page(open_page: Open) -> Page:
    return open_page()


@pytest.fixture
def board(api: httpx.Client, space: str) -> str:
    """A public board: otter 9, the hostile one 5, and heron's 3 of years ago."""
    publish(api, space)
    give(api, space, "otter", 9)
    give(api, space, HOSTILE, 5)
    give(api, space, "heron", 3, granted_at="2020-01-01T00:00:00Z")
    return space


def publish(api: httpx.Client, space: str, **rules: Any) -> None:
    rules = {"visibility": "public", "accept_past": None, **rules}
    assert api.put(f"/v1/namespaces/{space}", json=rules).status_code in (200, 201)


def give(api: httpx.Client, space: str, user: str, amount: float, **more: Any) -> None:
    grant = {"grant_id": str(uuid4()), "user_id": user, "amount": amount, **more}
    assert api.post(f"/v1/namespaces/{space}/grants", json=grant).status_code == 201


def shown(page: Page, *rows: Shown) -> None:
    """Rank, player and score of every row, from the top."""
    lines = page.locator("#rows tr")
    expect(lines).to_have_count(len(rows))
    for i, (rank, name, score) in enumerate(rows):
        expect(lines.nth(i).locator(".rank")).to_have_text(rank)
        expect(lines.nth(i).locator(".name")).to_have_text(name)
        expect(lines.nth(i).locator(".score")).to_have_text(score)


def told(page: Page, state: str, why: str = "", timeout_ms: int = 5_000) -> None:
    """The state of the connection, and the reason beside it."""
    expect(page.locator("#state b")).to_have_text(state, timeout=timeout_ms)
    expect(page.locator("#state span")).to_have_text(why)


# ---- Against the real server.


def test_a_public_board_appears(live_server: Any, board: str, page: Page) -> None:
    page.goto(live_server.url)
    page.select_option("#namespace", board)
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    told(page, "Live")
    expect(page.get_by_role("table", name=board)).to_be_visible()
    expect(page.get_by_role("row")).to_have_count(4)
    expect(page.locator("#meta")).to_have_text("3 players · All time")
    expect(page.locator("#version")).to_contain_text("Version ")
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
    moves = page.evaluate("window.asked.filter((frames) => frames.includes('translateY'))")
    assert len(moves) == (3 if motion == "no-preference" else 0)


def test_a_loss_is_told_as_one(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
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
    told(page, "Live")
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
    for _ in range(4):
        page.keyboard.press("Tab")
        order.append(page.evaluate("document.activeElement.id || document.activeElement.value"))
    assert order == ["key-open", "namespace", "all", "limit"]
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"))
    assert page.evaluate("document.activeElement.value") == "week"
    assert page.url.endswith(f"/#/{board}/week")


def test_more_rows_are_shown_when_asked(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
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
    told(page, "Stopped", "This board is private: it needs a key")
    page.get_by_role("button", name="Enter a key").click()
    page.fill("#key", "lb_wrong_0123456789abcdef")
    page.keyboard.press("Enter")
    told(page, "Stopped", "The key was not accepted")
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
    told(page, "Stopped", "This board is private: it needs a key")
    expect(page.locator("#rows tr")).to_have_count(0)


def test_what_is_not_there_is_told(live_server: Any, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/no-such-board/all")
    told(page, "Stopped", "There is no such board")
    page.goto(f"{live_server.url}/#/{board}/2020-13")
    told(page, "Stopped", "There is no such window on this board")
    page.select_option("#namespace", board)
    page.get_by_text("All time").click()
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.goto(f"{live_server.url}/#/%E0%A4%A/<b>")
    told(page, "Live")


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
        told(page, "Live", timeout_ms=30_000)
        shown(page, ("1", "heron", "6"), ("2", "otter", "4"))
        own_stack.kill("serve")
        expect(page.locator("#state b")).to_have_text("Reconnecting")
        own_stack.start("serve")
        told(page, "Live", timeout_ms=30_000)
        give(client, "board", "otter", 6)
        shown(page, ("1", "otter", "10"), ("2", "heron", "6"))
    watched.forgive("WebSocket connection to", "ERR_CONNECTION_REFUSED")


# ---- Against a scripted server: what the real one seldom does.


class Script:
    """Stands in for /v1/live: keeps what the page sent and says what a test tells it to."""

    def __init__(self, page: Page) -> None:
        self.sent: list[dict[str, Any]] = []
        self.sockets: list[WebSocketRoute] = []
        page.route_web_socket("**/v1/live", self._accept)

    def _accept(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        socket.on_message(lambda text: self.sent.append(json.loads(text)))

    def wait(self, page: Page, kind: str, count: int = 1) -> dict[str, Any]:
        """The count-th message of this type."""
        for _ in range(300):
            found = [message for message in self.sent if message["type"] == kind]
            if len(found) >= count:
                return found[count - 1]
            page.wait_for_timeout(50)
        raise AssertionError(f"{count} {kind} expected, got {self.sent}")

    def say(self, **frame: Any) -> None:
        self.sockets[-1].send(json.dumps(frame))

    def snapshot(self, number: int, version: int, **scores: float) -> None:
        self.say(
            type="snapshot", id=number, window="all", starts=None, ends=None, epoch=3, version=version,
            total=len(scores), entries=entries(scores),
        )  # fmt: skip


def entries(scores: dict[str, float], first: int = 1) -> list[dict[str, Any]]:
    return [
        {"position": i, "rank": i, "user_id": user, "score": score, "display_name": None, "avatar": None}
        for i, (user, score) in enumerate(scores.items(), first)
    ]


@pytest.fixture
def script(live_server: Any, board: str, page: Page) -> Script:
    """The page has subscribed, and holds version 7: otter 9, heron 3."""
    held = Script(page)
    page.goto(f"{live_server.url}/#/{board}/all")
    first = held.wait(page, "subscribe")
    view = {"kind": "top", "limit": 10}
    assert first == {"type": "subscribe", "id": 1, "namespace": board, "window": "all", "view": view}
    held.snapshot(1, 7, otter=9, heron=3)
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    return held


def test_changes_are_removed_then_put_then_sorted(page: Page, script: Script) -> None:
    rising = [{"position": 1, "rank": 1, "user_id": "heron", "score": 12, "display_name": "Heron", "avatar": None}]
    script.say(type="delta", id=1, version=9, total=2, remove=["heron", "otter"], upsert=[
        *entries({"wren": 5}, first=2), *rising,
    ], **{"from": 7})  # fmt: skip
    shown(page, ("1", "Heron", "12"), ("2", "wren", "5"))
    expect(page.locator("#version")).to_have_text("Version 9")
    assert [message["type"] for message in script.sent] == ["subscribe"]


def test_a_change_to_another_state_is_not_applied(page: Page, script: Script) -> None:
    script.say(type="delta", id=1, version=9, total=2, remove=["otter"], upsert=[], **{"from": 8})
    again = script.wait(page, "subscribe", 2)
    assert "version" not in again
    assert again["id"] == 2
    assert script.wait(page, "unsubscribe")["id"] == 1
    told(page, "Not up to date", "A change was missed")
    script.say(type="delta", id=1, version=8, total=0, remove=["otter"], upsert=[], **{"from": 7})  # of the old one
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    script.snapshot(2, 9, heron=3)
    told(page, "Live")
    shown(page, ("1", "heron", "3"))


def test_a_drain_is_followed_by_a_resume(page: Page, script: Script) -> None:
    script.say(type="drain", retry_ms=300)
    script.sockets[-1].close(code=4200)
    told(page, "Reconnecting", "The server is restarting")
    again = script.wait(page, "subscribe", 2)
    assert (again["epoch"], again["version"]) == (3, 7)
    script.say(type="uptodate", id=again["id"], version=7)
    told(page, "Live")
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (4001, "The key was not accepted"),
        (4003, "The key does not open this board"),
        (4013, "The server takes no more from here: a limit is reached"),
        (4400, "This page and the server do not understand each other; reload the page"),
    ],
)
def test_what_trying_again_does_not_mend_is_told(page: Page, script: Script, code: int, why: str) -> None:
    script.sockets[-1].close(code=code)
    told(page, "Stopped", why)
    expect(page.locator("#note h2")).to_have_text(why)
    expect(page.locator("#rows tr")).to_have_count(0)
    page.wait_for_timeout(1_200)
    assert len(script.sockets) == 1


@pytest.mark.parametrize(("code", "soon"), [(1006, True), (1012, True), (4101, False), (4108, False), (4129, False)])
def test_the_page_backs_off(page: Page, script: Script, code: int, soon: bool) -> None:
    script.sockets[-1].close(code=1011 if code == 1006 else code)  # 1006 cannot be sent: any other code is like it
    expect(page.locator("#state b")).to_have_text("Reconnecting")
    page.wait_for_timeout(1_200)
    assert len(script.sockets) == (2 if soon else 1)


def test_a_fault_that_passes_is_waited_out(page: Page, script: Script) -> None:
    script.say(type="error", id=1, code="store_unavailable")
    told(page, "Not up to date", "The server cannot reach its store")
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    again = script.wait(page, "subscribe", 2)
    assert (again["epoch"], again["version"]) == (3, 7)
    script.snapshot(again["id"], 8, otter=10, heron=3)
    told(page, "Live")
    shown(page, ("1", "otter", "10"), ("2", "heron", "3"))
    assert len(script.sockets) == 1


def test_a_silent_connection_is_asked_then_left(live_server: Any, board: str, page: Page) -> None:
    page.clock.install()
    script = Script(page)
    page.goto(f"{live_server.url}/#/{board}/all")
    script.wait(page, "subscribe")
    script.snapshot(1, 7, otter=9)
    told(page, "Live")
    page.clock.fast_forward(36_000)
    script.wait(page, "ping")
    script.say(type="pong")
    page.wait_for_timeout(100)
    page.clock.fast_forward(30_000)
    told(page, "Live")
    page.clock.fast_forward(6_000)
    script.wait(page, "ping", 2)
    page.clock.fast_forward(6_000)
    told(page, "Reconnecting", "The server does not answer")
    page.clock.fast_forward(1_000)
    script.wait(page, "subscribe", 2)
    assert len(script.sockets) == 2


def test_many_changes_are_one_drawing(live_server: Any, board: str, page: Page) -> None:
    page.add_init_script("""
    window.WebSocket = class {
      readyState = 1;
      constructor() { setTimeout(() => this.onopen({})); }
      close() {}
      send(text) {
        const { id } = JSON.parse(text);
        const say = (frame) => this.onmessage({ data: JSON.stringify({ id, total: 1, ...frame }) });
        const entry = (score) => ({ position: 1, rank: 1, user_id: 'otter', score, display_name: null, avatar: null });
        say({ type: 'snapshot', window: 'all', starts: null, ends: null, epoch: 1, version: 0, entries: [entry(0)] });
        window.go = () => {
          for (let i = 1; i <= 1000; i += 1) {
            say({ type: 'delta', from: i - 1, version: i, upsert: [entry(i)], remove: [] });
          }
        };
      }
    };
    """)
    page.goto(f"{live_server.url}/#/{board}/all")
    shown(page, ("1", "otter", "0"))
    page.evaluate("""() => {
      window.drawings = 0;
      const drawn = new MutationObserver(() => { window.drawings += 1; });
      drawn.observe(document.querySelector('#version'), { childList: true });
      window.go();
    }""")
    shown(page, ("1", "otter", "1,000"))
    expect(page.locator("#version")).to_have_text("Version 1000")
    assert page.evaluate("window.drawings") == 1
