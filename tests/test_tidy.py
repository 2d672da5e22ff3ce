"""House rules, checked rather than remembered."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from app.drivers.scripts import join
from tests import documents, limits

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
LUA = sorted((ROOT / "lua").rglob("*.lua"))
COMMANDS = [path for path in LUA if path.parent == ROOT / "lua"]
BOUND_ARGUMENTS = {"maxsize", "maxlen", "timeout", "timeout_s", "bytes_max"}
BOARD_WRITES = re.compile(r"\b(ZADD|ZINCRBY|ZREM|ZREMRANGE\w*|ZUNIONSTORE|ZRANGESTORE)\b")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_only_apply_writes_boards() -> None:
    writers = {path.relative_to(ROOT).as_posix() for path in (*APP, *LUA) if BOARD_WRITES.search(path.read_text())}
    assert writers == {"lua/include/boards.lua", "lua/check_acl.lua"}
    includers = [path.name for path in COMMANDS if "local boards\ndo\n" in join(path.stem, ROOT / "lua")]
    assert includers == ["apply.lua"]
    # The probe writes where no namespace is: id 0.
    assert "lb:" not in (ROOT / "lua/check_acl.lua").read_text()


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_command_tells_what_it_takes_and_does(path: Path) -> None:
    header = path.read_text().split("\n\n")[0]
    assert all(re.search(rf"^-- {part}\s+\S", header, re.MULTILINE) for part in ("KEYS", "ARGV", "Reply", "Effects"))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_scripts_run_on_every_redis(path: Path) -> None:
    source = join(path.stem, ROOT / "lua")
    assert not source.startswith("#!")
    assert not re.search(r"\b(cmsgpack|struct|bit|cjson)\.", source)


def test_key_names_stand_in_one_file() -> None:
    named = {path.relative_to(ROOT).as_posix() for path in (*APP, *LUA) if re.search(r"[\"']lb:", path.read_text())}
    assert named == {"app/store/keys.py"}


@pytest.mark.parametrize("path", [*APP, *LUA], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def _literals_of(path: Path) -> list[str]:
    """Calls that bound a wait or a buffer by a number, or not at all where that means no bound."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = {"wait_for": node.args[1:2], "sleep": node.args, "timeout": node.args, "lru_cache": node.args}
        bounds = [*given.get(name, ()), *(held.value for held in node.keywords if held.arg in BOUND_ARGUMENTS)]
        if any(isinstance(one, ast.Constant) and one.value != 0 for one in bounds):
            found.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    return found


def test_waits_and_caches_are_bounded_by_named_numbers() -> None:
    """A named one has its reason beside it, and stands in docs/limits.md."""
    assert [literal for path in APP for literal in _literals_of(path)] == []


def test_nobody_imports_from_the_package_root() -> None:
    inside = [path for path in APP if re.search(r"^\s*(from app\b|import app\b)", path.read_text(), re.MULTILINE)]
    assert inside == []


def test_a_read_hands_no_closure_down() -> None:
    """A handler reads in the loop over its admissions; nothing below it calls back to it."""
    nested = [
        f"{path.relative_to(ROOT)}:{inner.lineno}: {inner.name}"
        for path in APP
        if path.parent.name == "read"
        for outer in ast.walk(ast.parse(path.read_text()))
        if isinstance(outer, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(outer)
        if isinstance(inner, ast.AsyncFunctionDef) and inner is not outer
    ]
    assert nested == []


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 180


@pytest.mark.parametrize("page", documents.documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_path_that_a_document_names_is_there(page: Path) -> None:
    assert documents.dead_paths(page) == []


def test_a_dead_path_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("`app/nowhere.py`, `no_such.lua`, [a page](gone.md); `app/server.py`, `apply.lua`, `lua/include/`")
    assert documents.dead_paths(page) == ["gone.md", "app/nowhere.py", "no_such.lua"]


def test_the_walks_of_the_architecture_are_the_code() -> None:
    page = documents.ARCHITECTURE.read_text()
    steps = list(documents.steps(page))
    assert len(steps) > 90, "the rule finds the lines"
    names = [*(step.name for step in steps), *documents.named_in_prose(page)]
    assert [name for name in names if not documents.is_there(name)] == []
    assert [step for step in steps if not documents.is_named_by(step)] == []


def test_no_address_of_a_registry_stands_in_the_tree() -> None:
    found = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix in {".txt", ".toml", ".yaml", ".yml", ".md", ""} and "/simple" in path.read_text(errors="ignore")
    ]
    assert found == []


def test_every_bound_has_its_reason() -> None:
    found = [*limits.limits(), *limits.settings()]
    assert len(found) > 200, "the rule finds the bounds"
    without = [f"{one.path}:{one.line} {one.name}" for one in found if not one.reason]
    assert without == [], "a comment that begins with #: above the constant says why this number"


def test_the_page_of_limits_is_the_code() -> None:
    assert limits.PAGE.read_text() == limits.page(), "make limits"


def test_settings_stay_few() -> None:
    assert limits.settings_count() <= 25
