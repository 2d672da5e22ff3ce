"""/docs in a real headless Chromium: every call of the document, and nothing from another machine."""

from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Page, expect

from app.openapi import document
from tests.support.page_view import CHROMIUM, Open

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

CALLS = [(method.upper(), path) for path, methods in document()["paths"].items() for method in methods]


@pytest.fixture
def docs(live_server: Any, page: Page) -> Page:
    page.goto(f"{live_server.url}/docs")
    expect(page.get_by_role("status")).to_have_text(f"{len(CALLS)} calls")
    return page


def test_shows_every_call_with_all_that_the_document_says(docs: Page) -> None:
    shown = docs.locator("details.call").evaluate_all(
        "all => all.map(one => [one.querySelector('.method').textContent, one.querySelector('.path').textContent])"
    )
    assert sorted(map(tuple, shown)) == sorted(CALLS)
    lacks = docs.locator("details.call").evaluate_all(
        """async all => {
          for (const one of all) one.open = true;
          await new Promise(requestAnimationFrame);
          await new Promise((done) => setTimeout(done));
          return all.filter((one) => !one.textContent.includes('With curl') || !one.textContent.includes('A problem'))
            .map((one) => one.id);
        }"""
    )
    assert lacks == []


def test_tells_fields_and_a_line_for_the_shell(docs: Page, live_server: Any) -> None:
    call = docs.locator("#post-v1-namespaces-namespace-grants")
    call.locator("summary").click()
    expect(call).to_contain_text("grant_id string needed")
    expect(call).to_contain_text(
        f'curl {live_server.url}/v1/namespaces/NAMESPACE/grants -H "Authorization: Bearer $KEY"'
    )
    assert docs.url.endswith("#post-v1-namespaces-namespace-grants")


def test_a_search_leaves_what_has_all_its_words(docs: Page) -> None:
    docs.get_by_label("Find a call").fill("POST /v1/grants")
    expect(docs.get_by_role("status")).not_to_have_text(f"{len(CALLS)} calls")
    visible = docs.locator("details.call:visible .path").all_text_contents()
    assert "/v1/grants" in visible
    assert not [path for path in visible if "grants" not in path]


def test_an_address_opens_its_call(live_server: Any, page: Page) -> None:
    page.goto(f"{live_server.url}/docs#get-v1-namespaces-namespace-boards-window")
    expect(page.get_by_text("With curl")).to_be_visible()


def test_asks_no_other_machine(live_server: Any, page: Page) -> None:
    hosts: set[str] = set()
    page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
    page.goto(f"{live_server.url}/docs")
    expect(page.get_by_role("status")).to_contain_text("calls")
    assert hosts == {urlsplit(live_server.url).netloc}


@pytest.mark.parametrize("width", [390, 1280])
def test_nothing_is_wider_than_the_window(live_server: Any, open_page: Open, width: int) -> None:
    page = open_page(width=width)
    page.goto(f"{live_server.url}/docs#post-v1-namespaces-namespace-grants")
    expect(page.get_by_text("With curl")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
