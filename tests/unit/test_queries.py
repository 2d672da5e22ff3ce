"""How the named queries are read from their files, and that these say nothing twice."""

import re
from collections import Counter
from pathlib import Path

import pytest

from app.drivers.postgres import queries, read_queries

FILES = Path(__file__).parents[2] / "app" / "store" / "sql"
#: Words that two places of the SQL may have in common, one behind the other. More of them are a fragment.
COMMON_WORDS_MAX = 49
_PART = re.compile(r"^-- (name|fragment): (\w+)\n(.*?)(?=^-- (?:name|fragment): |\Z)", re.MULTILINE | re.DOTALL)


def folder_of(tmp_path: Path, **files: str) -> Path:
    """A folder with a `.sql` file for each of `files`."""
    for name, text in files.items():
        (tmp_path / f"{name}.sql").write_text(text)
    return tmp_path


def parts() -> list[tuple[str, str, str, str]]:
    """File, `name` or `fragment`, the name and the text of everything in the files."""
    return [
        (file.stem, part[1], part[2], part[3])
        for file in FILES.glob("*.sql")
        for part in _PART.finditer(file.read_text())
    ]


def repeats(texts: dict[str, str], most: int = COMMON_WORDS_MAX) -> set[tuple[str, str]]:
    """The pairs of texts with more than `most` words in common, one behind the other. An include is one word, with its
    arguments; other comments are none."""
    places: dict[tuple[str, ...], str] = {}
    pairs = set()
    for name, text in texts.items():
        included = re.sub(r"-- include: .*", lambda line: re.sub(r"\W", "_", line[0]), text)
        words = re.findall(r"[\w.$']+|[^\s\w]", re.sub(r"--.*", "", included))
        for first in range(len(words) - most):
            pairs |= (
                {(other, name)} if (other := places.get(stretch := tuple(words[first : first + most + 1]))) else set()
            )
            places.setdefault(stretch, name)
    return pairs


def test_an_include_stands_for_a_fragment_of_any_file(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        a="-- name: get_one\nSELECT 1\n-- include: condition\n;\n",
        b="-- fragment: condition\nWHERE\n  -- include: truth\n\n-- fragment: truth\ntrue\n",
    )
    assert read_queries(folder) == {"get_one": "SELECT 1\nWHERE\ntrue\n;"}


def test_an_include_fills_in_the_blanks_of_its_fragment(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        a="-- name: get_one\n-- include: outer (row = l, bound = coalesce($1, 5))\n",
        b="-- fragment: outer\n-- include: inner (row = {{row}})\n< {{bound}}\n",
        c="-- fragment: inner\n{{row}}.a = {{row}}.b\n",
    )
    assert read_queries(folder) == {"get_one": "l.a = l.b\n< coalesce($1, 5)"}


@pytest.mark.parametrize(
    ("files", "fault"),
    [
        ({"a": "-- name: x\nSELECT 1\n\n-- name: x\nSELECT 2\n"}, "a.sql: there is another query or fragment named x"),
        (
            {"a": "-- name: x\nSELECT 1\n", "b": "-- fragment: x\n2\n"},
            "b.sql: there is another query or fragment named x",
        ),
        ({"a": "SELECT 1\n"}, "a.sql: text before the first heading"),
        ({"a": "-- name: x\n-- include: y\n"}, "x includes y, which is no fragment"),
        ({"a": "-- name: x\n-- include: y\n\n-- name: y\nSELECT 1\n"}, "x includes y, which is no fragment"),
        ({"a": "-- name: x\n-- include: y\n\n-- fragment: y\n-- include: y\n"}, "y includes itself"),
        (
            {"a": "-- name: x\n-- include: y\n\n-- fragment: y\n{{row}}.a\n"},
            r"x includes y with \[\], which has \['row'\]",
        ),
        (
            {"a": "-- name: x\n-- include: y (row = l, seq = $1)\n\n-- fragment: y\n{{row}}.a\n"},
            r"x includes y with \['row', 'seq'\], which has \['row'\]",
        ),
    ],
)
def test_a_text_is_refused_that_does_not_say_one_thing(tmp_path: Path, files: dict[str, str], fault: str) -> None:
    with pytest.raises(ValueError, match=fault):
        read_queries(folder_of(tmp_path, **files))


def test_no_include_and_no_blank_is_left_in_a_query() -> None:
    assert not [name for name, text in queries().items() if "include:" in text or "{{" in text]


def test_every_query_says_what_it_gives() -> None:
    assert [name for _, _, name, text in parts() if not text.startswith("-- ") or text.startswith("-- include")] == []


def test_a_fragment_is_used_at_least_twice() -> None:
    """Those of aggregations.sql may be used once: there everything stands together that a new aggregation touches."""
    uses = Counter(re.findall(r"-- include: (\w+)", "".join(text for *_, text in parts())))
    assert [
        name
        for file, kind, name, _ in parts()
        if kind == "fragment" and uses[name] < (1 if file == "aggregations" else 2)
    ] == []


def test_no_two_places_hold_the_same_logic() -> None:
    assert repeats({name: text for _, _, name, text in parts()}) == set()


def test_the_same_logic_in_two_places_is_found() -> None:
    assert repeats({"a": "SELECT a FROM b WHERE c", "b": "SELECT d FROM b WHERE c -- f"}, most=3) == {("a", "b")}
    assert repeats({"a": "SELECT a FROM b WHERE c", "b": "SELECT d FROM b WHERE e"}, most=3) == set()


def test_no_file_of_queries_is_too_long_to_read() -> None:
    assert {
        file.name: count for file in FILES.glob("*.sql") if (count := len(file.read_text().splitlines())) > 350
    } == {}
