"""Every call of docs/reference is made, and answers what is printed; every refusal is in the table of errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.model.errors import OUTCOMES, Problem
from tests.documents import ROOT
from tests.support.guide_script import commands, differences, printed
from tests.support.reader import Reader

REFERENCE = ROOT / "docs/reference"
#: Programs that a page calls: where it does so, the file, and the variable that holds its key.
SERVERS = {"localhost:8090": ("quiz.py", "QUIZ")}


def in_order() -> list[str]:
    """The pages of the tutorial and of the how-to, in the order of the site's contents."""
    return re.findall(r": ((?:tutorial|how-to)/\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)


def pages() -> list[Path]:
    """The pages of the reference, in the order of its contents: later ones go on with what earlier ones made."""
    text = (REFERENCE / "index.md").read_text()
    return [
        REFERENCE / "index.md",
        *(REFERENCE / name for name in re.findall(r"^\| .+ \| \[.+\]\((\w[\w-]*\.md)\) \|$", text, re.M)),
    ]


def test_every_page_of_the_reference_is_in_its_contents_by_its_title() -> None:
    assert sorted(pages()) == sorted(REFERENCE.glob("*.md"))
    for title, name in re.findall(r"\[(.+?)\]\((\w[\w-]*\.md)\) \|$", (REFERENCE / "index.md").read_text(), re.M):
        assert (REFERENCE / name).read_text().partition("\n")[0] == f"# {title}"


@contextmanager
def reader_of(stack: Any, folder: Path) -> Iterator[Reader]:
    with stack.client(None) as client:
        reader = Reader(stack, client, folder, SERVERS)
        yield reader
        reader.close()


@pytest.mark.own_valkey  # It prints what a single Redis answers.
def test_every_call_of_the_reference_answers_what_is_printed(live_server: Any, tmp_path: Path) -> None:
    with reader_of(live_server, tmp_path) as reader:
        for page in pages():
            reader.read(page)
        assert "\n".join(reader.faults) == ""
        assert reader.calls > 130


@pytest.mark.own_valkey
def test_every_call_of_the_other_pages_answers_what_is_printed(own_stack: Any, tmp_path: Path) -> None:
    """In the order of the site's contents: pages of the tutorial go on with what the first one made."""
    with reader_of(own_stack, tmp_path) as reader:
        for name in ("README.md", *(f"docs/{name}" for name in in_order())):
            reader.read(ROOT / name)
        assert "\n".join(reader.faults) == ""
        assert reader.calls > 40


def test_commands_end_where_no_quote_is_open() -> None:
    block = 'lb() { curl -s "$@"; }\nlb $URL/a -d \'{"a":\n 1}\'\nlb $URL/b'
    assert list(commands(block)) == ['lb() { curl -s "$@"; }', "lb $URL/a -d '{\"a\":\n 1}'", "lb $URL/b"]


def test_a_wrong_answer_is_noticed() -> None:
    shown = printed('{"at": …, "id": "g-…", "rules": {"scale": 1, …}, "list": [1, …], "no": null}')
    reply = {"at": 5, "id": "g-7", "rules": {"scale": 1, "order": "asc"}, "list": [1, {}], "no": None}
    assert list(differences(shown, reply)) == []
    changes: tuple[dict[str, Any], ...] = (
        *({"at": 5, "more": 1}, {"id": "h-7"}, {"rules": {"scale": 2}}, {"rules": {}}, {"list": [1]}, {"list": [2, 2]}),
        *({"no": False}, {"no": 0}),
    )
    for change in changes:
        assert len(list(differences(shown, reply | change))) == 1
    assert len(list(differences(shown, {name: reply[name] for name in list(reply)[1:]}))) == 1


def _text() -> str:
    return (REFERENCE / "errors.md").read_text() + (REFERENCE / "live.md").read_text()


def _refusals(kind: type[Problem]) -> Iterator[tuple[str, int]]:
    yield kind.code, kind.status
    for inner in kind.__subclasses__():
        if inner.__module__ == Problem.__module__:
            yield from _refusals(inner)


def test_the_table_of_errors_is_the_errors() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\d{3}) \| \S", _text(), re.MULTILINE)
    assert {(code, int(status)) for code, status in rows} == set(_refusals(Problem))
    assert len(rows) == len(set(rows))
    assert {problem.code for problem, _, _ in OUTCOMES.values()} <= {code for code, _ in rows}


def test_the_codes_of_error_frames_are_in_the_table_of_errors() -> None:
    rows = set(re.findall(r"^\| `(\w+)` \| (?:`\$|–)", _text(), re.MULTILINE))
    assert {"unauthorized", "forbidden", "namespace_not_found", "board_not_found", "rate_limited"} < rows
    assert rows <= {code for code, _ in _refusals(Problem)}
