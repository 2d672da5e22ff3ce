"""House rules, checked rather than remembered."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from app.drivers.scripts import join
from tests import documents, limits
from tests.house_rules import (
    REDIS_COMMANDS,
    ROOT,
    SENTENCES,
    first_word,
    like_parameters_of,
    literal_bounds_of,
    participles_in,
    participles_outside_python,
    store_words_of,
)

APP = sorted((ROOT / "app").rglob("*.py"))
LUA = sorted((ROOT / "lua").rglob("*.lua"))
CLIENTS = sorted(path for suffix in ("js", "py") for path in (ROOT / "clients").rglob(f"*.{suffix}"))
COMMANDS = [path for path in LUA if path.parent == ROOT / "lua"]
BOARD_WRITES = re.compile(r"\b(ZADD|ZINCRBY|ZREM|ZREMRANGE\w*|ZUNIONSTORE|ZRANGESTORE)\b")


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_only_apply_and_a_rebuild_write_boards() -> None:
    writers = {path.relative_to(ROOT).as_posix() for path in (*APP, *LUA) if BOARD_WRITES.search(path.read_text())}
    assert writers == {"lua/include/boards.lua", "lua/check_acl.lua"}
    includers = [path.name for path in COMMANDS if "local boards\ndo\n" in join(path.stem, ROOT / "lua")]
    assert includers == ["apply.lua", "rebuild_users.lua"]
    # The probe writes where no namespace is: id 0.
    assert "lb:" not in (ROOT / "lua/check_acl.lua").read_text()


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: path.name)
def test_a_commands_header_says_what_it_takes_and_does(path: Path) -> None:
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


def test_only_the_store_and_the_drivers_speak_to_redis_and_postgres() -> None:
    """Everybody else calls a function of app/store that says what is asked, or names a query of app/store/sql."""
    rooms = {"app/store", "app/drivers"}
    words = [
        f"{path.relative_to(ROOT)}:{word}"
        for path in APP
        if "/".join(path.relative_to(ROOT).parts[:2]) not in rooms
        for word in store_words_of(path.read_text())
    ]
    assert words == []


def test_the_rights_of_an_acl_user_are_the_commands_in_use() -> None:
    words = {word for path in LUA for word in re.findall(r"['\"]([A-Z]+)['\"]", path.read_text())}
    for path in (*(ROOT / "app/store").rglob("*.py"), *(ROOT / "app/drivers").rglob("*.py")):
        words |= {word for node in ast.walk(ast.parse(path.read_text())) if isinstance(word := first_word(node), str)}
    used = {word for word in words if REDIS_COMMANDS.fullmatch(word)}
    rights = re.search(r"An ACL user needs.*?\n\n", (ROOT / "deploy/README.md").read_text(), re.DOTALL)
    assert rights is not None
    assert used == {word for word in re.findall(r"\b[A-Z]+\b", rights[0]) if REDIS_COMMANDS.fullmatch(word)} - {
        "ACL",
        "GET",
    }


@pytest.mark.parametrize(
    "line",
    [
        *('call = ("HGET", key, field)', 'await link.run([("XREAD", "COUNT", 1)])', 'calls = [["UNLINK", *names]]'),
        *(
            '("ZMSCORE", key, *members)',
            '(b"HKEYS", key)',
            '("CONFIG", "GET", name)',
            '("MULTI",)',
            'TYPES = ("TYPE", 1)',
            "call = evalsha(SCRIPT, [key], [])",
        ),
        *('text = "SELECT 1"', 'text = f"INSERT INTO t SELECT {sign}"', 'text = """\\n  DELETE FROM t"""'),
        *(
            '"UPDATE t SET a = 1"',
            '"WITH a AS (SELECT)"',
            '"SET LOCAL lock_timeout = 1"',
            '"BEGIN"',
            '"CREATE TABLE t ()"',
        ),
    ],
)
def test_a_call_or_a_statement_outside_the_store_is_found(line: str) -> None:
    assert len(store_words_of(line)) == 1


@pytest.mark.parametrize(
    "line",
    [
        *(
            'Route("GET", path)',
            'Route("DELETE", path)',
            '("PLACE", "NAMESPACE")',
            '"Set the name"',
            '"UPDATE 1"',
            'f("GET")',
        ),
        *(
            '"delete from the board"',
            '("applied", "duplicate")',
            '"SETTINGS = 1"',
            '"with a name as it is"',
            "()",
            "[key]",
        ),
    ],
)
def test_what_is_no_call_and_no_statement_is_not_found(line: str) -> None:
    assert store_words_of(line) == []


def test_names_are_nouns() -> None:
    python = (*APP, *(path for room in ("tests", "clients") for path in (ROOT / room).rglob("*.py")))
    names = {path.relative_to(ROOT).as_posix(): participles_in(path.read_text()) for path in python}
    assert {path: name for path, name in names.items() if name} == {}


@pytest.mark.parametrize("suffix", SENTENCES)
def test_names_outside_python_are_nouns(suffix: str) -> None:
    paths = [path for room in ("app", "lua", "clients") for path in (ROOT / room).rglob(f"*{suffix}")]
    assert paths, "the rule finds the files"
    names = {path.relative_to(ROOT).as_posix(): participles_outside_python(suffix, path.read_text()) for path in paths}
    assert {path: words for path, words in names.items() if words} == {}


@pytest.mark.parametrize(
    ("suffix", "text", "words"),
    [
        (".sql", "-- What was held.\nWITH held AS (SELECT 'told' AS told_place)", ["held", "told_place"]),
        (".lua", "-- kept\nlocal kept_keys = { 'found' }", ["kept_keys"]),
        (".js", "// asked\nconst lastAsked = `told ${held}`; /* kept\nfound */ user_not_found();", ["lastAsked"]),
    ],
)
def test_a_participle_outside_python_is_found(suffix: str, text: str, words: list[str]) -> None:
    assert participles_outside_python(suffix, text) == words


NAMED_BY_PARTICIPLES = (
    *(
        "held = 1",
        "self.found_at = 1",
        "_ASKED_MAX = 1",
        "[0 for wanted in x]",
        "import a as held",
        "f = lambda kept: 1",
    ),
    *("def told(): ...", "async def f(held): ...", "class Held: ..."),
    *("try: ...\nexcept E as found: ...", "match x:\n  case kept: ...", "match x:\n  case [*told]: ..."),
)
USES_OF_PARTICIPLES = (
    *("row = held", "withheld = 1", "f(found=1)", "x = row.kept", "import held"),
    *("def test_what_is_kept(): ...", "class NotFound: ..."),
)


@pytest.mark.parametrize("line", NAMED_BY_PARTICIPLES)
def test_a_participle_that_names_something_is_found(line: str) -> None:
    assert len(participles_in(line)) == 1


@pytest.mark.parametrize("line", USES_OF_PARTICIPLES)
def test_what_uses_a_name_gives_none(line: str) -> None:
    assert participles_in(line) == []


TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", [*APP, *LUA, *CLIENTS, *TESTS], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def test_waits_and_caches_are_bounded_by_named_numbers() -> None:
    """A named one has its reason beside it, and stands in docs/limits.md."""
    assert [literal for path in APP for literal in literal_bounds_of(path)] == []


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


#: The cost of a call is reckoned for every grant: keywords would be a part of it.
POSITIONAL = {"app/store/call_cost.py"}


def test_parameters_that_could_be_swapped_are_given_by_keyword() -> None:
    functions = {path.relative_to(ROOT).as_posix(): like_parameters_of(path.read_text()) for path in APP}
    assert {path for path, names in functions.items() if names} == POSITIONAL, functions


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(a: int, b: int, c: int): ...", ["1: f"]),
        ("async def f(a: str, b: str | None, c: int, d: str): ...", ["1: f"]),
        ("def f(a: int, b: int, *, c: int): ...", []),
        ("def f(a: int, b: str, c: bytes, d: int): ...", []),
    ],
)
def test_parameters_of_one_type_are_counted(source: str, expected: list[str]) -> None:
    assert like_parameters_of(source) == expected


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().splitlines()) <= 120


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
    paths = [
        path.relative_to(ROOT).as_posix()
        for path in tracked()
        if path.suffix in {".txt", ".toml", ".yaml", ".yml", ".md", ""} and "/simple" in path.read_text(errors="ignore")
    ]
    assert paths == []


def test_every_bound_has_its_reason() -> None:
    bounds = [*limits.limits(), *limits.settings()]
    assert len(bounds) > 200, "the rule finds the bounds"
    without = [f"{one.path}:{one.line} {one.name}" for one in bounds if not one.reason]
    assert without == [], "a comment that begins with #: above the constant says why this number"


def test_the_page_of_limits_is_the_code() -> None:
    assert limits.PAGE.read_text() == limits.page(), "make limits"
    assert limits.left_out() == set(), "folders without a part of the page"


def test_settings_stay_few() -> None:
    assert limits.settings_count() <= 34
