"""The console in a real headless Chromium, against the real server."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Page, expect

from tests.support.console_page import enter, key_of
from tests.support.page_view import CHROMIUM, HOSTILE, Open, Watched, give, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


def cheat(api: httpx.Client, space: str, user: str, count: int) -> None:
    """Grants of 500 within some seconds, among others' of 1 to 9."""
    honest = [{"grant_id": f"h{i}", "user_id": f"u{i % 7}", "amount": 1 + i % 9, "source": "quest"} for i in range(70)]
    grants = [{"grant_id": f"x{i}", "user_id": user, "amount": 500, "source": "match"} for i in range(count)]
    mine = [{"grant_id": f"own{i}", "user_id": user, "amount": 4, "source": "quest"} for i in range(5)]
    answer = api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=[*honest, *grants, *mine])
    assert answer.json()["rejected"] == 0


def test_a_moderator_finds_a_cheater_and_undoes_it(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    cheat(api, space, "heron", 20)
    board = f"/v1/namespaces/{space}/boards/all"
    enter(page, live_server.url, key_of(api), "moderate", space)
    suspects = page.locator(".suspect-list")
    expect(suspects).to_contain_text("20 grants of up to 500")
    suspects.get_by_role("link", name="heron").click()
    expect(page.get_by_role("heading", name="All time: why the score is 10,020")).to_be_visible(timeout=10_000)
    expect(page.get_by_text("Proven: 25 grants")).to_be_visible()
    page.get_by_role("button", name="Void these 20").click()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("10,020")
    assert api.get(board).json()["entries"][0]["score"] == 10_020  # A look changes nothing.
    page.get_by_label("Reason", exact=True).fill("found by a moderator")
    page.get_by_role("button", name="Void: Do it").click()
    proof = page.locator(".proof")
    expect(proof).to_contain_text("20 grants of heron are void", timeout=10_000)
    expect(proof).to_contain_text("as predicted")
    expect(proof).not_to_contain_text("differs")
    expect(page.get_by_role("table", name="What was corrected")).to_contain_text("found by a moderator")
    assert {entry["user_id"]: entry["score"] for entry in api.get(board).json()["entries"]}["heron"] == 20
    grant = api.get(f"/v1/namespaces/{space}/grants/x3").json()
    assert (grant["voided"], grant["revisions"][-1]["reason"]) == (True, "found by a moderator")
    calls = page.locator("#calls-list").text_content() or ""
    assert "$KEY" in calls
    assert key_of(api) not in page.content()
    # And back again: the last act can be undone.
    proof.get_by_role("button", name="Undo this").click()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("10,020")
    page.get_by_role("button", name="Restore: Do it").click()
    expect(proof).to_contain_text("20 grants of heron count again", timeout=10_000)
    expect(proof).not_to_contain_text("differs")
    assert api.get(board).json()["entries"][0]["score"] == 10_020
    page.get_by_text("What you did here").click()
    expect(page.locator("#acts-list")).to_contain_text("undone")


def test_one_grant_is_edited_and_back(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    grant = {"grant_id": "typo", "user_id": HOSTILE, "amount": 90}
    assert api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=grant).status_code == 201
    enter(page, live_server.url, key_of(api), "moderate", space, "grant", "typo")
    page.get_by_role("button", name="Edit", exact=True).click()
    page.get_by_label("New amount").fill("9")
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_label("Reason", exact=True).fill("a typing error")
    page.get_by_role("button", name="Edit: Do it").click()
    expect(page.locator(".proof")).to_contain_text("as predicted", timeout=10_000)
    page.get_by_role("button", name="Undo this").click()
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Edit: Do it").click()
    expect(page.get_by_role("table", name="Its history").locator("tbody tr")).to_have_count(3, timeout=10_000)
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"][0]["score"] == 90
    assert page.evaluate("window.hacked") is None


def test_a_best_score_tells_what_counts(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space, aggregation="best", order="asc")
    for i, amount in enumerate((41, 38, 44)):
        give(api, space, "otter", amount, granted_at=f"2026-01-0{i + 1}T00:00:00Z")
    enter(page, live_server.url, key_of(api), "moderate", space, "user", "otter")
    rows = page.get_by_role("table", name="Grants: 3").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.nth(0)).to_contain_text("does not count")
    expect(rows.nth(1)).to_contain_text("counts")
    expect(rows.nth(0).locator("td").nth(3)).to_have_text("38")
    expect(rows.nth(2).locator("td").nth(3)).to_have_text("41")
    expect(page.get_by_text("Proven: 3 grants")).to_be_visible()
    # An older window: the month of the grants, and a time before the best of them.
    page.get_by_text("Another window, category or time").click()
    page.get_by_label("Window", exact=True).select_option("month")
    page.get_by_label("That holds the day").fill("2026-01-15")
    expect(page.get_by_role("heading", name="2026-01: why the score is 38")).to_be_visible(timeout=10_000)


