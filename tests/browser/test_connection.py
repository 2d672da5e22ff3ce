"""The page against a scripted server, which does what the real one seldom does."""

import json
from typing import Any

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect

from tests.support.page_view import CHROMIUM, shown, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


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
            results = [message for message in self.sent if message["type"] == kind]
            if len(results) >= count:
                return results[count - 1]
            page.wait_for_timeout(50)
        raise AssertionError(f"{count} {kind} expected, got {self.sent}")

    def say(self, **frame: Any) -> None:
        if frame["type"] in ("delta", "uptodate"):
            frame = {"window": "all", "starts": None, "ends": None, "epoch": 3, **frame}
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
    script = Script(page)
    page.goto(f"{live_server.url}/#/{board}/all")
    first = script.wait(page, "subscribe")
    view = {"kind": "top", "limit": 10}
    assert first == {"type": "subscribe", "id": 1, "namespace": board, "window": "all", "category": None, "view": view}
    script.snapshot(1, 7, otter=9, heron=3)
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    return script


def test_changes_are_removed_then_put_then_sorted(page: Page, script: Script) -> None:
    rising = [{"position": 1, "rank": 1, "user_id": "heron", "score": 12, "display_name": "Heron", "avatar": None}]
    script.say(type="delta", id=1, version=9, total=2, remove=["heron", "otter"], upsert=[
        *entries({"wren": 5}, first=2), *rising,
    ], **{"from": 7})  # fmt: skip
    shown(page, ("1", "Heron", "12"), ("2", "wren", "5"))
    assert page.evaluate("document.querySelector('leader-board').board.version") == 9
    assert [message["type"] for message in script.sent] == ["subscribe"]


def test_a_change_to_another_state_is_not_applied(page: Page, script: Script) -> None:
    script.say(type="delta", id=1, version=9, total=2, remove=["otter"], upsert=[], **{"from": 8})
    again = script.wait(page, "subscribe", 2)
    assert "version" not in again
    assert again["id"] == 2
    assert script.wait(page, "unsubscribe")["id"] == 1
    wait_for_state(page, "Not up to date", "A change was missed")
    script.say(type="delta", id=1, version=8, total=0, remove=["otter"], upsert=[], **{"from": 7})  # of the old one
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    script.snapshot(2, 9, heron=3)
    wait_for_state(page, "Live")
    shown(page, ("1", "heron", "3"))


def test_a_drain_is_followed_by_a_resume(page: Page, script: Script) -> None:
    script.say(type="drain", retry_ms=300)
    script.sockets[-1].close(code=4200)
    wait_for_state(page, "Reconnecting", "The server is restarting")
    again = script.wait(page, "subscribe", 2)
    assert (again["epoch"], again["version"]) == (3, 7)
    script.say(type="uptodate", id=again["id"], version=7)
    wait_for_state(page, "Live")
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
def test_an_error_that_a_retry_does_not_mend_is_shown(page: Page, script: Script, code: int, why: str) -> None:
    script.sockets[-1].close(code=code)
    wait_for_state(page, "Stopped", why)
    expect(page.locator("#note h2")).to_have_text(why)
    expect(page.locator("#rows tr")).to_have_count(0)
    page.wait_for_timeout(1_200)
    assert len(script.sockets) == 1


def test_a_fault_that_passes_is_waited_out(page: Page, script: Script) -> None:
    script.say(type="error", id=1, code="store_unavailable")
    wait_for_state(page, "Not up to date", "The server cannot reach its store")
    shown(page, ("1", "otter", "9"), ("2", "heron", "3"))
    again = script.wait(page, "subscribe", 2)
    assert (again["epoch"], again["version"]) == (3, 7)
    script.snapshot(again["id"], 8, otter=10, heron=3)
    wait_for_state(page, "Live")
    shown(page, ("1", "otter", "10"), ("2", "heron", "3"))
    assert len(script.sockets) == 1


def test_a_silent_connection_is_pinged_then_closed(live_server: Any, board: str, page: Page) -> None:
    page.clock.install()
    script = Script(page)
    page.goto(f"{live_server.url}/#/{board}/all")
    script.wait(page, "subscribe")
    script.snapshot(1, 7, otter=9)
    wait_for_state(page, "Live")
    page.clock.fast_forward(36_000)
    script.wait(page, "ping")
    script.say(type="pong")
    page.wait_for_timeout(100)
    page.clock.fast_forward(30_000)
    wait_for_state(page, "Live")
    page.clock.fast_forward(6_000)
    script.wait(page, "ping", 2)
    page.clock.fast_forward(6_000)
    wait_for_state(page, "Reconnecting", "The server does not answer")
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
        const state = { id, window: 'all', starts: null, ends: null, epoch: 1, total: 1 };
        const say = (frame) => this.onmessage({ data: JSON.stringify({ ...state, ...frame }) });
        const entry = (score) => ({ position: 1, rank: 1, user_id: 'otter', score, display_name: null, avatar: null });
        setTimeout(() => say({ type: 'snapshot', version: 0, entries: [entry(0)] }));
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
      const score = document.querySelector('leader-board').shadowRoot.querySelector('.score');
      drawn.observe(score, { childList: true });
      window.go();
    }""")
    shown(page, ("1", "otter", "1,000"))
    assert page.evaluate("document.querySelector('leader-board').board.version") == 1000
    assert page.evaluate("window.drawings") == 1
