"""A profile: what a user is called and looks like, in every namespace alike."""

import re
from urllib.parse import urlsplit

import msgspec

from .errors import Invalid
from .text import NAME_CHARS_MAX, check_chars, check_text
from .zone import check_zone

URL_BYTES_MAX = 512
_SPACE = re.compile(r"\s")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile as a client writes and reads it; what is absent is default."""

    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None
    opt_out: bool = False


def check_profile(profile: Profile) -> Profile:
    """The profile. Invalid, naming the field."""
    if profile.display_name is not None:
        check_chars(profile.display_name, "$.display_name", NAME_CHARS_MAX)
    if profile.avatar is not None:
        _check_url(profile.avatar, "$.avatar")
    if profile.timezone is not None:
        check_zone(profile.timezone, "$.timezone")
    return profile


def _check_url(value: str, field: str) -> None:
    check_text(value, field, URL_BYTES_MAX)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _SPACE.search(value):
        raise Invalid("must be an http or https URL", field=field)
