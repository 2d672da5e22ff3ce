"""Addresses to which webhooks are sent: those of the public internet alone.

A receiver's URL is a client's. If it led to an address of the operator's own network, a client could make this server
ask what only that network may ask. Networks after IANA's registries of special-purpose addresses.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address

_REFUSED_IPV4 = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this network, unspecified
        "10.0.0.0/8",  # private
        "100.64.0.0/10",  # carrier-grade NAT
        "127.0.0.0/8",  # loopback
        "169.254.0.0/16",  # link-local, with the metadata of clouds
        "172.16.0.0/12",  # private
        "192.0.0.0/24",  # protocol assignments
        "192.0.2.0/24",  # documentation
        "192.88.99.0/24",  # 6to4 relays
        "192.168.0.0/16",  # private
        "198.18.0.0/15",  # benchmarks
        "198.51.100.0/24",  # documentation
        "203.0.113.0/24",  # documentation
        "224.0.0.0/4",  # multicast
        "240.0.0.0/4",  # reserved, broadcast
    )
)
# Only 2000::/3 is given out. Outside it lie loopback, unspecified, v4-mapped and v4-compatible addresses, NAT64, unique
# local, link-local, site-local and multicast ones.
_GIVEN_OUT_IPV6 = ip_network("2000::/3")
_REFUSED_IPV6 = tuple(
    ip_network(text)
    for text in (
        "2001::/23",  # protocol assignments, with Teredo, which carries an IPv4 address
        "2001:db8::/32",  # documentation
        "2002::/16",  # 6to4, which carries an IPv4 address
        "3fff::/20",  # documentation
    )
)
_LOOPBACK_IPV4 = ip_network("127.0.0.0/8")
_LOOPBACK_IPV6 = IPv6Address("::1")
#: The interface id of ISATAP, whose last 32 bits are an IPv4 address; the universal bit may be set.
_ISATAP = (0x0000_5EFE, 0x0200_5EFE)


def parse_address(text: str) -> Address | None:
    """The address in a host's text; None for a name."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet."""
    if isinstance(address, IPv4Address):
        return not any(address in network for network in _REFUSED_IPV4)
    return (
        address in _GIVEN_OUT_IPV6
        and not any(address in network for network in _REFUSED_IPV6)
        and (int(address) >> 32) & 0xFFFF_FFFF not in _ISATAP
    )


def is_loopback(address: Address) -> bool:
    """Whether an address is this machine's own, written as such: not within another form."""
    return address in _LOOPBACK_IPV4 if isinstance(address, IPv4Address) else address == _LOOPBACK_IPV6
