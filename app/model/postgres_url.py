"""The URL of Postgres: one host, or several of which the one that takes writes is meant."""

from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

#: Hosts of a URL: a primary and its standbys. Each gets its share of the seconds that a connection may take.
HOSTS_MAX = 8
#: The port of a host that names none.
_PORT = "5432"
#: Ports are numbers of 16 bits.
_PORT_MAX = 65_535
#: What a connection is for, if the URL asks for nothing else.
_WRITABLE = "read-write"


def check_postgres_url(url: str) -> None:
    """ValueError, with the reason: too many hosts, one without a name, a port that is no number."""
    hosts = _hosts(url)
    if len(hosts) > HOSTS_MAX:
        raise ValueError(f"has {len(hosts)} hosts, at most {HOSTS_MAX}")
    for host in hosts if len(hosts) > 1 else ():
        name, port = _split_host(host)
        if not name:
            raise ValueError("has a host without a name between its commas")
        if not (port.isascii() and port.isdecimal() and 0 < int(port) <= _PORT_MAX):
            raise ValueError(f"has the port {port!r} for host {name}: a port is a number from 1 to {_PORT_MAX}")


def urls_of_hosts(url: str) -> list[str]:
    """A URL for each host, in order."""
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    return [urlunsplit(parts._replace(netloc=f"{user}{at}{host}")) for host in _hosts(url)]


def target_of(url: str) -> str:
    """The kind of host that is meant, in the words of libpq's `target_session_attrs`: `read-write` if it names none."""
    return dict(parse_qsl(urlsplit(url).query)).get("target_session_attrs", _WRITABLE)


def libpq_url(url: str) -> str:
    """The same URL with several hosts as `host` and `port` of its query, as SQLAlchemy-like parsers and libpq take
    them, and with the kind of host that is meant."""
    parts = urlsplit(url)
    user, at, netloc = parts.netloc.rpartition("@")
    options = dict(parse_qsl(parts.query, keep_blank_values=True)) | {"target_session_attrs": target_of(url)}
    if "," in netloc:
        pairs = [_split_host(host) for host in _hosts(url)]
        options["host"] = ",".join(name for name, _ in pairs)
        options["port"] = ",".join(port for _, port in pairs)
        netloc = ""
    return urlunsplit((*(parts.scheme, f"{user}{at}{netloc}", parts.path), urlencode(options, quote_via=quote), ""))


def _hosts(url: str) -> list[str]:
    return urlsplit(url).netloc.rpartition("@")[2].split(",")


def _split_host(text: str) -> tuple[str, str]:
    """Name and port. An IPv6 address stands in brackets."""
    name, colon, port = text.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = text, _PORT
    return name.strip("[]"), port
