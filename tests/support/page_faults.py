"""What is wrong with how a page looks and how the keyboard goes through it."""

from __future__ import annotations

import base64
import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import Page

_FAULTS = (Path(__file__).with_suffix(".js")).read_text()
_FOCUS = (Path(__file__).parent / "page_focus.js").read_text()
#: A folder for pictures of what was looked at; none: nothing is kept.
PICTURES = os.environ.get("PICTURES")
Scheme = Literal["light", "dark"]

#: Phone, usual desktops, and a wall.
SIZES = ((390, 844), (1280, 720), (1366, 768), (1440, 900), (1920, 1080), (2560, 1440), (3840, 2160))
PHONE = SIZES[0]
#: A window of 1280 × 1024 at 400 %.
ZOOMED = (320, 256)
SCHEMES: tuple[Scheme, ...] = ("light", "dark")
#: The least size of what a finger presses, in px.
TARGET = 44


@dataclass(frozen=True, slots=True)
class Look:
    """How a page is looked at."""

    size: tuple[int, int]
    scheme: Scheme = "light"
    forced: bool = False
    calm: bool = True

    def __str__(self) -> str:
        words = [f"{self.size[0]}×{self.size[1]}", self.scheme]
        return " ".join(words + ["forced colours"] * self.forced + ["motion"] * (not self.calm))


#: Every size in both schemes; forced colours and motion on a phone and a desktop; 400 %.
LOOKS = (
    *(Look(size, scheme) for size in SIZES for scheme in SCHEMES),
    *(Look(size, scheme, forced=True) for size in (PHONE, SIZES[1]) for scheme in SCHEMES),
    *(Look(size, calm=False) for size in (PHONE, SIZES[1])),
    *(Look(ZOOMED, scheme) for scheme in SCHEMES),
)


def look(page: Page, how: Look) -> None:
    """Shows a page in another way, and waits until it is drawn."""
    page.set_viewport_size({"width": how.size[0], "height": how.size[1]})
    page.emulate_media(
        color_scheme=how.scheme,
        forced_colors="active" if how.forced else "none",
        reduced_motion="reduce" if how.calm else "no-preference",
    )
    page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
    page.wait_for_timeout(60)


def faults(page: Page, how: Look) -> list[str]:
    """What is wrong with a page as it is looked at: each a sentence."""
    wants = {"target": TARGET if how.size == PHONE else 0, "contrast": not how.forced}
    sentences: list[str] = page.evaluate(f"({_FAULTS})({json.dumps(wants)})")
    return sentences


def picture(page: Page, name: str, how: Look) -> None:
    """Keeps what is seen, where a folder for pictures is named."""
    if PICTURES is not None:
        file = re.sub(r"\W+", "-", f"{name} {how}")
        page.screenshot(path=Path(PICTURES) / f"{file}.png")


def small_picture(page: Page, folder: Path, name: str) -> int:
    """Keeps what is seen as WebP. Returns its bytes."""
    session = page.context.new_cdp_session(page)
    answer = session.send("Page.captureScreenshot", {"format": "webp", "quality": 60})
    session.detach()
    content = base64.b64decode(answer["data"])
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{re.sub(r'[^a-z0-9]+', '-', name)}.webp").write_bytes(content)
    return len(content)


def look_at(page: Page, name: str, looks: tuple[Look, ...] = LOOKS) -> list[str]:
    """Every fault of a page in each of these ways; each is told once, with the first way that shows it."""
    first: dict[str, str] = {}
    for how in looks:
        look(page, how)
        picture(page, name, how)
        for sentence in faults(page, how):
            first.setdefault(sentence, f"{name}, {how}: {sentence}")
    return list(first.values())


def walk_by_keyboard(page: Page, steps_max: int = 120) -> tuple[list[dict[str, Any]], list[str]]:
    """Tab from the beginning until the focus leaves the page: where it went, and what is wrong with the way."""
    page.evaluate("() => { document.activeElement?.blur(); scrollTo(0, 0); }")
    way: list[dict[str, Any]] = []
    wrong: list[str] = []
    rests = 0
    for _ in range(steps_max):
        page.keyboard.press("Tab")
        place = page.evaluate(_FOCUS)
        if place is None:  # The browser's own: a dialog's way goes on behind it.
            rests += 1
            if rests == 3:
                return way, wrong
            continue
        if any(place["name"] == one["name"] and abs(place["top"] - one["top"]) < 1 for one in way):
            return way, wrong
        if not place["hasRing"]:
            wrong.append(f"the focus does not show: {place['name']}")
        if not place["isInside"]:
            wrong.append(f"the focus is out of sight: {place['name']}")
        way.append({**place, "lap": rests})
    wrong.append(f"the focus does not come to an end within {steps_max} steps")
    return way, wrong


def axe_faults(page: Page, axe: str) -> list[str]:
    """What axe finds: rule, and the first places."""
    page.evaluate(axe)
    answer = page.evaluate("() => axe.run(document, { resultTypes: ['violations'] })")
    return [
        f"axe {one['id']}: {one['help']}: {[node['target'] for node in one['nodes'][:3]]}"
        for one in answer["violations"]
    ]
