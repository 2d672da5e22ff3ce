"""`make limits`: docs/limits.md, every deadline, bound and amount of the code with the reason that stands beside it.

The rule goes by the name: a constant of a module, in capitals, whose value is a number and whose name carries one of
`WORDS` between its underscores. Its reason is the `#:` comment above it or behind it; in Lua, the `--` behind it.
"""

import ast
import operator
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/limits.md"
#: A bound, a unit, or an amount at a time. Microseconds of a script's work (`US`) are estimates unless they are bounds.
WORDS = frozenset({"MAX", "MIN", "S", "MS", "MICROS", "BYTES", "A", "AN", "ONCE", "EVERY", "AFTER", "TURN", "ROUND"})
PARTS = {
    "The process": "app",
    "HTTP": "app/http",
    "Keys and addresses": "app/access",
    "Writing": "app/write",
    "Reading": "app/read",
    "Live": "app/live",
    "Persister": "app/persist",
    "Webhooks": "app/webhooks",
    "Connections to the stores": "app/drivers",
    "Stores": "app/store",
    "Model": "app/model",
    "Administration": "app/admin",
    "Recovery": "app/recover",
    "Verification": "app/verify",
    "Moving in and out": "app/transfer",
    "Stores of `leaderboard dev`": "app/embedded",
    "Scripts in Redis": "lua",
}
HEAD = """# Limits

The deadlines, bounds and amounts that stand in the code as constants, each with the reason for its number.
`make limits` makes it from the code; a test holds that it is up to date. Change a number, or its reason, in the code.

Read here what an error such as `429 rate_limited` or `503 overloaded` is measured by, how long a part may take before
the others go on without it, and what a change of a number would touch. What a client may send is in
[the reference](reference/index.md).
A name with `A` is an amount at a time: rows a call, bytes a second. Only the settings are for operators to change.
"""
OPERATORS: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: operator.pow,
    ast.LShift: operator.lshift,
}
KIB = 1024


class Limit(NamedTuple):
    """A constant: its file from the root, its line from 1, and its reason, empty where none is written."""

    path: str
    line: int
    name: str
    value: float
    reason: str


def is_limit(name: str) -> bool:
    """Whether a constant's name says a bound, a deadline or an amount at a time."""
    return not WORDS.isdisjoint(name.split("_"))


def limits() -> list[Limit]:
    """All of them, by path and line."""
    python = [limit for path in sorted((ROOT / "app").rglob("*.py")) for limit in _of_python(path)]
    return python + [limit for path in sorted((ROOT / "lua").rglob("*.lua")) for limit in _of_lua(path)]


def settings() -> list[Limit]:
    """The settings whose default is a bound, named as the environment names them."""
    path = ROOT / "app/settings.py"
    lines = path.read_text().splitlines()
    fields = [node for node in _settings_class(path).body if isinstance(node, ast.AnnAssign)]
    rows = []
    for node in fields:
        # A field may have another name in the environment than in the code: `msgspec.field(default=…, name=…)`.
        given = {part.arg: part.value for part in node.value.keywords} if isinstance(node.value, ast.Call) else {}
        name = ast.literal_eval(given.get("name", ast.Constant(ast.unparse(node.target)))).upper()
        value = _value(given.get("default", node.value), path)
        if is_limit(name) and value is not None:
            rows.append(Limit("app/settings.py", node.lineno, name, value, _reason(lines, node)))
    return rows


def settings_count() -> int:
    """How many settings there are in all."""
    return sum(isinstance(node, ast.AnnAssign) for node in _settings_class(ROOT / "app/settings.py").body)


def left_out() -> set[str]:
    """The folders whose limits the page does not show."""
    return {_folder(limit.path) for limit in limits()} - set(PARTS.values())


def page() -> str:
    """What docs/limits.md says."""
    everything = limits()
    blocks = [HEAD]
    if chosen := settings():
        rows = [
            f"| `LEADERBOARD_{one.name}` | {readable(one.name, one.value)} | {_cell(one.reason)} |" for one in chosen
        ]
        blocks.append(
            "\n".join(["## Settings", "", "| Setting | Default | What it bounds |", "|---|---|---|", *rows, ""])
        )
    for title, folder in PARTS.items():
        part = [one for one in everything if _folder(one.path) == folder]
        if part:
            rows = [
                f"| `{one.name}` in {_short(one.path)} | {readable(one.name, one.value)} | {_cell(one.reason)} |"
                for one in part
            ]
            blocks.append("\n".join([f"## {title}", "", "| What | Bound | Reason |", "|---|---|---|", *rows, ""]))
    return "\n".join(blocks)


