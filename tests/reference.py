"""`make limits`: the pages of docs/reference that are made from the code: calls, settings, commands, metrics.

A setting's meaning is the `#:` comment above it in app/settings.py; a command's and an option's is its help.
"""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from typer.main import get_command

from app import metrics
from app.cli import COMMANDS, program
from app.openapi import OPERATIONS
from app.routes import ROUTES, RequiredScope
from app.settings import SECRETS, Settings

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs/reference"
_CALLS = """# All calls

The fields of bodies and answers are in `/openapi.json`, with an example of each, and your server shows them at `/docs`.
*Name* is the name that a call has in generated clients. An error is a [problem](errors.md) on every call.

*Needs* tells the scope of the key: of the namespace in the path, of each namespace that is named, or of the whole
deployment (`*`). *public* means that a public namespace opens the call without a key.
"""
_SETTINGS = """# Settings

Settings are variables of the environment. A flag of a command overrides its variable. A wrong setting stops the start,
and the error names each one that is wrong; `leaderboard checkconfig` looks at the stores, too. Times are in seconds,
sizes in bytes.
"""
_COMMANDS = """# Commands

All are commands of one program, `leaderboard`; in a clone it is `.venv/bin/leaderboard`. Exit codes: 0 good, 1 a
finding, 2 wrong usage. An error is one line on stderr. `leaderboard --version` prints the version, and `--help` behind
a command explains it.

Commands that need the stores read `LEADERBOARD_REDIS_URL` and `LEADERBOARD_POSTGRES_URL`. Where neither is set and a
`leaderboard dev` of yours runs on the data folder (`.data`), they use its stores and its key, and say so on stderr;
`serve`, `persist` and `migrate` never do.
"""
_METRICS = """# Metrics

A server answers `/metrics` for Prometheus. A persister does on `LEADERBOARD_METRICS_PORT`, if that is set. Each process
has its own; of a server with several workers, one of them answers.

| Watch | because |
|---|---|
| `/readyz` | 503: no writes are taken |
| `leaderboard_log_lasts_seconds` | how long grants go on without Postgres |
| `leaderboard_persist_lag_entries` | what the ledger lacks |
| `leaderboard_faults` | what fails, and is tried again |
| `leaderboard_poison_entries_total` | should stay: each wants a decision (`leaderboard dead-letters`) |
| `leaderboard_drifting_namespaces`, `leaderboard_seals_differing` | should be 0: run `leaderboard verify` |
"""
_MADE = "`make limits` makes this page from the code, and a test holds that it is up to date.\n"
#: The parts of the list of calls, by how their paths begin.
PARTS = {"/v1/namespaces": "Namespaces", "/v1": "The whole deployment", "": "Around it"}


def calls() -> str:
    """Every path, what it needs and what it takes."""
    blocks = [_CALLS, _MADE]
    rest = [route for route in ROUTES if route.is_described]
    for prefix, title in PARTS.items():
        part, rest = ([route for route in rest if route.path.startswith(prefix) is is_in] for is_in in (True, False))
        rows = [
            f"| `{route.method}` `{route.path}` | `{route.name}` | {OPERATIONS[route.name].summary} | "
            f"{needs(route.required)} | {_names(route.query)} | {', '.join(route.statuses)} |"
            for route in sorted(part, key=lambda one: (one.path, one.method))
        ]
        blocks.append(_table(title, ("Call", "Name", "What it does", "Needs", "Parameters", "Status"), rows))
    return "\n".join(blocks)


def needs(required: RequiredScope) -> str:
    """What a key must have, in words."""
    if required.scope is None:
        return "no key"
    over = {"name": "", "each": " of each", "all": ":*"}[required.over]
    return f"`{required.scope}{over}`" + (" or public" if required.is_public else "")


def settings() -> str:
    """Every setting with its default and its meaning."""
    rows = [
        f"| `LEADERBOARD_{name.upper()}` | {_default(name, value)} | {meaning} |"
        for name, value, meaning in _settings()
    ]
    return "\n".join([_SETTINGS, _MADE, _rows(("Setting", "Default", "What it is"), rows)])


