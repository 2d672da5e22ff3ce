"""The URL of Redis: one node, a primary that Sentinels name, or a cluster; who speaks to them, and how."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple
from urllib.parse import parse_qsl, quote, unquote, urlencode

#: Hosts of a URL: each is asked for the map until one answers, and a cluster has some hundred nodes at most.
HOSTS_MAX = 100
_PORT, _SENTINEL_PORT = 6379, 26379
#: Ports are numbers of 16 bits.
_PORT_MAX = 65_535
#: Options behind `?` that a connection takes. Timeouts and retries are the server's own, and no option.
OPTIONS = frozenset(
    (
        *("client_name", "db", "ssl_ca_certs", "ssl_ca_data", "ssl_ca_path", "ssl_cert_reqs", "ssl_certfile"),
        *("ssl_check_hostname", "ssl_ciphers", "ssl_keyfile", "ssl_min_version", "ssl_password"),
    )
)
#: Options of the connections to Sentinels, whose users are not those of Redis.
SENTINEL_OPTIONS = frozenset(("sentinel_username", "sentinel_password"))


class Topology(StrEnum):
    """How Redis is set up."""

    SINGLE = "single"
    SENTINEL = "sentinel"
    CLUSTER = "cluster"


class Host(NamedTuple):
    """Where a process listens. An IPv6 address has no brackets."""

    name: str
    port: int

    def __str__(self) -> str:
        return f"[{self.name}]:{self.port}" if ":" in self.name else f"{self.name}:{self.port}"


_SCHEMES = {
    "redis": (Topology.SINGLE, "redis"),
    "rediss": (Topology.SINGLE, "rediss"),
    "unix": (Topology.SINGLE, "unix"),
    "redis+sentinel": (Topology.SENTINEL, "redis"),
    "rediss+sentinel": (Topology.SENTINEL, "rediss"),
    "redis+cluster": (Topology.CLUSTER, "redis"),
    "rediss+cluster": (Topology.CLUSTER, "rediss"),
}


@dataclass(frozen=True, slots=True)
class RedisUrl:
    """A URL in its parts. hosts: the node, the Sentinels, or some nodes of the cluster; service: what the Sentinels
    call the primary; text: the URL as it was given."""

    text: str
    topology: Topology
    scheme: str
    user: str
    password: str
    hosts: tuple[Host, ...]
    service: str
    options: tuple[tuple[str, str], ...]

    def node_url(self, host: Host) -> str:
        """The plain URL of one node of Redis: its credentials, TLS and options are those of this URL."""
        if self.topology is Topology.SINGLE:
            return self.text
        options = [pair for pair in self.options if pair[0] not in SENTINEL_OPTIONS]
        return _plain(self.scheme, _credentials(self.user, self.password), host, options)

    def sentinel_url(self, host: Host) -> str:
        """The plain URL of one Sentinel: with credentials of its own, or none."""
        given = dict(self.options)
        user = _credentials(given.get("sentinel_username", ""), given.get("sentinel_password", ""))
        options = [pair for pair in self.options if pair[0].startswith("ssl_")]
        return _plain(self.scheme, user, host, options)


def parse_redis_url(text: str) -> RedisUrl:
    """The parts of a URL. ValueError names the part that is wrong and what would be right."""
    scheme, has_scheme, rest = text.partition("://")
    if not has_scheme or scheme not in _SCHEMES:
        raise ValueError(f"its scheme must be one of {', '.join(f'{name}://' for name in _SCHEMES)}")
    topology, plain = _SCHEMES[scheme]
    rest, _, query = rest.partition("?")
    options = _options(query, OPTIONS | SENTINEL_OPTIONS if topology is Topology.SENTINEL else OPTIONS)
    if scheme == "unix":
        return RedisUrl(text, topology, plain, "", "", (), "", options)
    netloc, _, path = rest.partition("/")
    userinfo, _, where = netloc.rpartition("@")
    user, _, password = userinfo.partition(":")
    hosts = _hosts(where, _SENTINEL_PORT if topology is Topology.SENTINEL else _PORT)
    if topology is Topology.SINGLE and len(hosts) > 1:
        raise ValueError("several hosts need redis+sentinel:// or redis+cluster://")
    _check_path(topology, unquote(path))
    if topology is Topology.CLUSTER and dict(options).get("db", "0") != "0":
        raise ValueError("a cluster has the database 0 only: leave `db` out")
    service = unquote(path) if topology is Topology.SENTINEL else ""
    return RedisUrl(text, topology, plain, unquote(user), unquote(password), hosts, service, options)


def _check_path(topology: Topology, path: str) -> None:
    if topology is Topology.SENTINEL:
        if not path or "/" in path:
            raise ValueError("behind the hosts stands /<service>, as the Sentinels call the primary")
    elif topology is Topology.CLUSTER:
        if path not in ("", "0"):
            raise ValueError(f"a cluster has the database 0 only: leave /{path} out")
    elif path and not path.isdecimal():
        raise ValueError(f"its path must be the number of a database, not /{path}")


def _hosts(text: str, default_port: int) -> tuple[Host, ...]:
    parts = text.split(",")
    if len(parts) > HOSTS_MAX:
        raise ValueError(f"{len(parts)} hosts are too many: some nodes are enough, at most {HOSTS_MAX}")
    return tuple(_host(part, default_port) for part in parts)


def _host(text: str, default_port: int) -> Host:
    name, _, port = text.rpartition(":") if ":" in text.rpartition("]")[2] else (text, "", "")
    number = int(port) if port.isdecimal() else default_port
    if (port and not port.isdecimal()) or not 0 < number <= _PORT_MAX:
        raise ValueError(f"the port of {text!r} must be a number from 1 to {_PORT_MAX}")
    if name.startswith("[") != name.endswith("]") or (":" in name and not name.startswith("[")):
        raise ValueError(f"the IPv6 address of {text!r} must stand in brackets")
    name = name.removeprefix("[").removesuffix("]")
    if not name:
        raise ValueError("a host is missing" if not port else f"a host is missing in front of :{port}")
    return Host(name, number)


def _options(query: str, names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    options = tuple(parse_qsl(query, keep_blank_values=True))
    for name, _ in options:
        if name not in names:
            raise ValueError(f"the option {name!r} is none of {', '.join(sorted(names))}")
    return options


def _credentials(user: str, password: str) -> str:
    if not user and not password:
        return ""
    return f"{quote(user, safe='')}:{quote(password, safe='')}@" if password else f"{quote(user, safe='')}@"


def _plain(scheme: str, credentials: str, host: Host, options: list[tuple[str, str]]) -> str:
    query = f"?{urlencode(options)}" if options else ""
    return f"{scheme}://{credentials}{host}{query}"
