"""Sharing what is shown: its address, by a QR code, the clipboard, or the device."""

from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.support.page_view import CHROMIUM, HOSTILE, Open, give, publish, shown
from tests.support.qr_reader import read_codes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

# A device that shares, and what it was given.
DEVICE = "navigator.share = async (what) => { window.given = what; };"
NO_CLIPBOARD = "Object.defineProperty(navigator, 'clipboard', { value: undefined });"


def test_the_address_is_shared(live_server: Any, board: str, browser: Browser, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{live_server.url}/?lang=en#/{board}/all/25")
    shown(page, ("1", "otter", "9"), ("2", HOSTILE, "5"), ("3", "heron", "3"))
    page.get_by_role("button", name="Share").click()
    address = f"{live_server.url}/#/{board}/all/25"
    expect(page.get_by_role("textbox", name="Address")).to_have_value(address)
    assert read_codes(browser, page.get_by_role("img", name="QR code of the address")) == [address]
    page.get_by_role("button", name="Copy the address").click()
    expect(page.locator("#share-note")).to_have_text("The address is copied.")
    assert page.evaluate("navigator.clipboard.readText()") == address
    expect(page.locator("#share-send")).to_be_hidden()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    assert page.evaluate("document.activeElement.id") == "share-open"


@pytest.mark.full
def test_a_device_that_shares_gets_the_address(live_server: Any, board: str, open_page: Open) -> None:
    page = open_page(390)
    page.add_init_script(DEVICE)
    page.goto(f"{live_server.url}/#/{board}/week")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Share …").click()
    given = {"title": f"{board} · Week", "url": f"{live_server.url}/#/{board}/week"}
    assert page.evaluate("window.given") == given
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    boxes = [one.bounding_box() for one in page.locator("#share button, #share input").all()]
    assert all(box and box["width"] >= 43.9 and box["height"] >= 43.9 for box in boxes)


@pytest.mark.full
def test_without_a_clipboard_the_selection_is_copied(live_server: Any, board: str, page: Page) -> None:
    page.add_init_script(NO_CLIPBOARD)
    page.goto(f"{live_server.url}/#/{board}/all")
    page.get_by_role("button", name="Share").click()
    page.get_by_role("button", name="Copy the address").click()
    expect(page.locator("#share-note")).to_have_text("The address is copied.")
    page.evaluate("document.execCommand = () => false")
    page.get_by_role("button", name="Copy the address").click()
    expect(page.locator("#share-note")).to_have_text("This browser does not copy by itself: the address is selected.")
    assert page.evaluate("getSelection().toString()") == f"{live_server.url}/#/{board}/all"


@pytest.mark.full
def test_a_private_board_says_that_its_address_needs_a_key(
    live_server: Any, api: httpx.Client, space: str, page: Page
) -> None:
    publish(api, space, visibility="private")
    give(api, space, "otter", 9)
    page.add_init_script(f"sessionStorage.setItem('key', '{live_server.key}')")
    page.goto(f"{live_server.url}/#/{space}/all")
    shown(page, ("1", "otter", "9"))
    page.get_by_role("button", name="Share").click()
    expect(page.locator("#share-note")).to_contain_text("need a key of their own")
    assert live_server.key not in page.locator("#share-link").input_value()
