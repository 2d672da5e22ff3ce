"""All that Redis keeps of namespaces, to be compared before and after a rebuild."""

import re
from typing import Any

from tests.support.redis_topologies import open_store

_NAMESPACE = re.compile(r"lb:\{(\d+)\}:ns:(\d+)")
_KEY = re.compile(rb"lb:\{\d+\}:(b|bp|bs|bt|bg|u|d|ns):")


def namespace_state(url: str) -> dict[str, dict[str, str]]:
    """By key what it holds. A rebuild gives boards other versions; of them only the names are told, and of an archived
    window only that it is."""
    state = {}
    with open_store(url) as store:
        for key in store.scan_iter(match="lb:*", count=1_000):
            match = _KEY.match(key)
            if match:
                kind = match[1].decode()
                values = dict(store.zrange(key, 0, -1, withscores=True)) if kind in ("b", "bs") else store.hgetall(key)
                texts = {_text(name): _comparable(name, value) for name, value in values.items()}
                state[key.decode()] = {name: text for name, text in texts.items() if _says(name, text)}
    for key in state:
        if namespace := _NAMESPACE.fullmatch(key):
            _forget_empty_boards(state, namespace[1], namespace[2])
    return {key: values for key, values in state.items() if values}


def _forget_empty_boards(state: dict[str, dict[str, str]], p: str, namespace_id: str) -> None:
    """A board that lost its last user keeps a version, and counts; behind a rebuild it is a board that never was."""
    values = state[f"lb:{{{p}}}:ns:{namespace_id}"]
    boards = [name.removeprefix("v:") for name in values if name.startswith("v:")]
    for board in [board for board in boards if not state.get(f"lb:{{{p}}}:b:{namespace_id}:{board}")]:
        del values[f"v:{board}"]
        values["#boards"] = str(int(values["#boards"]) - 1)


def _text(value: Any) -> str:
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value)


def _says(name: str, text: str) -> bool:
    """Whether a field says more than its absence would. `#log` counts what the ledger lacks, which is nothing;
    velocities keep what no later grant is compared with."""
    is_empty = (name.startswith("t:") and text == "0 0") or (name.startswith("#") and text == "0")
    return not (is_empty or name == "#log" or name.startswith("r:"))


def _comparable(name: bytes, value: Any) -> str:
    if name.startswith(b"v:"):
        return "a version"
    return "a" if name.startswith(b"x:") and value.startswith(b"a") else _text(value)


def differences(before: dict[str, dict[str, str]], after: dict[str, dict[str, str]]) -> list[str]:
    """What is not the same, line by line."""
    lines = []
    for key in sorted(before.keys() | after.keys()):
        old, new = before.get(key, {}), after.get(key, {})
        lines += [
            f"{key} {name}: {old.get(name)!r} before, {new.get(name)!r} after"
            for name in sorted(old.keys() | new.keys())
            if old.get(name) != new.get(name)
        ]
    return lines
