"""Origins of pages, as browsers name them and settings list them."""

import re
from typing import NamedTuple

#: How to turn a list of origins off, or what it is without any.
NONE = "none"
_HOST = r"(?:[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?|\[[0-9a-f:.]+\])"
_ORIGIN = re.compile(rf"(https?)://({_HOST})(?::(\d{{1,5}}|\*))?", re.ASCII)
_ANCESTOR = re.compile(rf"https?://(?:\*\.)?{_HOST}(?::(?:\d{{1,5}}|\*))?", re.ASCII)
_DEFAULT_PORTS = {"http": "80", "https": "443"}
_ANY_PORT = re.compile(r":\d+$", re.ASCII)


class Origins(NamedTuple):
    """A list of origins. are_off: pages of other origins read nothing at all."""

    names: frozenset[str] = frozenset()
    are_off: bool = False

    def have(self, origin: str) -> bool:
        """Whether the list has an origin, itself or with any port. O(1)."""
        return origin in self.names or (bool(self.names) and _ANY_PORT.sub("", origin) + ":*" in self.names)


def parse_origins(text: str) -> Origins:
    """Origins with commas between, `*` for any port; or `none`. ValueError."""
    if text.strip() == NONE:
        return Origins(are_off=True)
    return Origins(frozenset(_origin(part.strip().lower()) for part in text.split(",") if part.strip()))


def frame_ancestors(text: str) -> str:
    """The value of the directive `frame-ancestors`: `none`, or `self` and origins, with commas between. ValueError."""
    parts = [part.strip().lower() for part in text.split(",") if part.strip()]
    if parts in ([], [NONE]):
        return "'none'"
    for part in parts:
        if part != "self" and not _ANCESTOR.fullmatch(part):
            raise ValueError("must be none, or self and origins such as https://*.example.com, with commas between")
    return " ".join("'self'" if part == "self" else part for part in parts)


def _origin(text: str) -> str:
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise ValueError("must be origins such as https://game.example.com, with commas between, or none")
    scheme, host, port = match.groups()
    return f"{scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS[scheme]) else f":{port}")
