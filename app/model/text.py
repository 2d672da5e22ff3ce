"""Ids, labels and names: UTF-8 without control characters. Ids are bounded in bytes, labels and names in characters."""

import re

from .errors import Invalid

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
#: What turns the order of the text around it: embeddings, overrides and isolates. Marks for one place (U+200F) may
#: stay: names in Arabic and Hebrew have them.
_BIDI = re.compile("[\u202a-\u202e\u2066-\u2069]")
NAMESPACE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

#: Bytes of an id: it is in a key or a field of Redis for each user and grant.
ID_BYTES_MAX = 128
#: Characters of a label (category, source …), four bytes each at most: a name in Thai is as long as one in English.
LABEL_CHARS_MAX = 64
#: Characters of what people read: a display name.
NAME_CHARS_MAX = 128


def count_text(count: int, noun: str, plural: str = "") -> str:
    """A count with its noun: `1 entry`, `2,000 entries`. plural: where it is not the noun and an `s`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def check_text(value: str, field: str, bytes_max: int) -> None:
    """Invalid unless `value` is 1 to `bytes_max` bytes of UTF-8 without control characters."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= bytes_max:
        return
    _check_plain(value, field)
    if len(value.encode()) > bytes_max:
        raise Invalid(f"must be at most {bytes_max} bytes of UTF-8", field=field)


def check_chars(value: str, field: str, chars_max: int) -> None:
    """Invalid unless `value` is 1 to `chars_max` characters without control characters."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= chars_max:
        return
    _check_plain(value, field)
    if len(value) > chars_max:
        raise Invalid(f"must be at most {chars_max} characters", field=field)


def check_name(value: str, field: str) -> None:
    """Invalid unless `value` is a name that people read, and does not turn the order of what stands beside it."""
    check_chars(value, field, NAME_CHARS_MAX)
    if not value.isascii() and _BIDI.search(value):
        raise Invalid("must not contain controls of the direction of text (U+202A-202E, U+2066-2069)", field=field)


def check_label(value: str, field: str) -> None:
    """Invalid unless `value` is a label: a category, a source, a session …"""
    if value.isascii() and value.isprintable() and 0 < len(value) <= LABEL_CHARS_MAX:
        return
    check_chars(value, field, LABEL_CHARS_MAX)


def _check_plain(value: str, field: str) -> None:
    if not value:
        raise Invalid("must not be empty", field=field)
    if _CONTROL.search(value):
        raise Invalid("must not contain control characters", field=field)


def check_namespace_name(value: str, field: str) -> None:
    """Invalid unless `value` is a namespace's name."""
    if not NAMESPACE_NAME.fullmatch(value):
        raise Invalid("must be 1 to 64 of A-Z a-z 0-9 . _ -", field=field)
