"""`<leader-board>` on pages of other origins, through losses, and put in and taken out a thousand times."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.sync_api import Error, Page, expect

from tests.conftest import Stack, running_stack
from tests.support.page_cost import Meter
from tests.support.page_view import CHROMIUM, Watched, give, publish, shown

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

EMBED = """async ([url, name]) => {
  document.body.replaceChildren();
  const element = document.createElement('leader-board');
  element.setAttribute('src', url);
  element.setAttribute('namespace', name);
  document.body.append(element);
  await import(`${url}/clients/leader-board.js`);
}"""
#: Puts an element in, moves it and takes it out, so often; each lives for a turn of the page.
LIVES = """async ([name, count]) => {
  const [one, other] = ['a', 'b'].map((id) => Object.assign(document.createElement('div'), { id }));
  document.body.append(one, other);
  for (let i = 0; i < count; i += 1) {
    const element = document.createElement('leader-board');
    element.setAttribute('namespace', name);
    one.append(element);
    await new Promise((done) => setTimeout(done));
    other.append(element);
    if (i % 50 === 0) await new Promise((done) => setTimeout(done, 100));
    element.remove();
  }
  one.remove();
  other.remove();
}"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"LEADERBOARD_CORS_ORIGINS": "http://localhost:*"}
    with running_stack(tmp_path_factory.mktemp("life"), tmp_path_factory, settings) as stack:
        yield stack


def test_an_element_of_a_listed_origin_comes_back_and_is_right(stack: Stack, pages: dict[str, Page]) -> None:
    page = pages["listed"]
    board = page.locator("leader-board")
    with stack.client() as api:
        publish(api, "board")
        give(api, "board", "otter", 9)
        page.evaluate(EMBED, [stack.url, "board"])
        shown(page, ("1", "otter", "9"))
        stack.kill("serve")
        expect(board).to_have_attribute("data-state", "reconnecting")
        shown(page, ("1", "otter", "9"))
        stack.start("serve")
        expect(board).to_have_attribute("data-state", "live", timeout=30_000)
        give(api, "board", "heron", 11)
        shown(page, ("1", "heron", "11"), ("2", "otter", "9"))
        assert api.delete("/v1/namespaces/board?confirm=board").status_code == 204
        expect(board).to_have_attribute("data-state", "absent", timeout=10_000)
        publish(api, "board")
        give(api, "board", "wren", 4)
        expect(board).to_have_attribute("data-state", "live", timeout=30_000)
        shown(page, ("1", "wren", "4"))
        entries = api.get("/v1/namespaces/board/boards/all").json()["entries"]
        assert [(entry["user_id"], entry["score"]) for entry in entries] == [("wren", 4)]
    page.evaluate("document.body.replaceChildren()")


def test_another_origin_gets_not_even_the_element(stack: Stack, pages: dict[str, Page]) -> None:
    page = pages["other"]
    with pytest.raises(Error, match="Failed to fetch dynamically imported module"):
        page.evaluate(EMBED, [stack.url, "elsewhere"])
    assert page.evaluate("customElements.get('leader-board') === undefined")
    page.evaluate("document.body.replaceChildren()")


@pytest.mark.parametrize("count", [100, pytest.param(1_000, marks=pytest.mark.full)])
def test_elements_that_come_and_go_leave_nothing(
    live_server: Stack, api: httpx.Client, space: str, page: Page, watched: Watched, count: int
) -> None:
    publish(api, space)
    give(api, space, "otter", 9)
    page.goto(f"{live_server.url}/#/{space}/all")
    shown(page, ("1", "otter", "9"))
    meter = Meter(page)

    def count_all() -> tuple[float, float]:
        session = page.context.new_cdp_session(page)
        session.send("HeapProfiler.collectGarbage")
        session.detach()
        now = meter.read()[0]
        return now["Nodes"], now["JSEventListeners"]

    page.evaluate(LIVES, [space, 20])
    page.wait_for_timeout(500)
    before = count_all()
    page.evaluate(LIVES, [space, count])
    page.wait_for_timeout(500)
    after = count_all()
    # An element has some 30 nodes and listeners of the page.
    assert after[0] - before[0] < 60
    assert after[1] - before[1] <= 2
    shown(page, ("1", "otter", "9"))
    meter.end()
    watched.forgive("closed before the connection is established")  # An element that left at once.
