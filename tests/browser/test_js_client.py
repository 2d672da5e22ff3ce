"""The client for JavaScript in a browser, on pages of other origins: loaded from the server, as a game's page does."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
from playwright.sync_api import Page

from tests.conftest import Names, Stack, running_stack
from tests.support.page_view import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")

LOAD = """async (url) => {
  try {
    window.client = await import(url + '/clients/live.js');
    return Object.keys(window.client).sort();
  } catch (error) { return error.name; }
}"""
#: Follows a board by tokens that end after some seconds, as a page gets them from its own server.
FOLLOW = """({ space, tokens, hiddenMs }) => {
  const { Leaderboard } = window.client;
  Object.assign(window, { boards: [], states: [], faults: [], used: 0 });
  const board = new Leaderboard({ token: async () => tokens[window.used++] });
  window.board = board;
  window.live = board.connect({
    hiddenMs,
    onState: (state, problem) => window.states.push(problem ? `${state} ${problem.code}` : state),
    onError: (problem) => window.faults.push(problem.code),
  });
  window.subscription = window.live.subscribe({ namespace: space }, (state) => window.boards.push(state));
}"""
GIVE = "(space) => window.board.grant(space, { user_id: 'ann', amount: 1 }).catch((problem) => problem.code)"
HIDE = """(state) => {
  Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
  document.dispatchEvent(new Event('visibilitychange'));
}"""


@pytest.fixture
def stack(tmp_path: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    settings = {"LEADERBOARD_CORS_ORIGINS": "http://localhost:*"}
    with running_stack(tmp_path, tmp_path_factory, settings) as stack:
        yield stack


def grant(api: httpx.Client, space: str, user: str, amount: int) -> Any:
    """Gives points; the board after it."""
    body = {"grant_id": str(uuid4()), "user_id": user, "amount": amount}
    assert api.post(f"/v1/namespaces/{space}/grants", json=body).status_code == 201
    return api.get(f"/v1/namespaces/{space}/boards/all").json()


def wait_for(page: Page, board: Any) -> None:
    """Until the page has what a read says, at the same version."""
    page.wait_for_function("(version) => window.subscription.board?.version === version", arg=board["version"])
    assert page.evaluate("window.subscription.board.entries") == board["entries"]


def test_a_page_of_another_origin_follows_a_board(stack: Stack, pages: dict[str, Page]) -> None:
    page, space = pages["listed"], Names().fresh()
    assert page.evaluate(LOAD, stack.url) == ["Leaderboard", "Problem"]
    with stack.client() as api:
        assert api.put(f"/v1/namespaces/{space}").status_code == 201
        request = {"user_id": "ann", "namespaces": [space], "expires_in_s": 60}
        tokens = [api.post("/v1/tokens", json=request | {"expires_in_s": s}).json()["token"] for s in (4, 600)]
        board = grant(api, space, "ann", 3)
        page.evaluate(FOLLOW, {"space": space, "tokens": tokens, "hiddenMs": 100})
        wait_for(page, board)
        wait_for(page, grant(api, space, "bob", 5))

        page.evaluate(HIDE, "hidden")
        page.wait_for_function("window.live.problem?.code === 'hidden'")
        board = grant(api, space, "cid", 4)
        page.evaluate(HIDE, "visible")
        wait_for(page, board)

        page.wait_for_function("window.used === 2")  # The first token is over, and the provider is asked again, once.
        wait_for(page, grant(api, space, "dan", 9))
        assert page.evaluate("window.used") == 2
        assert page.evaluate("(space) => window.board.board(space).then((page) => page.total)", space) == 4

        stack.kill("serve")
        page.wait_for_function("window.live.problem?.code === 'connection_lost'")
        stack.start("serve")
        wait_for(page, grant(api, space, "eve", 1))
        assert page.evaluate(GIVE, space) == "forbidden", "a token writes nothing"
        page.evaluate("window.live.close()")
        assert page.evaluate("window.states.at(-1)") == "closed"
        assert set(page.evaluate("window.faults")) <= {"close_4101", "close_4001", "connection_lost"}


def test_a_page_that_is_not_listed_cannot_load_it(live_server: Stack, pages: dict[str, Page]) -> None:
    assert pages["other"].evaluate(LOAD, live_server.url) == "TypeError"
