"""How the scripts are put together: each file names what it uses, and the whole stays far from Lua's own limits."""

import re
from pathlib import Path

import pytest
from lupa.lua51 import LuaRuntime

from app.drivers.scripts import folder, join
from app.store import fields
from tests.support.bytecode import compile_script

ROOT = folder()
COMMANDS = sorted(ROOT.glob("*.lua"))
INCLUDES = sorted((ROOT / "include").glob("*.lua"))
LAZY = [path for path in INCLUDES if "--- @lazy" in path.read_text().splitlines()]
#: Lua 5.1 allows a function 200 locals and 60 upvalues; a script past them does not compile.
LOCALS_MAX = 60
UPVALUES_MAX = 30
#: What Redis gives a script, as far as the scripts use it.
GLOBALS = {
    "redis",
    "error",
    "KEYS",
    "ARGV",
    "string",
    "math",
    "table",
    "ipairs",
    "pairs",
    "tonumber",
    "tostring",
    "type",
    "unpack",
    "next",
}


def included(path: Path) -> list[str]:
    return re.findall(r'^--- @include "include/(\w+)"$', path.read_text(), re.MULTILINE)


def code_of(path: Path) -> str:
    """A file without its comments and texts."""
    return re.sub(r"'[^'\n]*'", "''", re.sub(r"--.*", "", path.read_text()))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_script_stays_far_from_the_limits_of_lua(path: Path) -> None:
    main = compile_script(join(path.stem, ROOT))
    assert main.locals <= LOCALS_MAX
    assert max(function.upvalues for function in main.walk()) <= UPVALUES_MAX


@pytest.mark.parametrize("path", [*COMMANDS, *INCLUDES], ids=lambda path: path.name)
def test_a_file_names_what_it_uses(path: Path) -> None:
    names = included(path)
    declared = f"local {', '.join(names)}\n" if names else ""
    used = set().union(*(function.globals for function in compile_script(declared + path.read_text()).walk()))
    assert used <= GLOBALS, "a name that no include of this file brings"
    assert names == sorted(set(names))
    assert [name for name in names if not re.search(rf"(?<![\w.]){name}[.(]", code_of(path))] == []


@pytest.mark.parametrize("path", INCLUDES, ids=lambda path: path.name)
def test_an_include_brings_what_others_use(path: Path) -> None:
    """It returns one function by its own name, or a table; what it keeps to itself it uses."""
    code, name = code_of(path), path.stem
    others = "\n".join(code_of(other) for other in (*COMMANDS, *INCLUDES) if name in included(other))
    assert others, "nobody includes it"
    brought = set(re.findall(r"(\w+) = ", code[code.rindex("\nreturn ") :]))
    assert brought or code.endswith(f"\nreturn {name}\n")
    assert {one for one in brought if not re.search(rf"(?<![\w.]){name}\.{one}\b", others)} == set()
    declared = set(re.findall(r"^local function (\w+)", code, re.MULTILINE))
    assert {one for one in declared if len(re.findall(rf"(?<![\w.]){one}\b", code)) < 2} == set()


def test_fields_have_the_same_names_here_and_there() -> None:
    scripts = LuaRuntime().execute((ROOT / "include/fields.lua").read_text())
    assert {name: scripts[name] for name in scripts} == {name: vars(fields).get(name) for name in scripts}


@pytest.mark.parametrize("path", [*COMMANDS, *INCLUDES], ids=lambda path: path.name)
def test_a_field_is_named_by_its_constant(path: Path) -> None:
    """`probe` is the field of the script that tries commands, '' the one of no hash."""
    commands = r"'H(?:GET|MGET|SET|SETNX|DEL|EXISTS|INCRBY)', [\w.]+(?:\[\d\])?, '(\w[^']*)'"
    assert set(re.findall(commands, path.read_text())) <= ({"probe", "0"} if path.stem == "check_acl" else set())


def test_an_include_that_includes_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text('--- @include "b"\n')
    (tmp_path / "b.lua").write_text('--- @include "a"\n')
    with pytest.raises(ValueError, match="circular include: a → b → a"):
        join("a", tmp_path)


def test_names_of_fields_are_put_in_as_texts(tmp_path: Path) -> None:
    (tmp_path / "include").mkdir()
    (tmp_path / "include/fields.lua").write_text("return {\n  SEQ = 'seq', BOARD_VERSION = 'v:',\n}")
    (tmp_path / "a.lua").write_text('--- @include "include/fields"\nreturn fields.BOARD_VERSION .. fields.SEQ')
    assert join("a", tmp_path) == "return 'v:' .. 'seq'"
    (tmp_path / "a.lua").write_text('--- @include "include/fields"\nreturn fields.OTHER')
    with pytest.raises(KeyError, match="OTHER"):
        join("a", tmp_path)


def test_an_include_that_is_missing_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text('--- @include "b"\n')
    with pytest.raises(ValueError, match=r"missing script b.lua, needed by a"):
        join("a", tmp_path)


def test_a_lazy_include_is_made_once_and_not_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text('--- @include "b"\nreturn { b.x, b.x, other.b.x, not_b.x }')
    (tmp_path / "b.lua").write_text("--- @lazy\ntimes = times + 1\nlocal x = 5\nreturn { x = x }")
    joined = join("a", tmp_path)
    assert joined.split("\n")[:3] == ["local b", "do", "local made"]
    lua = LuaRuntime()
    lua.execute("times, other, not_b = 0, { b = { x = 3 } }, { x = 4 }")
    assert list(lua.execute(joined).values()) == [5, 5, 3, 4]
    assert lua.globals().times == 1
    (tmp_path / "a.lua").write_text('--- @include "b"\nreturn times')
    assert lua.execute(join("a", tmp_path)) == 1


@pytest.mark.parametrize("path", LAZY, ids=lambda path: path.name)
def test_a_lazy_include_is_a_table_and_nothing_else_is_used_by_its_name(path: Path) -> None:
    """Each `<name>.` of a joined script becomes a call."""
    assert re.search(r"\nreturn \{[^}]*\}\n$", path.read_text())
    for other in (*COMMANDS, *INCLUDES):
        declared = " ".join(re.findall(r"\b(?:local|function|for)\b([^=\n]*)", code_of(other)))
        if path.stem not in included(other):
            assert not re.search(rf"(?<![\w.]){path.stem}\.", code_of(other)), other.name
        else:
            assert path.stem not in re.findall(r"\w+", declared), other.name


def test_an_include_stands_once_and_before_those_who_need_it(tmp_path: Path) -> None:
    (tmp_path / "a.lua").write_text('--- @include "b"\n--- @include "c"\nreturn b() + c.x')
    (tmp_path / "b.lua").write_text('--- @include "c"\nlocal function b() return c.x end\nreturn b')
    (tmp_path / "c.lua").write_text("local x = 1\nreturn { x = x }")
    assert join("a", tmp_path).split("\n") == [
        *("local c", "do", "local x = 1", "c = { x = x }", "end"),
        *("local b", "do", "function b() return c.x end", "end", "return b() + c.x"),
    ]
