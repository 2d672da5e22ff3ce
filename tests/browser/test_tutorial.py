"""The pages that the tutorial has people write, shown by servers of their own."""

import http.server
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.conftest import Stack, running_stack
from tests.documents import ROOT
from tests.support.guide_script import blocks
from tests.support.page_view import CHROMIUM

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium is installed")


class Files(http.server.SimpleHTTPRequestHandler):
    """`python3 -m http.server`, without its lines, and with an icon."""

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """As `leaderboard dev` is: it lists localhost."""
    settings = {"LEADERBOARD_CORS_ORIGINS": "http://localhost:*,http://127.0.0.1:*"}
    with running_stack(tmp_path_factory.mktemp("tutorial"), tmp_path_factory, settings) as stack:
        yield stack


def file_of(page: str, title: str) -> str:
    """A file that a page of the tutorial shows."""
    (text,) = [block.text for block in blocks((ROOT / "docs/tutorial" / page).read_text()) if block.title == title]
    return text


def test_a_page_with_one_script_tag_shows_the_board_and_its_changes(stack: Stack, page: Page, tmp_path: Path) -> None:
    with stack.client() as api:
        assert api.put("/v1/namespaces/arena", json={"visibility": "public"}).status_code == 201
        give = partial(api.post, "/v1/namespaces/arena/grants")
        give(json={"grant_id": "1", "user_id": "ada", "amount": 30})
        (tmp_path / "index.html").write_text(
            file_of("web-page.md", "index.html").replace("http://localhost:8000", stack.url)
        )
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Files, directory=tmp_path)) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            page.goto(f"http://localhost:{server.server_address[1]}/")
            expect(page.locator("leader-board")).to_contain_text(re.compile("ada.*30", re.DOTALL), timeout=10_000)
            give(json={"grant_id": "2", "user_id": "ben", "amount": 41})
            expect(page.locator("leader-board")).to_contain_text(re.compile("ben.*41.*ada", re.DOTALL), timeout=10_000)
            server.shutdown()


def test_the_quiz_shows_a_private_board_by_a_token(stack: Stack, page: Page, tmp_path: Path) -> None:
    with stack.client() as api:
        assert api.put("/v1/namespaces/quiz-night", json={"accept_past": None}).status_code == 201
        (tmp_path / "quiz.py").write_text(file_of("quiz.md", "quiz.py"))
        key = stack.new_key("read:quiz-night", "write:quiz-night")
        (tmp_path / "port.py").write_text(
            "import quiz\nwith quiz.ThreadingHTTPServer(('127.0.0.1', 0), quiz.Quiz) as server:\n"
            "    print(server.server_address[1], flush=True)\n    server.serve_forever()\n"
        )
        environment = {"URL": stack.url, "KEY": key, "PYTHONDONTWRITEBYTECODE": "1"}
        with subprocess.Popen(
            [sys.executable, "port.py"], cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True
        ) as quiz:
            try:
                assert quiz.stdout is not None
                page.goto(f"http://localhost:{quiz.stdout.readline().strip()}/")
                api.post("/v1/namespaces/quiz-night/grants", json={"grant_id": "1:ben", "user_id": "ben", "amount": 10})
                expect(page.locator("leader-board")).to_contain_text(re.compile("ben.*10", re.DOTALL), timeout=10_000)
            finally:
                quiz.kill()
