"""The receiver of docs/webhooks.md, run as it stands there."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from app.embedded import free_port
from tests.conftest import Names, running_stack
from tests.support.waits import until
from tests.support.webhooks import SETTINGS, Hook

PAGE = Path(__file__).parents[2] / "docs/webhooks.md"
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_the_receiver_of_the_page_verifies(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, names: Names
) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    port, output = free_port(), tmp_path / "output"
    assert "9000" in code
    environment = {**os.environ, "SECRET": SECRET}
    with output.open("w") as file, running_stack(tmp_path / "stack", tmp_path_factory, SETTINGS) as stack:
        process = subprocess.Popen(
            [sys.executable, "-c", code.replace("9000", str(port))], stdout=file, stderr=file, env=environment
        )
        try:
            with stack.client() as api:
                hook = Hook(api, names.fresh(), f"http://127.0.0.1:{port}/", secret=SECRET)
                hook.grant("g1")
                until(lambda: hook.deliveries(state="delivered"), "it is delivered", seconds=20)
        finally:
            process.kill()
            process.wait()
    assert re.search(r"^msg_\S+ granted \{'namespace': ", output.read_text(), re.MULTILINE)
