"""Names and ids: UTF-8 without control characters, bounded in bytes."""

import re

from .errors import Invalid

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
NAMESPACE_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")

ID_BYTES_MAX = 128
LABEL_BYTES_MAX = 64


def check_text(value: str, field: str, bytes_max: int) -> None:
    """Invalid unless `value` is 1 to `bytes_max` bytes of UTF-8 without control characters."""
    if value.isascii() and value.isprintable() and 0 < len(value) <= bytes_max:
        return
    if not value:
        raise Invalid("must not be empty", field=field)
    if _CONTROL.search(value):
        raise Invalid("must not contain control characters", field=field)
    if len(value.encode()) > bytes_max:
        raise Invalid(f"must be at most {bytes_max} bytes of UTF-8", field=field)


def check_namespace_name(value: str, field: str) -> None:
    """Invalid unless `value` is a namespace's name."""
    if not NAMESPACE_NAME.fullmatch(value):
        raise Invalid("must be 1 to 64 of A-Z a-z 0-9 . _ -", field=field)
