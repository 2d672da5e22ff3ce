"""Who plays in the demonstration: animals, their invented names and their pictures. None of them is a person."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import quote


class Player(NamedTuple):
    """A user of the demonstration. Without a display name, the id is shown."""

    user_id: str
    display_name: str | None


#: Some names are long, some are written from the right, some have an emoji, some are missing: a page meets them all.
CAST = (
    Player("badger", "Bramble Badger"),
    Player("bee", "Beatrix Bumble 😊"),
    Player("bison", "Bison of the Far Side of the Great Grass Plain, Where the Wind Never Sleeps"),
    Player("crane", "Crane-in-the-Mist"),
    Player("cuckoo", "Cuckoo Clockwork"),
    Player("dolphin", "Dolphin Delta"),
    Player("eagle", "نسر الوادي البعيد"),
    Player("falcon", None),
    Player("ferret", "Ferret & Fern"),
    Player("finch", "Finch"),
    Player("fox", "Foxglove Fox 😼"),
    Player("gecko", "Gecko McGecko"),
    Player("gull", None),
    Player("hare", "Hazel Hare"),
    Player("heron", "Sir Heron of Reedwater"),
    Player("ibex", "Ibex Ω"),
    Player("jackdaw", "Jackdaw Jinx"),
    Player("kestrel", "Kestrel K."),
    Player("koala", "Коала Эвкалиптова"),
    Player("lemur", "Lemur Limelight"),
    Player("lynx", "Łynx Ćma"),
    Player("magpie", "Magpie the Collector of Everything That Shines"),
    Player("marten", None),
    Player("newt", "Newton Newt"),
    Player("ocelot", "Ocelot O'Lot"),
    Player("orca", "Orca"),
    Player("otter", "Ottoline Otter 😎"),
    Player("owl", "ינשוף לילה"),
    Player("panda", "Pandora Panda"),
    Player("puffin", "Puffin Muffin"),
    Player("raven", "Raven Nevermind"),
    Player("seal", "Seal of Approval"),
    Player("stork", None),
    Player("tapir", "Tapirovich"),
    Player("wren", "Wren"),
)
#: No board shows this one: hidden where the demonstration has a hidden user.
HIDDEN = "cuckoo"
_EARS = (
    "M7 15V4l8 6zM25 15V4l-8 6z",
    "M5 8a4 4 0 1 1 8 0 4 4 0 1 1-8 0M19 8a4 4 0 1 1 8 0 4 4 0 1 1-8 0",
    "M10 14V2h4v10zM22 14V2h-4v10z",
    "M15 10q0-8 5-8-3 4-2 8z",
    "M11 11 7 3l3-1 4 8zM21 11l4-8-3-1-4 8z",
)
_COLOURS = (
    *(("#1d4e89", "#f7c59f"), ("#004e64", "#9fffcb"), ("#7a1f3d", "#ffd9a0"), ("#3d348b", "#f7b801")),
    *(("#14532d", "#fde68a"), ("#5b2a86", "#b8f2e6"), ("#7c2d12", "#fed7aa"), ("#0f3057", "#e7f6f2")),
)


def avatar(number: int) -> str | None:
    """The face of the player with that number in the cast: a `data:` address of some 400 bytes, the same in every run.
    None for every fifth: where there is no picture, a page shows the initial."""
    if number % 5 == 3:
        return None
    back, fur = _COLOURS[number % len(_COLOURS)]
    ears = _EARS[number // len(_COLOURS) % len(_EARS)]
    svg = (
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 32 32'>"
        f"<path fill='{back}' d='M0 0h32v32H0z'/><path fill='{fur}' d='{ears}'/>"
        f"<circle cx='16' cy='18' r='10' fill='{fur}'/>"
        f"<path fill='{back}' d='M11 15h3v4h-3zM18 15h3v4h-3zM14 22h4l-2 3z'/></svg>"
    )
    return "data:image/svg+xml," + quote(svg, safe="='/:")
