"""What the tests of the page look at it with."""

import shutil
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
from playwright.sync_api import Page, expect

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
FLAGS += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
HOSTILE = '<img src=x onerror="window.hacked=1">'
REVERSED = "\u202ereversed"
LONG = "W" * 128

# Which keyframes were asked for: moves are told apart from highlights by `transform`.
RECORD = """
window.animations = [];
const animate = Element.prototype.animate;
Element.prototype.animate = function (frames, how) {
  window.animations.push(JSON.stringify(frames));
  return animate.call(this, frames, how);
};
document.addEventListener('securitypolicyviolation', (event) => {
  console.error('CSP', event.violatedDirective, event.blockedURI);
});
"""
Shown = tuple[str, str, str]
Open = Callable[..., Page]


class Watched:
    """What the browser complained about. A test takes out what it provoked; the rest fails it."""

    def __init__(self) -> None:
        self.complaints: list[str] = []

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("console", lambda line: self.complaints.append(line.text) if line.type != "log" else None)

    def forgive(self, *words: str) -> None:
        self.complaints = [line for line in self.complaints if not any(word in line for word in words)]


def publish(api: httpx.Client, space: str, **rules: Any) -> None:
    rules = {"visibility": "public", "accept_past": None, **rules}
    assert api.put(f"/v1/namespaces/{space}", json=rules).status_code in (200, 201)


def give(api: httpx.Client, space: str, user: str, amount: float, **more: Any) -> None:
    grant = {"grant_id": str(uuid4()), "user_id": user, "amount": amount, **more}
    assert api.post(f"/v1/namespaces/{space}/grants", json=grant).status_code == 201


def shown(page: Page, *rows: Shown) -> None:
    """Rank, player and score of every row, from the top."""
    lines = page.locator("#rows tr")
    expect(lines).to_have_count(len(rows))
    for i, (rank, name, score) in enumerate(rows):
        expect(lines.nth(i).locator(".rank")).to_have_text(rank)
        expect(lines.nth(i).locator(".name")).to_have_text(name)
        expect(lines.nth(i).locator(".score")).to_have_text(score)


def wait_for_state(page: Page, state: str, why: str = "", timeout_ms: int = 5_000) -> None:
    """The state of the connection, and the reason beside it."""
    expect(page.locator("#state b")).to_have_text(state, timeout=timeout_ms)
    expect(page.locator("#state span")).to_have_text(why)
