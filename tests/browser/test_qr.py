"""A QR code on a screen, read by another program."""

from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.support.page_view import CHROMIUM, Open
from tests.support.qr_reader import read_codes

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

ADDRESS = "https://scores.example.com/#/gp/season:2026/25/%C3%A9"
DRAW = """async (text) => {
  const { qrElement } = await import('/clients/qr.js');
  const code = qrElement(text, 'the code');
  code.style.width = '400px';
  document.body.prepend(code);
}"""


@pytest.mark.parametrize("look", [{"color_scheme": "light"}, {"color_scheme": "dark"}, {"forced_colors": "active"}])
def test_a_code_is_read_in_every_colour(live_server: Any, browser: Browser, open_page: Open, look: Any) -> None:
    page = open_page()
    page.emulate_media(**look)
    page.goto(live_server.url)
    page.evaluate(DRAW, ADDRESS)
    assert read_codes(browser, page.get_by_role("img", name="the code")) == [ADDRESS]


@pytest.mark.full
@pytest.mark.parametrize("length", range(1, 667, 95))
def test_codes_of_all_sizes_are_read(live_server: Any, browser: Browser, open_page: Open, length: int) -> None:
    page = open_page()
    page.goto(live_server.url)
    page.evaluate(DRAW, text := ("https://example.com/#/" * 31)[:length])
    assert read_codes(browser, page.get_by_role("img", name="the code")) == [text]
