"""How tests open the console."""

import httpx
from playwright.sync_api import Page, expect


def key_of(api: httpx.Client) -> str:
    """The key that a client of the API uses."""
    return str(api.headers["authorization"]).removeprefix("Bearer ")


def enter(page: Page, url: str, key: str, *address: str) -> None:
    """Opens the console with a key at an address, and waits until it is shown."""
    page.goto(f"{url}/console#/{'/'.join(address)}")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Use key").click()
    wait_for_done(page)


def wait_for_done(page: Page) -> None:
    """Waits until what was asked for is done."""
    expect(page.locator("#status")).to_have_text("Done", timeout=10_000)
