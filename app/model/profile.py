"""Profiles: a user's display name, picture and settings, in the whole deployment and in one namespace."""

import re
import unicodedata
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from .errors import Invalid
from .text import check_name, check_text
from .zone import check_zone

#: Bytes of an avatar's address: Redis has it for each user, and each row of a board shows it.
URL_BYTES_MAX = 512
#: Bytes of a picture that is its own address (`data:`): a drawing, or 32 by 32 points. It travels in every frame that
#: has its row: 100 such rows are a snapshot of 200 KB. A process that caches as many as it may has 200 MB.
PICTURE_BYTES_MAX = 2_048
_PICTURE = re.compile(r"data:image/(?:png|jpeg|gif|webp|svg\+xml)(?:;charset=[A-Za-z0-9-]+)?(?:;base64)?,[!-~]+")
_SPACE = re.compile(r"\s")


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile as a client writes and reads it. An absent field takes its default."""

    display_name: str | None = None
    avatar: str | None = None
    timezone: str | None = None
    opt_out: bool = False


class NamespaceProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A profile of one namespace. For a null name or picture the deployment's is shown. An absent `opt_out` stays as it
    is."""

    display_name: str | None = None
    avatar: str | None = None
    opt_out: bool | UnsetType = UNSET


def check_profile(profile: Profile) -> Profile:
    """Checks a profile. Invalid, naming the field."""
    check_display(profile)
    if profile.timezone is not None:
        check_zone(profile.timezone, "$.timezone")
    return profile


def check_display(profile: Profile | NamespaceProfile) -> None:
    """Checks the name and the picture of a profile. Invalid, naming the field."""
    if profile.display_name is not None:
        check_name(profile.display_name, "$.display_name")
    if profile.avatar is not None:
        _check_avatar(profile.avatar, "$.avatar")


def fold_name(name: str) -> str:
    """A display name in the form that is searched: without case, and with one spelling where Unicode has two."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def _check_avatar(value: str, field: str) -> None:
    """A page shows an avatar in an `<img>` alone, where a drawing runs no script and loads nothing."""
    if not value.startswith("data:"):
        return _check_url(value, field)
    check_text(value, field, PICTURE_BYTES_MAX)
    if not _PICTURE.fullmatch(value):
        raise Invalid(
            "a data: URL must be of image/png, jpeg, gif, webp or svg+xml, without spaces, `data:image/png;base64,…`",
            field=field,
        )
    return None


def _check_url(value: str, field: str) -> None:
    check_text(value, field, URL_BYTES_MAX)
    try:
        parts = urlsplit(value)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        good = False
    if not good or _SPACE.search(value):
        raise Invalid("must be an http or https URL, or a data: URL of a picture", field=field)
