"""docs/glossary.md has the words of the code: each term stands there once and is used; modules are named by terms."""

import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parents[2]
TERMS = re.findall(r"^\| (?!term|---)([^|]+?) \|", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
MODULES = sorted({path.stem for path in (ROOT / "app").rglob("*.py") if not path.stem.startswith("__")})
#: Words of modules that are no terms of the house: what every program has, or a name from outside.
PLAIN = {
    *(
        "account",
        "address",
        "asyncapi",
        "authorizer",
        "bulk",
        "child",
        "cli",
        "conditional",
        "demo",
        "dev",
        "erase",
        "errors",
    ),
    *(
        "failure",
        "folder",
        "guard",
        "keepalive",
        "launch",
        "logs",
        "maintenance",
        "openapi",
        "options",
        "postgres",
        "redis",
    ),
    *("answers", "components", "examples", "operation", "operations", "parameters", "problems", "schema"),
    *("report", "restore", "sample", "stats", "task", "text", "tune", "url", "valkey"),
}
#: Letters that a word and a term have in common at least where one is made of the other: archivist, archive.
STEM_LETTERS_MIN = 5


def words_of_the_code() -> str:
    """All names and comments of the code, in small letters, without underscores."""
    python = [path for end in ("py", "sql") for path in (ROOT / "app").rglob(f"*.{end}")]
    text = "\n".join(path.read_text() for path in (*python, *(ROOT / "lua").rglob("*.lua")))
    return re.sub(r"[_\s]+", " ", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)).lower()


def is_named_by(module: str, terms: set[str]) -> bool:
    """Whether a word of the module's name is one of the terms, one of their plurals, or made of one."""
    stems = {term[: max(STEM_LETTERS_MIN, len(term) - 2)] for term in terms if len(term) >= STEM_LETTERS_MIN}
    words = module.split("_")
    forms = {
        form for word in words for form in (word, word.removesuffix("s"), word.removesuffix("es"), f"{word[:-3]}y")
    }
    return bool(forms & terms) or any(word.startswith(tuple(stems)) for word in words)


def test_no_term_stands_twice() -> None:
    assert len(TERMS) > 180, "the rule finds the terms"
    assert [term for term, count in Counter(map(str.lower, TERMS)).items() if count > 1] == []


def test_the_code_uses_every_term() -> None:
    text = words_of_the_code()
    assert [term for term in TERMS if not re.search(rf"\b{term.lower()}(s|es)?\b", text)] == []


def test_every_module_is_named_by_a_term() -> None:
    terms = {word for term in TERMS for word in term.lower().split()} | PLAIN
    assert [name for name in MODULES if not is_named_by(name, terms)] == []


def test_a_module_of_another_word_is_found() -> None:
    terms = {"archive", "key", "entry"}
    assert [
        name for name in ("archivist", "log_keys", "entry", "helper", "keyboard") if not is_named_by(name, terms)
    ] == [
        "helper",
        "keyboard",
    ]
