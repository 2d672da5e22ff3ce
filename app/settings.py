"""Settings from LEADERBOARD_* environment variables. A flag overrides its variable. Wrong ones stop the start, and the
error names each."""

import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from .model.address import parse_networks
from .model.field_problem import explain
from .model.origins import frame_ancestors, parse_origins
from .model.postgres_url import check_postgres_url
from .model.redis_url import parse_redis_url

_PREFIX = "LEADERBOARD_"
#: Variables of clients, such as `leaderboard import`: they may stand beside the settings of a deployment.
_OF_CLIENTS = frozenset(("url", "sql_url"))
API_KEY = re.compile(r"lb_([A-Za-z0-9]{1,32})_([A-Za-z0-9_-]{16,128})")


#: How the names of settings end that hold a secret, or may: an error does not show their values.
SECRETS = ("_key", "_keys", "_url")
#: Characters of a digest key at least: 128 bits in hex digits.
DIGEST_KEY_CHARS_MIN = 32


class SettingsError(ValueError):
    """Settings are wrong. faults: a sentence for each, with its name, its value unless it is secret, and what would be
    right."""

    def __init__(self, *faults: str) -> None:
        super().__init__("; ".join(faults))
        self.faults = faults


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The settings of a process. Times in seconds, sizes in bytes."""

    #: Where Redis is: `redis://` for one, `redis+sentinel://` behind Sentinels, `redis+cluster://`; `rediss` with TLS.
    redis_url: str = "redis://127.0.0.1:6379/0"
    #: Where Postgres is. Several hosts with commas between, eight at most: the one that takes writes is used.
    postgres_url: Annotated[
        str, msgspec.Meta(pattern=r"^postgres(ql)?://.+", examples=["postgresql://postgres@127.0.0.1:5432/leaderboard"])
    ] = "postgresql://postgres@127.0.0.1:5432/leaderboard"
    #: What Redis must at least do before it answers. `always`: fsync; `everysec`: a crash may lose a second; `none`.
    redis_durability: Literal["always", "everysec", "none"] = "always"
    #: Replicas of Redis that must hold what a request with `?ack=replica` wrote, on their disks as Redis itself.
    ack_replicas: Annotated[int, msgspec.Meta(ge=1, le=16)] = 1
    #: Seconds that a request with `?ack=replica` or `?ack=audit` waits after its entries counted.
    ack_wait_s: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    #: The address on which a server listens.
    host: str = "127.0.0.1"
    #: The port on which a server listens; 0: a free one.
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    #: Processes of a server on one machine, on one port.
    workers: Annotated[int, msgspec.Meta(ge=1, le=256)] = 1
    #: A bootstrap key with `admin:*`: `lb_<id>_<secret>`. It is not in the list of keys, and good as long as it is set.
    api_key: str | None = None
    #: Where `leaderboard dev` keeps its data, and where the digest key lies if it is no setting.
    data_dir: Path = Path(".data")
    #: The secret with which the deployment's digests are made; the same everywhere, for ever. Without one: the file
    #: `digest_key` in the data folder, which `migrate` writes for a new deployment.
    digest_key: str | None = None
    #: Partitions of a new deployment: they bound the nodes of a cluster, and a few nodes get equal shares of many.
    partitions: Annotated[int, msgspec.Meta(ge=1, le=1024)] = 64
    #: What a persister brings back by itself of what Redis lost. `auto`: an end of the log that the ledger has; `own`:
    #: also an empty Redis, or one with another history, for Redis is this deployment's alone. `leaderboard dev`: `own`.
    recover: Literal["off", "auto", "own"] = "off"
    #: From which level on a process logs, one line of JSON each, on stderr.
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    #: Seconds for which Redis remembers grant ids, where they have room; older grants are looked up in Postgres.
    dedup_s: Annotated[int, msgspec.Meta(ge=60)] = 86_400
    #: Bytes of the grant ids that Redis remembers, in all partitions together: some 7 million, or 15 on Valkey.
    dedup_bytes_max: Annotated[int, msgspec.Meta(ge=1 << 20)] = 1 << 30
    #: Bytes of the log in Redis, in all partitions together: some 6 million grants. If the ledger lacks more, grants
    #: answer `503 overloaded`.
    log_bytes_max: Annotated[int, msgspec.Meta(ge=1 << 20)] = 1 << 30
    #: Entries of a partition that the ledger may lack, if fewer than the bytes hold. Without a number the bytes decide.
    log_entries_max: Annotated[int, msgspec.Meta(ge=1)] | None = None
    #: `off`: quotas and the rate limit of changes to namespaces are off. `leaderboard dev` starts with `off`.
    quotas: Literal["on", "off"] = "on"
    #: Namespaces that a key may have made, deleted ones not counted; a key with `admin:*` has no such bound.
    key_namespaces_max: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    #: Users of a namespace; beyond them a grant to a new one is refused. The default takes tens of GB.
    namespace_users_max: Annotated[int, msgspec.Meta(ge=1)] = 100_000_000
    #: Boards of a namespace in Redis; beyond them a grant that would open one more is refused.
    namespace_boards_max: Annotated[int, msgspec.Meta(ge=1)] = 1_000_000
    #: Share of its partition's log that one namespace may fill if the partition has others; 1: all of it.
    namespace_log_share_max: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    #: Seconds for which a log keeps entries that are in the ledger already.
    log_tail_s: Annotated[int, msgspec.Meta(ge=600)] = 600
    #: Seconds between two runs of most chores of a persister: rotating, comparing, archiving. `LEADERBOARD_CHORES_S`.
    maintenance_interval_s: Annotated[float, msgspec.Meta(ge=0.1, le=3600)] = msgspec.field(
        default=5.0, name="chores_s"
    )
    #: Encrypts the secrets of webhooks: a file with 32 bytes in base64, or these themselves; the same for all servers
    #: and persisters. Several, with commas between: the first encrypts, all decrypt. `leaderboard dev` makes one.
    webhook_key: str | None = None
    #: `on`: webhooks may go to this machine itself, with http too: to try them out.
    webhook_loopback: Literal["on", "off"] = "off"
    #: Sign client tokens: names of files with commas between, each with 32 random bytes in base64 (HS256) or a private
    #: Ed25519 key in PEM (EdDSA); the same for all servers. The first signs, all verify. `leaderboard dev` makes one.
    token_keys: str | None = None
    #: Pages that may read answers, send keys and open WebSockets: origins with commas between (`https://game.example.com`;
    #: `http://localhost:*`: any port). All pages read public namespaces without a key; `none`: not even these.
    cors_origins: str = ""
    #: Pages that may show the page of boards in a frame: `none`, or `self` and origins with commas between.
    frame_ancestors: str = "none"
    #: The port on which a persister answers `/metrics`; none: nowhere.
    metrics_port: Annotated[int, msgspec.Meta(ge=0, le=65535)] | None = None
    #: Networks of proxies in front (`10.0.0.0/8,::1`): from these peers alone X-Forwarded-For names the client.
    trusted_proxies: str = ""
    #: WebSockets of a key, in each process; beyond them a new one is refused.
    key_sockets_max: Annotated[int, msgspec.Meta(ge=1)] = 10_000
    #: WebSockets of an address without a key (IPv6: of a /64), in each process; a school may stand behind one.
    address_sockets_max: Annotated[int, msgspec.Meta(ge=1)] = 2_000


def read_settings(environment: Mapping[str, str] | None = None, **flags: Any) -> Settings:
    """The settings; SettingsError names every variable at fault. O(variables)."""
    environment = os.environ if environment is None else environment
    values: dict[str, Any] = {
        name.removeprefix(_PREFIX).lower(): value for name, value in environment.items() if name.startswith(_PREFIX)
    }
    values = {name: value for name, value in values.items() if name not in _OF_CLIENTS}
    values |= {name: value for name, value in flags.items() if value is not None}
    faults = [fault for name, value in values.items() if (fault := _fault(name, value)) is not None]
    if faults:
        raise SettingsError(*faults)
    return _convert(values)


def _convert(values: Mapping[str, Any]) -> Settings:
    return msgspec.convert(values, Settings, strict=False, dec_hook=_path)


def _fault(name: str, value: Any) -> str | None:
    """What is wrong with one setting, or None."""
    variable = f"{_PREFIX}{name.upper()}"
    if name not in Settings.__struct_encode_fields__:
        close = get_close_matches(name, Settings.__struct_encode_fields__, 1)
        return f"{variable}: there is no such setting" + (
            f"; did you mean {_PREFIX}{close[0].upper()}?" if close else ""
        )
    shown = variable if name.endswith(SECRETS) else f"{variable}={value}"
    try:
        settings = _convert({name: value})
        if name in _PARSERS:
            _PARSERS[name](getattr(settings, name))
    except msgspec.ValidationError as error:
        _, detail = explain(str(error), Settings)
        return f"{shown}: {detail.removesuffix(' or null')}"
    except ValueError as error:
        return f"{shown}: {error}"
    return None


def _check_api_key(key: str) -> None:
    if not API_KEY.fullmatch(key):
        raise ValueError("must be lb_<id>_<secret of 16 or more characters>")


def _check_digest_key(key: str) -> None:
    if len(key) < DIGEST_KEY_CHARS_MIN:
        raise ValueError(f"must have {DIGEST_KEY_CHARS_MIN} or more characters, chosen by chance")


def _check_networks(text: str) -> None:
    try:
        parse_networks(text)
    except ValueError as error:
        raise ValueError(f"must be networks in CIDR notation: {error}") from None


#: Settings that have a form of their own: what raises ValueError with what would be right.
_PARSERS: Mapping[str, Callable[[str], object]] = {
    "api_key": _check_api_key,
    "digest_key": _check_digest_key,
    "cors_origins": parse_origins,
    "frame_ancestors": frame_ancestors,
    "redis_url": parse_redis_url,
    "postgres_url": check_postgres_url,
    "trusted_proxies": _check_networks,
}


def _path(kind: type, value: Any) -> Any:
    return kind(value)
