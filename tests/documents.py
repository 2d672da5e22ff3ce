"""What documents name: paths, and functions in the walks of docs/architecture.md."""

import ast
import re
import subprocess
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
ARCHITECTURE = ROOT / "docs/architecture.md"
_SUFFIXES = (".py", ".lua", ".sql", ".md", ".toml", ".yaml", ".js")
_SPAN = re.compile(r"`([^`\n]+)`")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_STEP = re.compile(r"^( *)((?:\w+\.)+\w+|lua/[\w/]+\.lua)(?:  |$| )")
_NAME = re.compile(r"`((?:[a-z_]+\.)+[A-Za-z_][\w.]*)`")


class Step(NamedTuple):
    """One line of a walk. caller: the line that calls it, None for one that begins by itself."""

    name: str
    caller: str | None


@lru_cache(maxsize=1)
def _tree() -> tuple[frozenset[str], frozenset[str]]:
    """All tracked files, and all folders."""
    output = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    files = frozenset(name for name in output.splitlines() if (ROOT / name).is_file())
    return files, frozenset(folder.as_posix() for name in files for folder in Path(name).parents)


def documents() -> list[Path]:
    """Every tracked page."""
    return sorted(ROOT / name for name in _tree()[0] if name.endswith(".md"))


def dead_paths(document: Path) -> list[str]:
    """Links and paths in code spans of a document that lead nowhere. A file may be named without its folder."""
    text = document.read_text()
    files, folders = _tree()
    names = {name.rpartition("/")[2] for name in files}
    tops = {name.partition("/")[0] for name in files if "/" in name}
    dead = [link for link in map(_path_of_link, _LINK.findall(text)) if link and not (document.parent / link).exists()]
    for span in _SPAN.findall(text):
        for word in re.split(r"[\s,;()=]+", span):
            path = word.strip("'\"").partition("::")[0].rstrip("/")
            if re.search(r"[*<…{]", path):
                continue
            if "/" in path and path.partition("/")[0] in tops:
                is_dead = path not in files | folders
            else:
                is_dead = path.endswith(_SUFFIXES) and path.rpartition("/")[2] not in names
            if is_dead:
                dead.append(path)
    return dead


def _path_of_link(link: str) -> str:
    return "" if "://" in link else link.partition("#")[0]


def steps(text: str) -> Iterator[Step]:
    """The lines of all walks in a page's code blocks, in order."""
    for block in text.split("```")[1::2]:
        above: list[tuple[int, str]] = []
        for line in block.splitlines():
            if match := _STEP.match(line):
                indent, name = len(match[1]), match[2]
                above = [one for one in above if one[0] < indent]
                yield Step(name, above[-1][1] if above else None)
                above.append((indent, name))


def named_in_prose(text: str) -> list[str]:
    """Functions that the page names outside of its walks."""
    return [name for part in text.split("```")[::2] for name in _NAME.findall(part) if not name.endswith(_SUFFIXES)]


def source_of(name: str) -> Path:
    """The file in which a function or a script stands; one that is not there, if there is none."""
    if name.startswith("lua/"):
        return ROOT / name
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        path = (ROOT / "app").joinpath(*parts[:end]).with_suffix(".py")
        if path.is_file():
            return path
    return ROOT / "app" / name


def is_there(name: str) -> bool:
    """Whether a script is there, or a function or class in its module."""
    path = source_of(name)
    if name.startswith("lua/") or not path.is_file():
        return path.is_file()
    module = path.relative_to(ROOT / "app").with_suffix("").parts
    body: list[ast.stmt] = ast.parse(path.read_text()).body
    for part in name.split(".")[len(module) :]:
        results = [
            node
            for node in body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and node.name == part
        ]
        if not results:
            return False
        body = results[0].body
    return True


def is_named_by(step: Step) -> bool:
    """Whether the caller's file names what it calls."""
    if step.caller is None:
        return True
    called = Path(step.name).stem if step.name.startswith("lua/") else step.name.rpartition(".")[2]
    return re.search(rf"\b{called}\b", source_of(step.caller).read_text()) is not None
