"""What is wrong with a cursor: it names the value, and where a good one comes from."""

from .errors import Invalid

#: Characters of a bad cursor that its problem shows: enough to recognise it.
SHOWN_CHARACTERS_MAX = 40


def cursor_problem(text: str | None, of: str, *, field: str = "?cursor", source: str = "next_cursor") -> Invalid:
    """The problem of a cursor that no page of this list or board gave. source: the member of a page that gives one.
    text: as it was sent; None: it is not at hand."""
    shown = "this" if text is None else repr(text[:SHOWN_CHARACTERS_MAX])
    if text is not None and len(text) > SHOWN_CHARACTERS_MAX:
        shown += "…"
    hint = f"send the {source} of the page before, or leave it out for the first page"
    return Invalid(f"{shown} is not a cursor of {of}; {hint}", field=field)
