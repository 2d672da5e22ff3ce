"""The documentation's site: what mkdocs calls while it builds it (`hooks` in mkdocs.yml).

Some pages stand beside what they tell of and not in docs/: they are added. A link to a file that is no page becomes the
file's name, because the site does not have the code. `make docs` ends with `outside`, which finds what a page would
fetch from another machine.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from posixpath import normpath, relpath
from typing import Any

ROOT = Path(__file__).parents[1]
SITE = ROOT / ".site"
#: Pages of the site that are not in docs/: the name on the site, and the file in the tree.
ADDED = {
    "running.md": "deploy/README.md",
    "javascript.md": "clients/js/README.md",
    "python.md": "clients/python/README.md",
    "scripts.md": "lua/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
}
_INDEX = "decisions/index.md"
_LINK = re.compile(r"\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s]+)\)")
_FETCHED = re.compile(
    r"<(?:script|img|iframe|source)\b[^>]*\bsrc=\"(?:https?:)?//|<link\b(?![^>]*canonical)[^>]*\bhref=\"(?:https?:)?//"
)


def on_files(files: Any, config: Any) -> Any:
    """Adds the pages from elsewhere in the tree, and the list of decisions."""
    from mkdocs.structure.files import File

    pages = {name: (ROOT / source).read_text() for name, source in ADDED.items()}
    for name, text in {**pages, _INDEX: decisions()}.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Turns the links of a page into links of the site."""
    return site_links(markdown, page.file.src_uri)


def site_links(markdown: str, name: str) -> str:
    """A page's text with its links as the site has them. name: of the page on the site."""
    source = ADDED.get(name, f"docs/{name}")
    parts = re.split(r"(^```.*?^```$)", markdown, flags=re.MULTILINE | re.DOTALL)
    return "".join(
        part if i % 2 else _LINK.sub(lambda link: _site_link(link[1], link[2], source, name), part)
        for i, part in enumerate(parts)
    )


def _site_link(text: str, target: str, source: str, name: str) -> str:
    path, _, fragment = target.partition("#")
    if not path or "://" in target or target.startswith("mailto:"):
        return f"[{text}]({target})"
    path = normpath((PurePosixPath(source).parent / path).as_posix())
    here = {file: page for page, file in ADDED.items()}
    if path == "docs/decisions":
        path = f"docs/{_INDEX}"
    if path in here or path.startswith("docs/"):
        page = here.get(path, path.removeprefix("docs/"))
        return f"[{text}]({relpath(page, PurePosixPath(name).parent.as_posix())}{'#' * bool(fragment)}{fragment})"
    return f"{text} (`{path}`)"


def decisions() -> str:
    """The list of decisions, oldest first."""
    lines = ["# Decisions", "", "Why the design is as it is: a page for each decision, with what it costs.", ""]
    for path in sorted((ROOT / "docs/decisions").glob("[0-9]*.md")):
        title = path.read_text().partition("\n")[0].removeprefix("# ")
        lines.append(f"- [{path.name[:4].lstrip('0')}. {title}]({path.name})")
    return "\n".join(lines) + "\n"


def outside(site: Path) -> Iterator[str]:
    """What pages of the built site would fetch from another machine, as they are opened."""
    for page in sorted(site.rglob("*.html")):
        for hit in _FETCHED.findall(page.read_text()):
            yield f"{page.relative_to(site)}: {hit}"


if __name__ == "__main__":
    requests = list(outside(SITE))
    print(*requests, sep="\n", end="\n" * bool(requests))
    sys.exit(bool(requests))