def test_a_grant_in_quarantine_is_approved(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space, amount_max=10, suspicious="quarantine")
    grant = {"grant_id": "jackpot", "user_id": HOSTILE, "amount": 500}
    assert api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=grant).json()["status"] == "quarantined"
    enter(page, live_server.url, key_of(api), "quarantine", space)
    page.get_by_role("button", name="Approve", exact=True).click()
    expect(page.get_by_role("table", name="What would change")).to_contain_text("500")
    page.get_by_label("Reason", exact=True).fill("a jackpot indeed")
    page.get_by_role("button", name="Approve: Do it").click()
    expect(page.locator(".proof")).to_contain_text("as predicted", timeout=10_000)
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"][0]["score"] == 500
    assert page.evaluate("window.hacked") is None


def test_a_hidden_user_is_listed_and_shown_again(live_server: Any, api: httpx.Client, space: str, page: Page) -> None:
    publish(api, space)
    grant = {"grant_id": "g", "user_id": "heron", "amount": 3}
    assert api.post(f"/v1/namespaces/{space}/grants?ack=audit", json=grant).status_code == 201
    enter(page, live_server.url, key_of(api), "moderate", space, "user", "heron")
    page.get_by_role("button", name="Hide", exact=True).click()
    expect(page.locator(".proof")).to_contain_text("heron is hidden")
    assert api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"] == []
    page.get_by_role("button", name="Undo this").click()
    expect(page.locator(".proof")).to_contain_text("heron is shown again")
    assert len(api.get(f"/v1/namespaces/{space}/boards/all").json()["entries"]) == 1


def test_rules_are_fields_and_a_refusal_stands_beside_its_own(
    live_server: Any, api: httpx.Client, space: str, page: Page, watched: Watched
) -> None:
    publish(api, space)
    give(api, space, "otter", 9)
    path = f"/v1/namespaces/{space}"
    enter(page, live_server.url, key_of(api), "namespaces", space)
    rules = api.get(path).json().keys() - {"name", "resets", "move"}
    names = page.evaluate("[...document.querySelectorAll('.rule-groups [name]')].map((input) => input.name)")
    assert set(names) == rules
    before = api.get(path).json()
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("#status")).to_have_text("Nothing was changed.", timeout=10_000)
    assert api.get(path).json() == before
    page.get_by_label("Decimal places").fill("2")
    page.get_by_role("button", name="Save").first.click()
    expect(page.locator("#why-scale")).to_contain_text("Locked", timeout=10_000)
    page.get_by_label("Decimal places").fill("0")
    page.get_by_label("Largest amount").fill("50")
    page.get_by_role("button", name="Save").first.click()
    expect(page.get_by_label("Largest amount")).to_have_value("50")
    expect(page.locator("#status")).to_have_text("Done", timeout=10_000)
    assert api.get(path).json()["amount_max"] == 50
    page.locator("summary", has_text="Delete this namespace").click()
    confirm = page.locator("[name=confirm]")
    confirm.fill("another")
    expect(page.get_by_role("button", name="Delete this namespace")).to_be_disabled()
    confirm.fill(space)
    page.get_by_role("button", name="Delete this namespace").click()
    expect(page).to_have_url(f"{live_server.url}/console#/namespaces")
    assert api.get(path).status_code == 404
    watched.forgive("422")


def test_events_go_on_with_a_namespace_that_was_made_anew(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    publish(api, space)
    enter(page, live_server.url, key_of(api), "events", space)
    api.delete(f"/v1/namespaces/{space}?confirm={space}")
    expect(page.locator("tbody tr").first).to_contain_text("namespace deleted", timeout=10_000)
    publish(api, space)
    expect(page.get_by_text("The namespace was made anew")).to_be_visible(timeout=10_000)
    expect(page.locator("tbody tr")).to_have_count(1)


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
    small = (
        "[...document.querySelectorAll('button, input:not([type=checkbox]), select, nav a')]"
        ".filter((e) => e.offsetHeight && e.offsetHeight < 44).length"
    )
    assert page.evaluate(small) == 0


def test_a_wrong_key_is_reported(live_server: Any, page: Page, watched: Watched) -> None:
    page.goto(f"{live_server.url}/console")
    page.get_by_label("API key").fill("lb_nobody_aaaaaaaaaaaaaaaaaaaa")
    page.get_by_role("button", name="Use key").click()
    expect(page.locator("#status")).to_contain_text("unauthorized", timeout=10_000)
    expect(page.get_by_label("API key")).to_be_visible()
    watched.forgive("401")


def test_the_console_runs_no_script_but_its_own(live_server: Any) -> None:
    answer = httpx.get(f"{live_server.url}/console")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
