"""Who plays in the demonstration: animals and their invented names. None of them is a person."""

from __future__ import annotations

from typing import NamedTuple


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
