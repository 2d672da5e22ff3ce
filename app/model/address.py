"""Network addresses: whose share a client takes, and which proxies are believed."""

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

Address = IPv4Address | IPv6Address
Networks = tuple[IPv4Network | IPv6Network, ...]

#: Prefix of an IPv6 client: one household or machine gets a /64 and may use any address of it.
_IPV6_PREFIX_BITS = 64
#: Addresses whose group is remembered: parsing costs 5 µs, a look-up 0.1.
_CACHE_ENTRIES_MAX = 4_096
#: Characters of the longest address with brackets, a zone and a port; longer text is none, and is not remembered.
_ADDRESS_CHARS_MAX = 80


def parse_networks(text: str) -> Networks:
    """Networks in CIDR notation, separated by commas; an address alone is a network of one. ValueError."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


def parse_address(host: str) -> Address | None:
    """An address as a socket or a proxy writes it: with a port or brackets or without; None for anything else."""
    return _parsed(host) if len(host) <= _ADDRESS_CHARS_MAX else None


@lru_cache(_CACHE_ENTRIES_MAX)
def _parsed(host: str) -> Address | None:
    bare = host.strip().strip('"')
    if bare.startswith("["):
        bare = bare[1:].partition("]")[0]
    elif bare.count(":") == 1:
        bare = bare.partition(":")[0]
    try:
        address = ip_address(bare.partition("%")[0])
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


@lru_cache(_CACHE_ENTRIES_MAX)
def group_of(address: Address) -> str:
    """The name under which an address is counted: IPv4 as it is, IPv6 as its /64."""
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address) >> _IPV6_PREFIX_BITS << _IPV6_PREFIX_BITS, _IPV6_PREFIX_BITS)))


def is_within(address: Address, networks: Networks) -> bool:
    """Whether an address lies in one of the networks. O(networks)."""
    return any(address in network for network in networks)


def forwarded_for(value: str) -> Iterator[str]:
    """The `for` of each element of a Forwarded header (RFC 7239), in its order; empty where an element has none."""
    for element in _outside_quotes(value, ","):
        named = (pair.strip().partition("=") for pair in _outside_quotes(element, ";"))
        yield next((host for name, _, host in named if name.strip().lower() == "for"), "")


def _outside_quotes(text: str, mark: str) -> Iterator[str]:
    """The parts of a text between the marks that stand in no quoted string."""
    part, quoted = "", False
    for char in text:
        quoted ^= char == '"'
        if char == mark and not quoted:
            yield part
            part = ""
        else:
            part += char
    yield part
