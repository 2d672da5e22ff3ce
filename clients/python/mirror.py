"""Makes `leaderboard_client/blocking` of `aio`: the same code without `await`. Run it after a change."""

import re
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent / "leaderboard_client"
#: Modules that have no mirror: they are written for each side.
WRITTEN = {"batcher.py", "client.py"}
REPLACEMENTS = (
    (r"\bimport asyncio\n", "import threading\n"),
    (r"\basyncio\.Lock\b", "threading.Lock"),
    (r"\basyncio\.sleep\b", "time.sleep"),
    (r"\basync (def|with|for)\b", r"\1"),
    (r"\bawait ", ""),
    (r"\bAwaitable, ", ""),
    (r"\bAwaitable\[(\w+)\]", r"\1"),
    (r"\bAsyncIterator\b", "Iterator"),
    (r"\bAsync([A-Z])", r"\1"),
    (r"\bhttpx\.AsyncClient\b", "httpx.Client"),
    (r"\baiter_bytes\b", "iter_bytes"),
    (r"\baclose\b", "close"),
    (r"The client for asyncio\. `blocking` is made of it by", "The client that blocks. It is made of `aio` by"),
)


def mirror(text: str) -> str:
    """A module of `aio` as one that blocks."""
    for pattern, replacement in REPLACEMENTS:
        text = re.sub(pattern, replacement, text)
    text = f"# Made by clients/python/mirror.py of the module of this name in aio. Do not edit.\n{text}"
    for command in (["check", "--select", "I,F401,UP028", "--fix", "--unsafe-fixes", "-"], ["format", "-"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--quiet", "--stdin-filename", str(PACKAGE / "blocking/x.py")],
            input=text,
            capture_output=True,
            text=True,
            check=True,
        )
        text = done.stdout
    return text


def mirrors() -> dict[Path, str]:
    """Each module that is made, and its text."""
    sources = [path for path in sorted((PACKAGE / "aio").glob("*.py")) if path.name not in WRITTEN]
    return {PACKAGE / "blocking" / path.name: mirror(path.read_text()) for path in sources}


if __name__ == "__main__":
    for path, text in mirrors().items():
        path.write_text(text)
