"""The Lua scripts, joined from their includes once, at start."""

import re
from dataclasses import dataclass
from functools import cache
from hashlib import sha1
from pathlib import Path

_INCLUDE = re.compile(r'--- @include "(.+)"')
#: The line of an include that is made at its first use. Redis makes all functions of a script anew each time it runs.
_LAZY = "--- @lazy"
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
    """The folder of the scripts: inside the installed package, else beside it in the source tree."""
    inside = _PACKAGE / "lua"
    return inside if inside.is_dir() else _PACKAGE.parent / "lua"


@cache
def load(name: str) -> Script:
    """The script `<name>.lua` with its includes, each once. ValueError names a missing or circular one."""
    source = join(name, folder())
    return Script(name, source, sha1(source.encode(), usedforsecurity=False).hexdigest())


def join(name: str, root: Path) -> str:
    """The source of `name` below `root`, behind its includes. Each include is a local with the name of its file,
    which holds what the file returns; what it includes itself stands before it. A lazy include is a function that
    answers this, and each use of the include calls it."""
    modules: dict[str, str] = {}
    source = _read(name, root, (), modules)
    fields = dict(_FIELD.findall(modules.pop(_FIELDS, "")))
    named = {path.rpartition("/")[2]: text for path, text in modules.items()}
    lazy = [module for module, text in named.items() if _LAZY in text.splitlines()]
    blocks = [(_lazy_block if module in lazy else _block)(module, text) for module, text in named.items()]
    joined = _FIELD_USE.sub(lambda use: fields[use[1]], "\n".join([*blocks, source]))
    return re.sub(rf"(?<![\w.])({'|'.join(lazy)})\.(?=\w)", r"\1().", joined) if lazy else joined


def _read(name: str, root: Path, path: tuple[str, ...], modules: dict[str, str]) -> str:
    """A file's text without its lines of includes. Adds what it includes to `modules`, in the order of need."""
    if name in path:
        raise ValueError(f"circular include: {' → '.join((*path, name))}")
    try:
        lines = (root / f"{name}.lua").read_text().splitlines()
    except FileNotFoundError:
        raise ValueError(f"missing script {name}.lua, needed by {path[-1] if path else 'the server'}") from None
    own_lines = []
    for line in lines:
        include = _INCLUDE.fullmatch(line)
        if include is None:
            own_lines.append(line)
        elif include[1] not in modules:
            modules[include[1]] = _read(include[1], root, (*path, name), modules)
    return "\n".join(own_lines)


def _block(name: str, text: str) -> str:
    """An include as a block that sets the local of its name to what its last statement returns. A function around it
    would do the same, but Redis would make and call it each time a script runs."""
    body, _, value = text.rpartition("\nreturn ")
    if value.strip() == name:
        body = body.replace(f"local function {name}(", f"function {name}(")
        return f"local {name}\ndo\n{body}\nend"
    return f"local {name}\ndo\n{body}\n{name} = {value}\nend"


def _lazy_block(name: str, text: str) -> str:
    """An include as a function that makes at its first call what the include returns, a table."""
    body, _, table = text.rpartition("\nreturn ")
    made = f"if made then\nreturn made\nend\n{body}\nmade = {table}\nreturn made"
    return f"local {name}\ndo\nlocal made\nfunction {name}()\n{made}\nend\nend"
