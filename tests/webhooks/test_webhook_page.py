"""docs/webhooks.md, read by somebody new: its receiver runs as it stands there, its calls are made in their order."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from app.embedded import free_port
from tests.conftest import Stack, running_stack
from tests.support.guide_script import blocks, parse_call
from tests.support.waits import until
from tests.support.webhooks import SETTINGS

PAGE = (Path(__file__).parents[2] / "docs/webhooks.md").read_text()
#: Seconds in which a message comes.
NEWS_S_MAX = 20


class Reader:
    """Does what the page shows, one block after the other. output: what the receiver printed."""

    def __init__(self, stack: Stack, folder: Path) -> None:
        self._stack = stack
        self._calls = (block for block in blocks(PAGE) if block.language == "sh")
        self._port = free_port()
        self._output = folder / "output"

    def call(self, status: int) -> httpx.Response:
        """The next call of the page."""
        call = parse_call(next(self._calls).text, {"KEY": self._stack.key}, "")
        body = None if call.body is None else call.body.replace("9000", str(self._port))
        url = call.url.replace("http://127.0.0.1:8000", self._stack.url)
        answer = httpx.request(call.method, url, headers=call.headers, content=body)
        assert answer.status_code == status, answer.text
        return answer

    @contextmanager
    def receiver(self, secret: str) -> Iterator[None]:
        """The receiver of the page."""
        (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
        assert "9000" in code
        command = [sys.executable, "-c", code.replace("9000", str(self._port))]
        with self._output.open("a") as file:
            process = subprocess.Popen(command, stdout=file, stderr=file, env={**os.environ, "SECRET": secret})
            try:
                yield
            finally:
                process.kill()
                process.wait()

    def count(self, grant_id: str) -> int:
        """How often the receiver took the message of a grant."""
        return len(re.findall(rf"^msg_\S+ granted .*'grant_id': '{grant_id}'", self._output.read_text(), re.MULTILINE))

    def wait(self, grant_id: str) -> None:
        until(lambda: self.count(grant_id) == 1, f"{grant_id} comes", NEWS_S_MAX)


def test_somebody_new_does_what_the_page_shows(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    with running_stack(tmp_path / "stack", tmp_path_factory, SETTINGS) as stack, stack.client() as api:
        reader = Reader(stack, tmp_path)

        def grant(grant_id: str) -> None:
            body = {"grant_id": grant_id, "user_id": "otter", "amount": 1}
            assert api.post("/v1/namespaces/race/grants", json=body).status_code == 201

        secret = reader.call(201).json()["secret"]
        with reader.receiver(secret):
            reader.call(201)
            reader.call(201)
            reader.wait("g1")
            new_secret = reader.call(200).json()["secret"]
            assert new_secret != secret
            grant("g2")
            reader.wait("g2")
        with reader.receiver(new_secret):
            grant("g3")
            reader.wait("g3")
        grant("g4")
        path = "/v1/webhooks/race-log/deliveries"
        until(lambda: api.get(path, params={"state": "failing"}).json()["deliveries"], "nobody listens", NEWS_S_MAX)
        stack.sql("UPDATE webhook_retries SET first_attempt_at = now() - interval '3 days'")
        until(lambda: api.get(path, params={"state": "dead"}).json()["deliveries"], "it is given up", NEWS_S_MAX)
        (dead,) = reader.call(200).json()["deliveries"]
        with reader.receiver(new_secret):
            assert reader.call(202).json() == {"message_ids": [dead["message_id"]]}
            reader.wait("g4")
            until(lambda: not api.get(path, params={"state": "dead"}).json()["deliveries"], "none is dead", NEWS_S_MAX)
        with pytest.raises(StopIteration):
            reader.call(200)
