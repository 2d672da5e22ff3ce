"""What the house rules look for in a file; tests/test_tidy.py holds them."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[1]
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

#: Participles that say nothing of what a name stands for: `held` by whom, `found` where? A noun says it.
PARTICIPLES = {"held", "found", "wanted", "told", "kept", "asked"}
#: Comments and texts of the other languages, which are sentences. What is left of a file are its names.
SENTENCES = {
    ".sql": re.compile(r"--.*|'[^']*'"),
    ".lua": re.compile(r"--.*|'[^'\n]*'"),
    ".js": re.compile(r"//.*|/\*[\s\S]*?\*/|'[^'\n]*'|`[^`]*`"),
}


def first_word(node: ast.AST) -> object:
    """The first element of a tuple or a list, where it is a constant."""
    first = node.elts[0] if isinstance(node, ast.Tuple | ast.List) and node.elts else None
    return first.value if isinstance(first, ast.Constant) else None


def store_words_of(source: str) -> list[str]:
    """Calls of Redis that are written out, also those of scripts, and statements of SQL: `<line>: <beginning>`."""
    words = []
    for node in ast.walk(ast.parse(source)):
        word = first_word(node)
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


def participles_in(source: str) -> list[str]:
    """Names in Python code, as `<line>: <name>`; a test's name is a sentence."""
    names = _names_given_in(source)
    return [f"{line}: {name}" for line, name in names if _is_participle(name) and not name.startswith("test_")]


def participles_outside_python(suffix: str, text: str) -> list[str]:
    """Names in SQL, Lua or JavaScript."""
    return [word for word in re.findall(r"\w+", SENTENCES[suffix].sub(" ", text)) if _is_participle(word)]


def literal_bounds_of(path: Path) -> list[str]:
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


#: Types of which a caller may give one value in place of another, and no type checker sees it.
PLAIN_TYPES = {"str", "int", "bool", "bytes", "float"}
#: Positional parameters of one plain type; of more, a call does not show which is which.
LIKE_PARAMETERS_MAX = 2


def like_parameters_of(source: str) -> list[str]:
    """Functions with more than LIKE_PARAMETERS_MAX positional parameters of one plain type: `<line>: <name>`."""
    functions = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            annotations = [arg.annotation for arg in (*node.args.posonlyargs, *node.args.args) if arg.annotation]
            types = Counter(ast.unparse(annotation).removesuffix(" | None") for annotation in annotations)
            if any(types[plain] > LIKE_PARAMETERS_MAX for plain in PLAIN_TYPES):
                functions.append(f"{node.lineno}: {node.name}")
    return functions
