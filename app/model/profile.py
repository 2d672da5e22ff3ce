"""Profiles: what a user is called and looks like, in the whole deployment and in one namespace."""

import re
import unicodedata
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from .errors import Invalid
from .text import NAME_CHARS_MAX, check_chars, check_text
from .zone import check_zone

#: Bytes of an avatar's address: it stands in Redis for each user, and in each row of a board that names one.
URL_BYTES_MAX = 512
_SPACE = re.compile(r"\s")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile as a client writes and reads it; what is absent is default."""

    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None
    opt_out: bool = False


class NamespaceProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile of one namespace. A name or a picture that is null is the deployment's; `opt_out`, absent, stays."""

    display_name: str | None = None
    avatar: str | None = None
    opt_out: bool | UnsetType = UNSET


def check_profile(profile: Profile) -> Profile:
    """The profile. Invalid, naming the field."""
    check_display(profile)
    if profile.timezone is not None:
        check_zone(profile.timezone, "$.timezone")
    return profile


def check_display(profile: Profile | NamespaceProfile) -> None:
    """What boards show of a profile. Invalid, naming the field."""
    if profile.display_name is not None:
        check_chars(profile.display_name, "$.display_name", NAME_CHARS_MAX)
    if profile.avatar is not None:
        _check_url(profile.avatar, "$.avatar")


def fold_name(name: str) -> str:
    """A display name as it is searched for: without case, and alike where Unicode has two spellings of one text."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_url(value: str, field: str) -> None:
    check_text(value, field, URL_BYTES_MAX)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _SPACE.search(value):
        raise Invalid("must be an http or https URL", field=field)
