"""The documentation's site: links out of docs/, pages from elsewhere, and nothing from another machine."""

import re
from pathlib import Path

import pytest

from tests.site import ADDED, ROOT, decisions, outside, site_links

NAV = (ROOT / "mkdocs.yml").read_text().partition("\nnav:\n")[2]


@pytest.mark.parametrize(
    ("page", "link", "shown"),
    [
        ("index.md", "[a](glossary.md#seq)", "[a](glossary.md#seq)"),
        ("index.md", "[a](../deploy/README.md)", "[a](running.md)"),
        ("running.md", "[a](../docs/reference/live.md#errors)", "[a](reference/live.md#errors)"),
        ("running.md", "[a](#memory-and-disk)", "[a](#memory-and-disk)"),
        ("reference/live.md", "[`a`](../../clients/js/README.md)", "[`a`](../javascript.md)"),
        ("contributing.md", "[a](docs/decisions/)", "[a](decisions/index.md)"),
        ("contributing.md", "[a](app/cli.py)", "a (`app/cli.py`)"),
        ("contributing.md", "[a](https://example.com)", "[a](https://example.com)"),
        ("index.md", "```\n[a](../deploy/README.md)\n```\n", "```\n[a](../deploy/README.md)\n```\n"),
    ],
)
def test_a_link_leads_to_the_page_of_the_site(page: str, link: str, shown: str) -> None:
    assert site_links(link, page) == shown


def test_every_page_is_in_the_contents() -> None:
    entries = re.findall(r"^ *- .+: (\S+\.md)$", NAV, re.MULTILINE)
    pages = {name: ROOT / source for name, source in ADDED.items()}
    pages |= {path.relative_to(ROOT / "docs").as_posix(): path for path in (ROOT / "docs").rglob("*.md")}
    named = {name for name in pages if not name.startswith("decisions/")}
    assert sorted(entries) == sorted(named | {"decisions/index.md"})


def test_decisions_are_listed_oldest_first() -> None:
    lines = decisions().splitlines()
    assert lines[4] == "- [1. One hash per namespace holds board versions and labels](0001-one-hash-a-namespace.md)"


def test_what_a_page_would_fetch_from_elsewhere_is_found(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_text('<a href="https://a.example">a</a><script src="a.js"></script>')
    (tmp_path / "b.html").write_text('<script defer src="https://cdn.example/a.js"></script>')
    (tmp_path / "c.html").write_text('<link rel="stylesheet" href="//fonts.example/a.css">')
    assert [one.partition(":")[0] for one in outside(tmp_path)] == ["b.html", "c.html"]