def _settings() -> Iterator[tuple[str, Any, str]]:
    source = inspect.getsource(Settings)
    (body,) = [node.body for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    lines = source.splitlines()
    defaults = Settings()
    for node in body:
        if isinstance(node, ast.AnnAssign):
            field = ast.unparse(node.target)
            name = dict(zip(Settings.__struct_fields__, Settings.__struct_encode_fields__, strict=True))[field]
            above: list[str] = []
            for line in reversed(lines[: node.lineno - 1]):
                if not line.strip().startswith("#:"):
                    break
                above.insert(0, line.strip().removeprefix("#:").strip())
            yield name, getattr(defaults, field), _cell(" ".join(above))


def _default(name: str, value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1 << 20 and value % (1 << 20) == 0:
        return f"{value >> 20:,} MiB"
    shown = f"{value:,}" if isinstance(value, int) and name != "port" else str(value)
    return f"`{shown}`" if shown and not (name.endswith(SECRETS) and not name.endswith("_url")) else "empty"


def commands() -> str:
    """Every command with its help, its arguments and its options."""
    blocks = [_COMMANDS, _MADE]
    group: Any = get_command(program())
    for name in COMMANDS:
        command = group.commands[name]
        inner = getattr(command, "commands", {}).items()
        for full, one in [(f"{name} {part}", one) for part, one in inner] or [(name, command)]:
            blocks.append(_command(full, one))
    return "\n".join(blocks)


def _command(name: str, command: Any) -> str:
    words = [_argument(one) for one in command.params if one.param_type_name == "argument"]
    rows = [
        f"| `{' / '.join((*one.opts, *one.secondary_opts))}`{_times(one)} | {_cell(one.help or '')} | "
        f"{_option_default(one)} |"
        for one in command.params
        if one.param_type_name == "option" and not one.hidden and "--help" not in one.opts
    ]
    text = f"## leaderboard {' '.join((name, *words))}\n\n{_cell(inspect.cleandoc(command.help or ''))}\n"
    return text + ("\n" + _rows(("Option", "What it does", "Default"), rows) if rows else "")


def _argument(argument: Any) -> str:
    word = (argument.metavar or argument.name.upper()) + ("…" if argument.nargs == -1 else "")
    return word if argument.required else f"[{word}]"


def _times(option: Any) -> str:
    return ", repeatable" if option.multiple else ""


def _option_default(option: Any) -> str:
    if option.required:
        return "needed"
    value = option.default
    return "" if value in (None, False, (), []) or callable(value) else f"`{'on' if value is True else value}`"


def metric_page() -> str:
    """Every metric with its labels and its meaning."""
    kinds = {"counter": "counter", "gauge": "gauge", "histogram": "histogram"}
    collectors = [one for one in vars(metrics).values() if hasattr(one, "_documentation")]
    rows = []
    for one in sorted(collectors, key=lambda metric: metric._name):
        name = one._name + ("_total" if one._type == "counter" else "")
        rows.append(f"| `{name}` | {kinds[one._type]} | {_names(one._labelnames)} | {_cell(one._documentation)} |")
    return "\n".join([_METRICS, _MADE, _rows(("Metric", "Kind", "Labels", "What it counts"), rows)])


def _table(title: str, columns: tuple[str, ...], rows: list[str]) -> str:
    return f"## {title}\n\n{_rows(columns, rows)}"


def _rows(columns: tuple[str, ...], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(columns)} |", f"|{'---|' * len(columns)}", *rows, ""])


def _names(names: Any) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _cell(text: str) -> str:
    text = re.sub(r"\s+", " ", text).replace("\\[", "[").replace("|", "\\|").strip()
    parts = re.split(r"(`[^`]*`)", text)
    text = "".join(part if i % 2 else part.replace("<", "&lt;") for i, part in enumerate(parts))
    return text[:1].upper() + text[1:] if re.match(r"[a-z]+ ", text) else text


#: What is made, by the page's name.
PAGES = {"calls.md": calls, "settings.md": settings, "commands.md": commands, "metrics.md": metric_page}

if __name__ == "__main__":
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make())
