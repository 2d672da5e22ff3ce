"""House rules, checked rather than remembered."""

import ast
import re
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from app.drivers.scripts import join
from tests import documents, limits

ROOT = Path(__file__).parents[1]
APP = sorted((ROOT / "app").rglob("*.py"))
LUA = sorted((ROOT / "lua").rglob("*.lua"))
COMMANDS = [path for path in LUA if path.parent == ROOT / "lua"]
BOUND_ARGUMENTS = {"maxsize", "maxlen", "timeout", "timeout_s", "bytes_max"}
#: Commands of Redis that the code sends, or well may: a tuple or a list that begins with one of them is a call.
REDIS_COMMANDS = re.compile(
    r"[BHLSZP]?(GET|SET|ADD|DEL|SCAN|CARD|LEN|MGET|MSET|INCRBY|EXISTS|EXPIRE|REM|POP|PUSH|RANGE|COUNT|SCORE|MSCORE|RANK)"
    r"|[HZ](KEYS|VALS|GETALL|INCRBY|RANDMEMBER|REVRANGE|REVRANK|RANGEBYSCORE|RANGEBYLEX|LEXCOUNT|REMRANGEBY\w+)"
    r"|S(MEMBERS|ISMEMBER)|X(ADD|LEN|TRIM|DEL|RANGE|REVRANGE|READ|INFO|GROUP)|INCR|DECR|UNLINK|TYPE|KEYS|RENAME|PERSIST"
    r"|EVAL|EVALSHA|SCRIPT|FCALL|MULTI|EXEC|WATCH|WAIT|WAITAOF|CONFIG|INFO|CLIENT|COMMAND|MEMORY|OBJECT|DUMP|RESTORE|PING"
    r"|(UN)?SUBSCRIBE|PUBLISH|FLUSHALL|FLUSHDB|DBSIZE|SELECT|AUTH|ACL|TIME|HELLO|LASTSAVE|BGSAVE|BGREWRITEAOF|SHUTDOWN"
)
#: How a statement of SQL begins.
SQL_STATEMENT = re.compile(
    r"\s*(SELECT\s|INSERT INTO\s|UPDATE \S+ SET\s|DELETE FROM\s|WITH \S+ AS\s|SET (LOCAL |SESSION )?\w+\s*(=|TO\s)"
    r"|(CREATE|ALTER|DROP|TRUNCATE|LOCK) (TEMP |UNIQUE )?(TABLE|INDEX|VIEW|FUNCTION|ROLE|DATABASE|SCHEMA)\s|COPY \w+\s"
    r"|VACUUM\b|ANALYZE\b|EXPLAIN\s|(BEGIN|COMMIT|ROLLBACK)\s*;?\s*\Z|(UN)?LISTEN \w+\s*\Z|NOTIFY \w+\s*(,|\Z))"
)
BOARD_WRITES = re.compile(r"\b(ZADD|ZINCRBY|ZREM|ZREMRANGE\w*|ZUNIONSTORE|ZRANGESTORE)\b")

#: Participles that say nothing of what a name stands for: `held` by whom, `found` where? A noun says it.
PARTICIPLES = {"held", "found", "wanted", "told", "kept", "asked"}
#: Comments and texts of the other languages, which are sentences. What is left of a file are its names.
SENTENCES = {
    ".sql": re.compile(r"--.*|'[^']*'"),
    ".lua": re.compile(r"--.*|'[^'\n]*'"),
    ".js": re.compile(r"//.*|/\*[\s\S]*?\*/|'[^'\n]*'|`[^`]*`"),
}


def tracked() -> list[Path]:
    names = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def test_only_apply_and_a_rebuild_write_boards() -> None:
    writers = {path.relative_to(ROOT).as_posix() for path in (*APP, *LUA) if BOARD_WRITES.search(path.read_text())}
    assert writers == {"lua/include/boards.lua", "lua/check_acl.lua"}
    includers = [path.name for path in COMMANDS if "local boards\ndo\n" in join(path.stem, ROOT / "lua")]
    assert includers == ["apply.lua", "restore_users.lua"]
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


def _first_word(node: ast.AST) -> object:
    """The first element of a tuple or a list, where it is a constant."""
    first = node.elts[0] if isinstance(node, ast.Tuple | ast.List) and node.elts else None
    return first.value if isinstance(first, ast.Constant) else None


def _store_words_of(source: str) -> list[str]:
    """Calls of Redis that are written out, also those of scripts, and statements of SQL: `<line>: <beginning>`."""
    words = []
    for node in ast.walk(ast.parse(source)):
        word = _first_word(node)
        text = node.value if isinstance(node, ast.Constant) else None
        if isinstance(word, bytes):
            word = word.decode(errors="replace")
        if isinstance(word, str) and REDIS_COMMANDS.fullmatch(word):
            words.append(f"{node.lineno}: {word}")  # type: ignore[attr-defined]
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] == "evalsha":
            words.append(f"{node.lineno}: evalsha")
        if isinstance(text, str) and SQL_STATEMENT.match(text):
            words.append(f"{node.lineno}: {text[:40]}")  # type: ignore[attr-defined]
    return words


