"""Every page at every size, in light and dark, forced colours, 400 %, by keyboard, without scripts; what axe finds."""

import os
import shutil
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.conftest import Stack
from tests.js_client.test_npm import run
from tests.support.page_faults import (
    LOOKS,
    PHONE,
    SCHEMES,
    SIZES,
    ZOOMED,
    Look,
    axe_faults,
    faults,
    look,
    look_at,
    small_picture,
    walk_by_keyboard,
)
from tests.support.page_view import CHROMIUM, HOSTILE, LONG, REVERSED, Watched, give, publish

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

AXE = "axe-core@4.14.1"
SEASON = "a-season-with-a-name-that-goes-on-and-on-and-on-and-on-2026"
USERS = ("otter", HOSTILE, LONG, REVERSED, "شجرة الزيتون", "🦦🏆", *(f"player-{i}" for i in range(20)))


@pytest.fixture(scope="module")
def space(live_server: Stack) -> str:
    """A board with long words, several ways to write, ties, a season, categories, streaks and a grant in quarantine."""
    name = "a-board-to-look-at"
    season = {"name": SEASON, "starts": "2020-01-01T00:00:00Z", "ends": "2100-01-01T00:00:00Z"}
    with live_server.client() as api:
        rules = {"seasons": [season], "scale": 1, "streaks": True, "display_name": "The board that is looked at"}
        publish(api, name, **rules, amount_max=1_000_000, suspicious="quarantine")
        for i, user in enumerate(USERS):
            give(api, name, user, 900_000.5 - i // 2 * 1000, category="forest" if i % 2 else "river", source="race")
        jackpot = {"grant_id": "jackpot", "user_id": "otter", "amount": 5_000_000}
        assert api.post(f"/v1/namespaces/{name}/grants?ack=audit", json=jackpot).json()["status"] == "quarantined"
        api.put(f"/v1/users/{USERS[6]}", json={"display_name": f"{LONG[:110]} of the north"}).raise_for_status()
    return name


@pytest.fixture
def page(browser: Browser, watched: Watched) -> Iterator[Page]:
    page = browser.new_page(viewport={"width": 1280, "height": 720}, locale="en-US", timezone_id="UTC")
    watched.watch(page)
    yield page
    page.close()


Open = Callable[[Page, str, str, str], None]


def board(address: str) -> Open:
    """The page at an address behind `#/<namespace>`."""

    def opener(page: Page, url: str, space: str, key: str) -> None:
        page.goto(f"{url}/#/{space}{address}")
        expect(page.locator("#state b")).to_have_text("Live")
        expect(page.locator("#rows tr").first).to_be_visible()

    return opener


def dialog(button: str, name: str) -> Open:
    """The dialog that a button of the page opens."""

    def opener(page: Page, url: str, space: str, key: str) -> None:
        board("/all")(page, url, space, key)
        page.locator(button).first.click()
        expect(page.locator(f"{name}[open]")).to_be_visible()

    return opener


def drawer(page: Page, url: str, space: str, key: str) -> None:
    """A user's drawer, with a key: the grants are there."""
    page.add_init_script(f"sessionStorage.setItem('key', '{key}')")
    board("/all")(page, url, space, key)
    page.locator("#rows .open").first.click()
    expect(page.locator("#drawer-grants li").first).to_be_visible(timeout=10_000)


def absent(page: Page, url: str, space: str, key: str) -> None:
    """No such board."""
    page.goto(f"{url}/#/no-such-board/all")
    expect(page.locator("#note h2")).to_be_visible()


def wall(query: str = "") -> Open:
    """The wall."""

    def opener(page: Page, url: str, space: str, key: str) -> None:
        page.goto(f"{url}/wall/{space}/all{query}")
        expect(page.locator("leader-board:not(.spare) >> #rows tr").first).to_be_visible()

    return opener


def console(*address: str) -> Open:
    """A place of the console, with a key."""

    def opener(page: Page, url: str, space: str, key: str) -> None:
        page.add_init_script(f"sessionStorage.setItem('console-key', '{key}')")
        page.goto(f"{url}/console#/{'/'.join(part.replace('SPACE', space) for part in address)}")
        expect(page.locator("#status")).to_have_text("Done", timeout=15_000)

    return opener


def docs(page: Page, url: str, space: str, key: str) -> None:
    """The reference of the calls."""
    page.goto(f"{url}/docs")
    expect(page.get_by_role("status")).to_contain_text("calls")


def embedded(page: Page, url: str, space: str, key: str) -> None:
    """An element in a page that has no style of its own."""
    page.route("**/favicon.ico", lambda route: route.fulfill(status=204))
    page.goto(f"{url}/healthz")
    page.evaluate(EMBED, space)
    expect(page.locator("#rows tr").first).to_be_visible()


EMBED = """async (name) => {
  document.head.innerHTML = '<meta name=viewport content="width=device-width"><title>Ours</title>';
  document.documentElement.lang = 'en';
  document.body.innerHTML = '<main><h1>Ours</h1><leader-board></leader-board></main>';
  document.querySelector('leader-board').setAttribute('namespace', name);
  await import('/clients/leader-board.js');
}"""

PLACES: dict[str, Open] = {
    "board": board("/all"),
    "hundred": board("/all/100"),
    "season": board(f"/season:{SEASON}"),
    "around": board("/all/10/player-3"),
    "key": dialog("#key-open", "#key-dialog"),
    "share": dialog("#share-open", "#share"),
    "drawer": drawer,
    "absent": absent,
    "embedded": embedded,
    "wall": wall(),
    "wall of 25": wall("?rows=25"),
    "docs": docs,
    "moderate": console("moderate", "SPACE"),
    "user": console("moderate", "SPACE", "user", "otter"),
    "grant": console("moderate", "SPACE", "grant", "jackpot"),
    "quarantine": console("quarantine", "SPACE"),
    "namespaces": console("namespaces", "SPACE"),
    "keys": console("keys"),
    "events": console("events", "SPACE"),
    "health": console("health"),
}
#: Pages that nobody touches, and that are shown on large screens.
WALLS = {"wall", "wall of 25"}


@pytest.mark.parametrize("name", ["board", "wall", "user"])
def test_a_page_has_no_fault_on_a_phone_and_a_desktop(live_server: Stack, space: str, page: Page, name: str) -> None:
    PLACES[name](page, live_server.url, space, live_server.key)
    sizes = (SIZES[1], SIZES[-1]) if name in WALLS else (PHONE, SIZES[1])
    sentences = look_at(page, name, (Look(sizes[0], "dark"), Look(sizes[1])))
    assert not sentences, "\n".join(sentences)


@pytest.mark.full
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PLACES)
def test_a_page_has_no_fault_in_any_way(live_server: Stack, space: str, page: Page, name: str) -> None:
    PLACES[name](page, live_server.url, space, live_server.key)
    ways = tuple(how for how in LOOKS if how.size not in (ZOOMED, PHONE)) if name in WALLS else LOOKS
    sentences = look_at(page, name, ways)
    assert not sentences, "\n".join(sentences)


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The script of axe, from npm."""
    if shutil.which("npm") is None and "CI" not in os.environ:
        pytest.skip("no npm is installed")
    folder: Path = tmp_path_factory.mktemp("axe")
    (folder / "package.json").write_text("{}")
    run("npm", "install", "--no-audit", "--no-fund", AXE, cwd=folder)
    return (folder / "node_modules/axe-core/axe.min.js").read_text()


@pytest.mark.full
@pytest.mark.timeout(240)
@pytest.mark.parametrize("name", PLACES)
def test_axe_finds_nothing(live_server: Stack, space: str, page: Page, name: str, axe: str) -> None:
    PLACES[name](page, live_server.url, space, live_server.key)
    sentences = []
    for size in (PHONE, SIZES[1], SIZES[4]):
        for scheme in SCHEMES:
            look(page, Look(size, scheme))
            sentences += [f"{name} {size} {scheme}: {one}" for one in axe_faults(page, axe)]
    assert not sentences, "\n".join(sentences)


@pytest.mark.full
@pytest.mark.parametrize("size", [PHONE, SIZES[1]])
@pytest.mark.parametrize("name", [name for name in PLACES if name not in WALLS])
def test_the_keyboard_reaches_every_act_and_shows_where_it_is(
    live_server: Stack, space: str, page: Page, name: str, size: tuple[int, int]
) -> None:
    PLACES[name](page, live_server.url, space, live_server.key)
    look(page, Look(size))
    way, wrong = walk_by_keyboard(page, steps_max=400)
    acts = page.evaluate(ACTS)
    stops = {(place["name"], place["group"]) for place in way}
    missing = [one for one in acts if (one["name"], one["group"]) not in stops and one["group"] not in groups_of(way)]
    wrong += [f"not reached: {one['name']}" for one in missing]
    # It goes down the page: nothing that is above the line before comes after it.
    wrong += [
        f"goes back: {before['name']} → {after['name']}"
        for before, after in pairwise(way)
        if after["lap"] == before["lap"]
        and after["top"] + after["height"] < before["top"] - 1
        and after["left"] < before["left"] + before["width"]
    ]
    assert not wrong, "\n".join(wrong)


#: Every act that a mouse reaches. Of radio buttons the keyboard reaches one; arrows reach the others.
ACTS = """() => {
  const acts = [];
  const walk = (node) => {
    if (node.shadowRoot) [...node.shadowRoot.children].forEach(walk);
    [...node.children].forEach(walk);
    if (!node.matches('a[href], button, input, select, textarea, summary') || node.disabled) return;
    if (!node.checkVisibility({ visibilityProperty: true })) return;
    const text = (node.ariaLabel || node.textContent || node.value || '').trim().replace(/\\s+/g, ' ').slice(0, 30);
    const group = node.type === 'radio' ? node.name : '';
    acts.push({ name: `${node.localName}${node.id && `#${node.id}`} “${text}”`, group });
  };
  walk([...document.querySelectorAll('dialog[open]')].at(-1) ?? document.body);
  return acts;
}"""


def groups_of(way: list[dict[str, Any]]) -> set[str]:
    """Names of the groups of radio buttons that were reached."""
    return {place["group"] for place in way if place["kind"] == "radio"}


@pytest.mark.parametrize(
    ("path", "words"), [("/", "/v1/namespaces"), ("/console", "API"), ("/wall/x/all", "JavaScript")]
)
def test_without_scripts_a_page_says_what_to_do(browser: Browser, live_server: Stack, path: str, words: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844}, java_script_enabled=False)
    page.goto(f"{live_server.url}{path}")
    expect(page.locator("body")).to_contain_text(words, use_inner_text=True)
    page.close()


@pytest.mark.parametrize(
    ("style", "body", "fault"),
    [
        ("", "<div style='width: 500px'>wide</div>", "px too wide"),
        ("", "<p style='width: 3em; overflow: hidden; white-space: nowrap'>a long text</p>", "cut off"),
        ("", "<button style='height: 20px'>small</button>", "a target of"),
        ("", "<p style='color: #999'>grey</p>", "text has a contrast of 2.85"),
        ("p { background: linear-gradient(#fff, #777) }", "<p>on a gradient</p>", ""),
        ("p { background: linear-gradient(#fff, #000) }", "<p>on a gradient</p>", "text has a contrast of 1.00"),
        ("p::before { content: 'new'; color: #bbb }", "<p>text</p>", "the text of ::before"),
        ("input { border: 1px solid #ddd; background: #fff; height: 44px; width: 90px }", "<input>", "an edge"),
    ],
)
def test_a_fault_is_seen(browser: Browser, style: str, body: str, fault: str) -> None:
    page = browser.new_page(viewport={"width": 390, "height": 844})
    page.set_content(f"<style>body {{ color: #000; background: #fff }} {style}</style>{body}")
    sentences = faults(page, Look(PHONE))
    assert len(sentences) == bool(fault)
    assert not fault or fault in sentences[0]
    page.close()


#: The pictures of the documents: `make screenshots`.
SHOWN = {
    "board": (Look(SIZES[1]), Look(PHONE, "dark")),
    "around": (Look(SIZES[1], "dark"),),
    "drawer": (Look(SIZES[1]), Look(PHONE)),
    "share": (Look(PHONE),),
    "wall": (Look(SIZES[1], "dark"),),
    "wall of 25": (Look(SIZES[1]),),
    "user": (Look(SIZES[1]),),
    "quarantine": (Look(SIZES[1], "dark"),),
    "health": (Look(SIZES[1]),),
    "docs": (Look(SIZES[1]),),
}


@pytest.mark.full
@pytest.mark.parametrize("name", SHOWN)
def test_the_pictures_of_the_documents_are_small(
    live_server: Stack, space: str, page: Page, name: str, tmp_path: Path
) -> None:
    PLACES[name](page, live_server.url, space, live_server.key)
    for how in SHOWN[name]:
        look(page, how)
        page.wait_for_timeout(300)
        assert small_picture(page, Path(os.environ.get("SCREENSHOTS", tmp_path)), f"{name} {how}") <= 60_000