def readable(name: str, value: float) -> str:
    """A number with the unit that its name says: `10 s`, `16 KiB`, `1,000`, `50 a second`."""
    words = name.split("_")
    rate = bool(re.search(r"_A_S(_|$)", name))
    if "BYTES" in words:
        return _bytes(value) + (" a second" if rate else "")
    if rate:
        return f"{_number(value)} a second"
    for word, seconds in (("S", 1.0), ("MS", 1e-3), ("US", 1e-6), ("MICROS", 1e-6)):
        if word in words:
            return _time(value * seconds)
    return _number(value)


def _bytes(value: float) -> str:
    for unit, size in (("GiB", KIB**3), ("MiB", KIB**2), ("KiB", KIB)):
        if value >= size and value * 8 % size == 0:
            return f"{_number(value / size)} {unit}"
    return f"{_number(value)} bytes"


def _time(seconds: float) -> str:
    for unit, size, least in (("days", 86_400, 2), ("h", 3_600, 1), ("min", 60, 2)):
        if seconds >= size * least and seconds % size == 0:
            return f"{_number(seconds / size)} {unit}"
    if seconds == 0 or seconds >= 1:
        return f"{_number(seconds)} s"
    return f"{_number(seconds * 1e3)} ms" if seconds >= 1e-3 else f"{_number(seconds * 1e6)} µs"


def _number(value: float) -> str:
    whole = round(value)
    return f"{whole:,}" if abs(value - whole) < 1e-6 else f"{value:.4g}"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _folder(path: str) -> str:
    top, *rest = path.split("/")
    return f"{top}/{rest[0]}" if top == "app" and len(rest) > 1 else top


def _short(path: str) -> str:
    return path.removeprefix(_folder(path) + "/")


def _of_python(path: Path) -> Iterator[Limit]:
    lines = path.read_text().splitlines()
    for name, (node, value) in _constants(path).items():
        if is_limit(name) and (number := _value(value, path)) is not None:
            yield Limit(path.relative_to(ROOT).as_posix(), node.lineno, name, number, _reason(lines, node))


def _of_lua(path: Path) -> Iterator[Limit]:
    for at, line in enumerate(path.read_text().splitlines(), 1):
        match = re.match(r"local ([A-Z][A-Z0-9_]*) = (\d+)(?:\s+--\s*(.*))?$", line)
        if match and is_limit(match[1]):
            yield Limit(path.relative_to(ROOT).as_posix(), at, match[1], int(match[2]), (match[3] or "").strip())


@cache
def _constants(path: Path) -> dict[str, tuple[ast.stmt, ast.expr]]:
    """The names in capitals that a module gives a value, with the statement and the value; in the module's order."""
    constants: dict[str, tuple[ast.stmt, ast.expr]] = {}
    for node in ast.parse(path.read_text()).body:
        pairs: list[tuple[ast.expr, ast.expr]] = []
        if isinstance(node, ast.AnnAssign) and node.value:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            target = node.targets[0]
            several = isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple)
            pairs = list(zip(target.elts, node.value.elts, strict=True)) if several else [(target, node.value)]  # type: ignore[attr-defined]
        for name, value in pairs:
            if isinstance(name, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]*", name.id):
                constants[name.id] = (node, value)
    return constants


def _value(node: ast.expr | None, path: Path) -> float | None:
    """A number: a literal, a constant of this module or of one of ours that it imports, or their arithmetic."""
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return node.value
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        inner = _value(node.operand, path)
        return None if inner is None else -inner
    if isinstance(node, ast.BinOp) and type(node.op) in OPERATORS:
        left, right = _value(node.left, path), _value(node.right, path)
        return None if left is None or right is None else OPERATORS[type(node.op)](left, right)
    if isinstance(node, ast.Name):
        if node.id in _constants(path):
            return _value(_constants(path)[node.id][1], path)
        return _imported(node.id, path)
    return None


def _imported(name: str, path: Path) -> float | None:
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level and node.module:
            for alias in node.names:
                source = path.parents[node.level - 1].joinpath(*node.module.split(".")).with_suffix(".py")
                if (alias.asname or alias.name) == name and source.is_file():
                    return _value(ast.Name(alias.name), source)
    return None


def _reason(lines: list[str], node: ast.stmt) -> str:
    """The `#:` comment behind a statement; else the lines of `#:` directly above it, joined."""
    last = lines[(node.end_lineno or node.lineno) - 1]
    if "#:" in last:
        return last.split("#:", 1)[1].strip()
    above: list[str] = []
    at = node.lineno - 2
    while at >= 0 and lines[at].strip().startswith("#:"):
        above.insert(0, lines[at].strip()[2:].strip())
        at -= 1
    return " ".join(above)


def _settings_class(path: Path) -> ast.ClassDef:
    tree = ast.parse(path.read_text())
    return next(node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Settings")


if __name__ == "__main__":
    PAGE.write_text(page())
    for one in limits():
        if not one.reason:
            print(f"{one.path}:{one.line}: {one.name}: give the reason in a comment that begins with #:")
