"""The Lua scripts, joined from their includes once, at start."""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path

_INCLUDE = re.compile(r'--- @include "(.+)"')
_PACKAGE = Path(__file__).parent.parent


@dataclass(frozen=True, slots=True)
class Script:
    """A script's name, whole source and SHA-1, which is its name at Redis."""

    name: str
    source: str
    sha: str


def folder() -> Path:
    """Where the scripts lie: inside the installed package, else beside it in the source tree."""
    inside = _PACKAGE / "lua"
    return inside if inside.is_dir() else _PACKAGE.parent / "lua"


@cache
def load(name: str) -> Script:
    """The script `<name>.lua` with its includes, each once. ValueError names a missing or circular one."""
    source = join(name, folder())
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def join(name: str, root: Path) -> str:
    """The source of `name` below `root` with every include in its place."""
    return _text_of(name, root, (), set())


def _text_of(name: str, root: Path, path: tuple[str, ...], done: set[str]) -> str:
    if name in path:
        raise ValueError(f"circular include: {' → '.join((*path, name))}")
    if name in done:
        return ""
    done.add(name)
    try:
        lines = (root / f"{name}.lua").read_text().splitlines()
    except FileNotFoundError:
        raise ValueError(f"missing script {name}.lua, wanted by {path[-1] if path else 'the server'}") from None
    found = ((line, _INCLUDE.fullmatch(line)) for line in lines)
    return "\n".join(_text_of(at[1], root, (*path, name), done) if at else line for line, at in found)
