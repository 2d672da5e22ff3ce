"""A webhook as a client writes it: where to, of which namespaces, and which types of events."""

import binascii
import re
import secrets
from base64 import b64decode, b64encode
from fnmatch import fnmatchcase
from typing import Annotated, Literal
from urllib.parse import SplitResult, urlsplit

import msgspec

from .errors import Invalid
from .text import check_label
from .webhook_address import is_loopback, is_public, parse_address

#: Types of events from the ledger, as `GET …/events` names them.
LEDGER_TYPES = (
    *("granted", "quarantined", "edited", "voided", "restored", "duplicated", "healed"),
    "window_sealed",
)
#: Types of events from the audit.
AUDIT_TYPES = (
    *("drift_began", "drift_ended"),
    *("import_began", "import_ended", "compared", "cut_over", "cut_back"),
)
#: Types of events that are made from a board.
RANK_TYPES = ("entered", "left", "rank_changed")
EventType = Literal[
    "granted",
    "quarantined",
    "edited",
    "voided",
    "restored",
    "duplicated",
    "healed",
    "window_sealed",
    "drift_began",
    "drift_ended",
    "import_began",
    "import_ended",
    "compared",
    "cut_over",
    "cut_back",
    "entered",
    "left",
    "rank_changed",
]
#: Rows of the board that a webhook may watch: as many as a live view.
TOP_ROWS_MAX = 100
#: Bytes of a webhook's URL: what most servers take.
URL_BYTES_MAX = 2_048
#: Bytes of a secret at least, as Standard Webhooks has it.
SECRET_BYTES_MIN = 24
#: Bytes of a secret at most, as Standard Webhooks has it.
SECRET_BYTES_MAX = 64
#: Bytes of a secret that is made here.
NEW_SECRET_BYTES = 32
_SECRET_PREFIX = "whsec_"
_PATTERN = re.compile(r"[A-Za-z0-9._*-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_HOST = re.compile(r"[A-Za-z0-9._:%-]{1,255}")


class WatchedTop(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The top of a board whose changes are told. window: a period or a window's name; limit: how many rows."""

    window: str
    category: str | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=TOP_ROWS_MAX)] = 10


class WebhookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a webhook does. namespaces: a name, or a pattern in which `*` stands for any characters. include: what is
    told of an event only if it is asked for. board: what rank events are made from."""

    url: str
    namespaces: str
    types: tuple[EventType, ...]
    include: tuple[Literal["meta", "reason", "actor"], ...] = ()
    board: WatchedTop | None = None


class WebhookRequest(WebhookSettings, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The same as a client sends it. secret: `whsec_…`; absent: it stays, or a new webhook gets one. rotate: make a new
    one."""

    secret: str | None = None
    rotate: bool = False


def check_webhook_id(text: str) -> None:
    """Invalid unless a text may be the id of a webhook."""
    if not _ID.fullmatch(text):
        raise Invalid("must be 1 to 64 of A-Z a-z 0-9 . _ -", field="{id}")


def read_webhook(sent: WebhookRequest, *, takes_loopback: bool) -> WebhookSettings:
    """The settings that a client sent, in their normal form. takes_loopback: whether receivers on this machine are
    taken, with http too. Invalid, naming the field."""
    check_url(sent.url, takes_loopback=takes_loopback)
    if not _PATTERN.fullmatch(sent.namespaces):
        raise Invalid("must be a namespace's name, in which * stands for any characters", field="$.namespaces")
    types = tuple(dict.fromkeys(sent.types))
    if not types:
        raise Invalid("must name one type or more", field="$.types")
    _check_board(sent, any(name in RANK_TYPES for name in types))
    if sent.secret is not None:
        secret_bytes(sent.secret)
        if sent.rotate:
            raise Invalid("is made here if `secret` is absent", field="$.rotate")
    include = tuple(sorted(set(sent.include)))
    return WebhookSettings(url=sent.url, namespaces=sent.namespaces, types=types, include=include, board=sent.board)


def _check_board(sent: WebhookRequest, has_rank_types: bool) -> None:
    if sent.board is None:
        if has_rank_types:
            raise Invalid(f"is required for {', '.join(RANK_TYPES)}", field="$.board")
        return
    if not has_rank_types:
        raise Invalid(f"is only for {', '.join(RANK_TYPES)}", field="$.board")
    if "*" in sent.namespaces:
        raise Invalid("must be one name where a board is named", field="$.namespaces")
    if sent.board.category is not None:
        check_label(sent.board.category, "$.board.category")


def check_url(url: str, *, takes_loopback: bool) -> SplitResult:
    """The parts of a receiver's URL. Invalid."""
    if not url.isascii() or not url.isprintable() or " " in url or len(url) > URL_BYTES_MAX:
        raise Invalid(f"must be at most {URL_BYTES_MAX} printable ASCII characters", field="$.url")
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Invalid("is no URL", field="$.url") from None
    if not host or not _HOST.fullmatch(host) or "@" in parts.netloc or parts.fragment:
        raise Invalid("must have a host, and neither a user nor a fragment", field="$.url")
    address = parse_address(host)
    is_near = host == "localhost" or (address is not None and is_loopback(address))
    if is_near and takes_loopback and parts.scheme in ("http", "https"):
        return parts
    if parts.scheme != "https":
        raise Invalid("must be https://…", field="$.url")
    if is_near or (address is not None and not is_public(address)):
        raise Invalid("must be at an address of the public internet", field="$.url")
    return parts


def secret_bytes(text: str) -> bytes:
    """The key in a secret `whsec_<base64>`. Invalid."""
    try:
        key = b64decode(text.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(_SECRET_PREFIX) or not SECRET_BYTES_MIN <= len(key) <= SECRET_BYTES_MAX:
        raise Invalid(
            f"must be {_SECRET_PREFIX} and the base64 of {SECRET_BYTES_MIN} to {SECRET_BYTES_MAX} bytes",
            field="$.secret",
        )
    return key


def secret_text(key: bytes) -> str:
    """A key as a client reads it."""
    return _SECRET_PREFIX + b64encode(key).decode()


def new_secret() -> bytes:
    """A fresh key."""
    return secrets.token_bytes(NEW_SECRET_BYTES)


def is_covered(namespace: str, pattern: str) -> bool:
    """Whether a namespace's name is one of a webhook's."""
    return fnmatchcase(namespace, pattern)


def like_pattern(namespaces: str) -> str:
    """A pattern of names as SQL's LIKE reads it."""
    return namespaces.replace("_", r"\_").replace("*", "%")
