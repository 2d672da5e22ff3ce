"""The console in a real headless Chromium, against the real server."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Open, Watched, give, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def key_of(api: httpx.Client) -> str:
    return str(api.headers["authorization"]).removeprefix("Bearer ")


def enter(page: Page, url: str, key: str, *address: str) -> None:
    """Opens the console with a key at an address, and waits until it is shown."""
    page.goto(f"{url}/console#/{'/'.join(address)}")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use key").click()
    wait_for_done(page)


def wait_for_done(page: Page) -> None:
    expect(page.locator("#status")).to_have_text("Done", timeout=10_000)


def test_a_moderator_finds_a_cheater_and_undoes_it(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    give(api, space, "otter", 9)
    give(api, space, "heron", 3)
    stolen = {"grant_id": "stolen", "user_id": "heron", "amount": 900, "source": "bug"}
    assert api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=stolen).status_code == 201
    enter(page, live_server.url, key_of(api), "moderate", space)
    page.get_by_label("User", exact=True).fill("heron")
    page.get_by_role("button", name="Find", exact=True).click()
    page.locator(".found button", has_text="heron").click()
    expect(page.get_by_role("table", name="Why this score: 903")).to_be_visible(timeout=10_000)
    page.get_by_role("button", name="Void stolen").click()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("903")
    board = f"/v1/namespaces/{space}/boards/all"
    assert api.get(board).json()["entries"][0]["score"] == 903  # A look changes nothing.
    page.get_by_label("Reason", exact=True).fill("found by a moderator")
    page.get_by_role("button", name="Void: Do it").click()
    proof = page.locator(".proof")
    expect(proof).to_contain_text("as the dry run said", timeout=10_000)
    expect(proof).not_to_contain_text("differs")
    expect(page.get_by_role("table", name="Why this score: 3")).to_be_visible(timeout=10_000)
    assert [entry["user_id"] for entry in api.get(board).json()["entries"]] == ["otter", "heron"]
    grant = api.get(f"/v1/namespaces/{space}/grants/stolen").json()
    assert (grant["voided"], grant["revisions"][-1]["reason"]) == (True, "found by a moderator")
    calls = page.locator("#calls-list").text_content() or ""
    assert "$KEY" in calls
    assert key_of(api) not in page.content()


def test_a_grant_in_quarantine_is_approved(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space, amount_max=10, suspicious="quarantine")
    grant = {"grant_id": "jackpot", "user_id": HOSTILE, "amount": 500}
    assert api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=grant).json()["status"] == "quarantined"
    enter(page, live_server.url, key_of(api), "quarantine", space)
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("500")
    page.get_by_label("Reason", exact=True).fill("a jackpot indeed")
    page.get_by_role("button", name="Approve: Do it").click()
    expect(page.locator(".proof")).to_contain_text("as the dry run said", timeout=10_000)
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"][0]["score"] == 500
    assert page.evaluate("window.hacked") is None


@pytest.mark.full
@pytest.mark.parametrize("place", ["moderate", "quarantine", "namespaces", "keys", "events", "health"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_place_fits_the_screen(
    live_server: Any, api: httpx.Client, space: str, open_page: Open, place: str, width: int
) -> None:
    publish(api, space)
    page = open_page(width=width)
    enter(
        page, live_server.url, key_of(api), place, *([space] if place in {"quarantine", "events", "namespaces"} else [])
    )
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    small = "[...document.querySelectorAll('button, input, select, nav a')].filter((e) => e.offsetHeight < 44).length"
    assert page.evaluate(small) == 0


def test_a_wrong_key_is_told(live_server: Any, page: Page, watched: Watched) -> None:
    page.goto(f"{live_server.url}/console")
    page.get_by_label("API key").fill("lb_nobody_aaaaaaaaaaaaaaaaaaaa")
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#status")).to_contain_text("unauthorized", timeout=10_000)
    watched.forgive("401")


def test_the_console_runs_no_script_but_its_own(live_server: Any) -> None:
    answer = httpx.get(f"{live_server.url}/console")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
