"""The Lua scripts, joined from their includes once, at start."""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path

_INCLUDE = re.compile(r'--- @include "(.+)"')
#: The include of names of hash fields. They are put in as texts: a table of them would be made each time a script runs.
_FIELDS = "include/fields"
_FIELD = re.compile(r"\b([A-Z_]+) = ('[^']*')")
_FIELD_USE = re.compile(r"(?<![\w.])fields\.([A-Z_]+)\b")
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
    """The source of `name` below `root`, behind its includes. Each include is a local with the name of its file,
    which holds what the file returns; what it includes itself stands before it."""
    modules: dict[str, str] = {}
    source = _read(name, root, (), modules)
    fields = dict(_FIELD.findall(modules.pop(_FIELDS, "")))
    parts = [_block(path.rpartition("/")[2], text) for path, text in modules.items()]
    return _FIELD_USE.sub(lambda use: fields[use[1]], "\n".join([*parts, source]))


def _read(name: str, root: Path, path: tuple[str, ...], modules: dict[str, str]) -> str:
    """A file's text without its lines of includes. Adds what it includes to `modules`, in the order of need."""
    if name in path:
        raise ValueError(f"circular include: {' → '.join((*path, name))}")
    try:
        lines = (root / f"{name}.lua").read_text().splitlines()
    except FileNotFoundError:
        raise ValueError(f"missing script {name}.lua, needed by {path[-1] if path else 'the server'}") from None
    kept = []
    for line in lines:
        include = _INCLUDE.fullmatch(line)
        if include is None:
            kept.append(line)
        elif include[1] not in modules:
            modules[include[1]] = _read(include[1], root, (*path, name), modules)
    return "\n".join(kept)


def _block(name: str, text: str) -> str:
    """An include as a block that sets the local of its name to what its last statement returns. A function around it
    would do the same, but Redis would make and call it each time a script runs."""
    body, _, value = text.rpartition("\nreturn ")
    if value.strip() == name:
        body = body.replace(f"local function {name}(", f"function {name}(")
        return f"local {name}\ndo\n{body}\nend"
    return f"local {name}\ndo\n{body}\n{name} = {value}\nend"