def test_only_the_store_and_the_drivers_speak_to_redis_and_postgres() -> None:
    """Everybody else calls a function of app/store that says what is asked, or names a query of app/store/sql."""
    rooms = {"app/store", "app/drivers"}
    words = [
        f"{path.relative_to(ROOT)}:{word}"
        for path in APP
        if "/".join(path.relative_to(ROOT).parts[:2]) not in rooms
        for word in _store_words_of(path.read_text())
    ]
    assert words == []


def test_the_rights_of_an_acl_user_are_the_commands_in_use() -> None:
    words = {word for path in LUA for word in re.findall(r"['\"]([A-Z]+)['\"]", path.read_text())}
    for path in (*(ROOT / "app/store").rglob("*.py"), *(ROOT / "app/drivers").rglob("*.py")):
        words |= {word for node in ast.walk(ast.parse(path.read_text())) if isinstance(word := _first_word(node), str)}
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
    assert len(_store_words_of(line)) == 1


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
    assert _store_words_of(line) == []


def _names_given_in(source: str) -> list[tuple[int, str]]:
    """Line and name of all that Python code gives a name to: variables, parameters, fields, functions, classes."""
    names: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
                names.append((node.lineno, name))
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                names.append((node.lineno, name))
            case ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)) | ast.ExceptHandler(name=str(name)):
                names.append((node.lineno, name))
            case ast.alias(asname=str(name)):
                names.append((node.lineno, name))
    return names


def _is_participle(name: str) -> bool:
    """`not_found` is HTTP's word for a status."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower().replace("not_found", "")
    return bool(PARTICIPLES & set(words.split("_")))


def _participles_in(source: str) -> list[str]:
    """Names in Python code, as `<line>: <name>`; a test's name is a sentence."""
    names = _names_given_in(source)
    return [f"{line}: {name}" for line, name in names if _is_participle(name) and not name.startswith("test_")]


def _participles_outside_python(suffix: str, text: str) -> list[str]:
    """Names in SQL, Lua or JavaScript."""
    return [word for word in re.findall(r"\w+", SENTENCES[suffix].sub(" ", text)) if _is_participle(word)]


def test_names_are_nouns() -> None:
    python = (*APP, *(ROOT / "tests").rglob("*.py"))
    names = {path.relative_to(ROOT).as_posix(): _participles_in(path.read_text()) for path in python}
    assert {path: name for path, name in names.items() if name} == {}


@pytest.mark.parametrize("suffix", SENTENCES)
def test_names_outside_python_are_nouns(suffix: str) -> None:
    paths = [path for room in ("app", "lua") for path in (ROOT / room).rglob(f"*{suffix}")]
    assert paths, "the rule finds the files"
    names = {path.relative_to(ROOT).as_posix(): _participles_outside_python(suffix, path.read_text()) for path in paths}
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
    assert _participles_outside_python(suffix, text) == words


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
    assert len(_participles_in(line)) == 1


@pytest.mark.parametrize("line", USES_OF_PARTICIPLES)
def test_what_uses_a_name_gives_none(line: str) -> None:
    assert _participles_in(line) == []


@pytest.mark.parametrize("path", [*APP, *LUA], ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_file_is_one_sitting(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 350


def _literals_of(path: Path) -> list[str]:
    """Calls that bound a wait or a buffer by a number, or not at all where that means no bound."""
    literals = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func).rpartition(".")[2]
        given = {"wait_for": node.args[1:2], "sleep": node.args, "timeout": node.args, "lru_cache": node.args}
        bounds = [*given.get(name, ()), *(keyword.value for keyword in node.keywords if keyword.arg in BOUND_ARGUMENTS)]
        if any(isinstance(one, ast.Constant) and one.value != 0 for one in bounds):
            literals.append(f"{path.relative_to(ROOT)}:{node.lineno}: {ast.unparse(node)}")
    return literals


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


#: Types of which a caller may give one value in place of another, and no type checker sees it.
PLAIN_TYPES = {"str", "int", "bool", "bytes", "float"}
#: Positional parameters of one plain type; of more, a call does not show which is which.
LIKE_PARAMETERS_MAX = 2
#: The cost of a call is reckoned for every grant: keywords would be a part of it.
POSITIONAL = {"app/store/call_cost.py"}


def _like_parameters_of(source: str) -> list[str]:
    """Functions with more than LIKE_PARAMETERS_MAX positional parameters of one plain type: `<line>: <name>`."""
    functions = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations = [arg.annotation for arg in (*node.args.posonlyargs, *node.args.args) if arg.annotation]
            types = Counter(ast.unparse(annotation).removesuffix(" | None") for annotation in annotations)
            if any(types[plain] > LIKE_PARAMETERS_MAX for plain in PLAIN_TYPES):
                functions.append(f"{node.lineno}: {node.name}")
    return functions


def test_parameters_that_could_be_swapped_are_given_by_keyword() -> None:
    functions = {path.relative_to(ROOT).as_posix(): _like_parameters_of(path.read_text()) for path in APP}
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
    assert _like_parameters_of(source) == expected


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


def test_settings_stay_few() -> None:
    assert limits.settings_count() <= 28
