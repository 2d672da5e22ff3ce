"""What the page costs its browser while scores move: the main thread's time, and that nothing jumps."""

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Stack
from tests.support.page_cost import SHIFTS, cost, shifts
from tests.support.page_view import CHROMIUM, RECORD, Watched, give, publish, wait_for_state

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

#: What a browser's compositor changes without the page's main thread.
CHEAP = {"transform", "opacity"}
PROPERTIES = """() => [...new Set(window.animations.flatMap((frames) => JSON.parse(frames).flatMap(Object.keys)))]
    .filter((name) => !['offset', 'easing', 'composite'].includes(name))"""
#: Grants a second of the fixed load, and the players whom it moves.
RATE, PLAYERS = 5, 150


@pytest.fixture
def moving(browser: Browser, watched: Watched) -> Iterator[Page]:
    """A page that moves its rows, and keeps what shifted and what was animated."""
    page = browser.new_page(viewport={"width": 1280, "height": 720}, locale="en-US", reduced_motion="no-preference")
    watched.watch(page)
    page.add_init_script(SHIFTS + RECORD)
    yield page
    page.close()


def fill(api: httpx.Client, space: str) -> random.Random:
    """A public board of 150 players."""
    chance = random.Random(7)
    publish(api, space)
    grants = [
        {"grant_id": f"g{i}", "user_id": f"player-{i:03}", "amount": chance.randint(100, 400)} for i in range(PLAYERS)
    ]
    assert api.post(f"/v1/namespaces/{space}/grants", json=grants).status_code == 200
    return chance


@contextmanager
def load(stack: Stack, space: str, chance: random.Random) -> Iterator[None]:
    """Grants to players by chance, five a second, from a thread."""
    ended = threading.Event()

    def play() -> None:
        with stack.client() as api:
            while not ended.wait(1 / RATE):
                give(api, space, f"player-{chance.randrange(PLAYERS):03}", chance.choice((1, 2, 3, 5, 8, 80)))

    thread = threading.Thread(target=play)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def test_nothing_shifts_while_a_board_moves_and_is_switched(
    live_server: Stack, api: httpx.Client, space: str, moving: Page
) -> None:
    chance = fill(api, space)
    moving.goto(f"{live_server.url}/#/{space}/all")
    wait_for_state(moving, "Live")
    expect(moving.locator("#rows tr")).to_have_count(10)
    moving.wait_for_timeout(300)
    shifts(moving)  # What came while the page was built.
    with load(live_server, space, chance):
        for i in range(6):
            give(api, space, f"player-{i:03}", 300 + i)
            moving.wait_for_timeout(250)
        moving.get_by_text("Week", exact=True).click()
        moving.wait_for_timeout(700)
        moving.get_by_text("Month", exact=True).click()
        moving.wait_for_timeout(700)
    assert shifts(moving) == []
    assert set(moving.evaluate(PROPERTIES)) == CHEAP


def test_nothing_shifts_when_the_connection_is_lost_and_comes_back(
    own_stack: Stack, moving: Page, watched: Watched
) -> None:
    with own_stack.client() as client:
        publish(client, "board")
        for i in range(12):
            give(client, "board", f"otter {i}", 4 + i)
        moving.goto(f"{own_stack.url}/#/board/all")
        wait_for_state(moving, "Live")
        expect(moving.locator("#rows tr")).to_have_count(10)
        moving.wait_for_timeout(300)
        shifts(moving)
        own_stack.kill("serve")
        expect(moving.locator("#state b")).to_have_text("Reconnecting")
        own_stack.start("serve")
        wait_for_state(moving, "Live", timeout_ms=30_000)
        give(client, "board", "otter 3", 40)
        expect(moving.locator("#rows .name").first).to_have_text("otter 3")
        assert shifts(moving) == []
    watched.forgive(
        "WebSocket connection to", "ERR_CONNECTION_REFUSED", "ERR_SOCKET_NOT_CONNECTED", "ERR_CONNECTION_RESET"
    )


@pytest.mark.full
@pytest.mark.parametrize(("limit", "share"), [(10, 0.05), (100, 0.15)])
def test_the_main_thread_is_mostly_idle_while_scores_move(
    live_server: Stack, api: httpx.Client, space: str, moving: Page, limit: int, share: float
) -> None:
    chance = fill(api, space)
    moving.goto(f"{live_server.url}/#/{space}/all/{limit}")
    expect(moving.locator("#rows tr")).to_have_count(limit)
    moving.wait_for_timeout(1_000)
    shifts(moving)
    with load(live_server, space, chance):
        spent = cost(moving, 60)
    print(f"top {limit}: {spent}")
    assert spent.task <= share
    assert shifts(moving) == []
