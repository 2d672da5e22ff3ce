"""Reads QR codes from what a browser shows."""

import base64
from typing import Any

import zxingcpp
from playwright.sync_api import Browser, Locator

# The brightness of each pixel of a PNG.
PIXELS = """async (url) => {
  const image = Object.assign(new Image(), { src: url });
  await image.decode();
  const canvas = Object.assign(document.createElement('canvas'), { width: image.width, height: image.height });
  const context = canvas.getContext('2d');
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, image.width, image.height);
  const [red, green, blue] = [0, 1, 2].map((part) => (i) => data[4 * i + part]);
  const grey = Array.from({ length: data.length / 4 }, (_, i) => Math.floor((red(i) + green(i) + blue(i)) / 3));
  return { width: image.width, height: image.height, grey };
}"""


def read_codes(browser: Browser, place: Locator) -> list[str]:
    """The texts of the codes that are seen in a place on a page."""
    url = "data:image/png;base64," + base64.b64encode(place.screenshot()).decode()
    page = browser.new_page()
    picture: dict[str, Any] = page.evaluate(PIXELS, url)
    page.close()
    pixels = memoryview(bytes(picture["grey"])).cast("B", (picture["height"], picture["width"]))
    return [code.text for code in zxingcpp.read_barcodes(pixels)]
