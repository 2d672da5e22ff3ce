"""The page at / in a real headless Chromium."""

import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
FLAGS += ["--disable-background-networking", "--disable-component-update"]
HOSTILE = '<img src=x onerror="window.hacked=1">'

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        held = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield held
        held.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    held = browser.new_page(reduced_motion="reduce")
    complaints: list[str] = []
    held.on("pageerror", lambda error: complaints.append(str(error)))
    held.on("console", lambda line: complaints.append(line.text) if "Content Security" in line.text else None)
    yield held
    held.close()
    assert complaints == []


@pytest.fixture
def board(api: httpx.Client, space: str) -> str:
    assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public", "accept_past": None}).status_code == 200
    grants = [{"grant_id": user, "user_id": user, "amount": score} for user, score in (("otter", 9), (HOSTILE, 5))]
    old = {"grant_id": "old", "user_id": "heron", "amount": 3, "granted_at": "2020-01-01T00:00:00Z"}
    assert api.post(f"/v1/namespaces/{space}/grants", json=[*grants, old]).json()["applied"] == 3
    return space


def shown(page: Page, *rows: tuple[str, str, str]) -> None:
    expect(page.locator("#rows tr")).to_have_count(len(rows))
    for i, row in enumerate(rows):
        expect(page.locator("#rows tr").nth(i).locator("td")).to_have_text(list(row))


def settled(page: Page) -> None:
    """The gains told beside a score have gone."""
    page.evaluate("document.querySelectorAll('.gain').forEach((told) => told.remove())")


def test_the_page_follows_a_board(live_server: Any, api: httpx.Client, board: str, page: Page) -> None:
    page.goto(f"{live_server.url}/#/{board}/all")
    expect(page.locator("#state")).to_have_text("live")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    assert page.evaluate("window.hacked") is None
    api.post(f"/v1/namespaces/{board}/grants", json={"grant_id": "up", "user_id": "heron", "amount": 10})
    expect(page.locator("#rows tr").first.locator(".gain")).to_have_text("+10")
    settled(page)
    shown(page, ("1", "heron", "13"), ("2", "otter", "9"), ("3", HOSTILE, "5"))
    page.select_option("#window", "week")
    shown(page, ("1", "heron", "10"), ("2", "otter", "9"), ("3", HOSTILE, "5"))
    expect(page.locator("#total")).to_have_text("3 players")


def test_the_page_comes_back_after_a_restart(own_stack: Any, page: Page) -> None:
    with own_stack.client() as client:
        client.put("/v1/namespaces/board", json={"visibility": "public"})
        page.goto(f"{own_stack.url}/#/board/all")
        expect(page.locator("#note")).to_have_text("No scores yet.")
        own_stack.kill("serve")
        expect(page.locator("#state")).to_contain_text("reconnecting")
        own_stack.start("serve")
        client.post("/v1/namespaces/board/grants", json={"grant_id": "g", "user_id": "otter", "amount": 4})
        shown(page, ("1", "otter", "4"))
        expect(page.locator("#state")).to_have_text("live", timeout=15_000)
