"""A browser, its pages, and a board to look at."""

import http.server
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from tests.support.blank_page import Blank
from tests.support.page_view import CHROMIUM, FLAGS, HOSTILE, RECORD, Open, Watched, give, publish


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Iterator[dict[str, Page]]:
    """A page of an origin that a test's server lists (localhost), and one of another (127.0.0.1)."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Blank) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        port, opened = server.server_address[1], {}
        for name, host in (("listed", "localhost"), ("other", "127.0.0.1")):
            opened[name] = browser.new_page()
            opened[name].goto(f"http://{host}:{port}/")
        yield opened
        for page in opened.values():
            page.close()
        server.shutdown()


@pytest.fixture
def watched() -> Iterator[Watched]:
    watched = Watched()
    yield watched
    assert watched.complaints == []


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
