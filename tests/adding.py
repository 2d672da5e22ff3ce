"""`python -m tests.adding`: the files that name an example of each thing that a person may add, beside docs/adding.md.

A test holds that both are the same. The count is of files in app/ and lua/ whose code names the example: comments and
docstrings, tests, documents and migrations do not count. What the example needs beside its name, such as a test, is not
counted.
"""

import io
import re
import tokenize
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs/adding.md"
LANGUAGES = (("app", "py"), ("app", "sql"), ("app", "js"), ("lua", "lua"))
#: What is added, with an example that is there already and how code names it.
EXAMPLES = {
    "A period": r"\"quarter\"|\b_Quarter\b|\bquarter: '",
    # Not the column of a row that has this name, of which there is one for each number of a user's other grants.
    # Nor rules that choose it.
    "An aggregation": r"(?<!row \[ )(?<!\"aggregation\" : )[\"']latest[\"']",
    "A question to a board": r"\bPercentile\b|\bquestions\.percentile\b",
    # A script's code does not name itself: its path does.
    "A question with a number as its answer": (
        r"\bRANK_SCORE\b|\bdef rank_score \( self|\bquestions\.rank_of\b|\bresolve_score\b|lua/rank_score\.lua"
    ),
    "A command": r"\bletter_commands\b",
    "A kind of entry": (
        r"\bWindowSealed\b|\bSEAL = EntryKind\b|\bSealOps\b|\bis_seal\b|\bcloses_window\b|\bseal_entry\b"
        r"|\bfunction close\b"
    ),
}


def code_of(path: Path) -> str:
    """A file's text without comments and docstrings."""
    text = path.read_text()
    if path.suffix != ".py":
        return re.sub(r"--.*", "", text)
    tokens, before = [], tokenize.NEWLINE
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_docstring = token.type == tokenize.STRING and before in (tokenize.NEWLINE, tokenize.INDENT, tokenize.NL)
        if token.type != tokenize.COMMENT and not is_docstring:
            tokens.append(token.string)
        before = token.type if token.type != tokenize.COMMENT else before
    return " ".join(tokens).replace(" . ", ".")


def files_of(pattern: str) -> list[str]:
    """The files whose code names an example, by path."""
    paths = [
        path
        for folder, end in (("app", "py"), ("app", "sql"), ("app", "js"), ("lua", "lua"))
        for path in _all(folder, end)
    ]
    names = {path.relative_to(ROOT).as_posix(): path for path in paths}
    return sorted(name for name, path in names.items() if re.search(pattern, f"{name}\n{code_of(path)}"))


def _all(folder: str, end: str) -> list[Path]:
    return [path for path in (ROOT / folder).rglob(f"*.{end}") if "migrations" not in path.parts]


def listed() -> dict[str, list[str]]:
    """The files that docs/adding.md lists, by what is added."""
    paths: dict[str, list[str]] = {}
    for section in PAGE.read_text().split("\n## ")[1:]:
        paths[section.partition("\n")[0]] = re.findall(r"^- `((?:app|lua)/[\w/.]+)`", section, re.MULTILINE)
    return paths


def main() -> None:
    """Prints the counts and the files."""
    for what, pattern in EXAMPLES.items():
        files, written = files_of(pattern), listed().get(what, [])
        print(f"{what}: {len(files)} files name the example, {len(written)} stand in docs/adding.md")
        for path in sorted({*files, *written}):
            note = "" if path in written and path in files else "  (page only)" if path in written else "  (code only)"
            print(f"    {path}{note}")


if __name__ == "__main__":
    main()
