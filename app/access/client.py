"""The client's address, for which a request or a socket counts while no key is known."""

from starlette.types import Scope

from ..model.address import Address, Networks, forwarded_for, group_of, is_within, parse_address

#: The key in the lifespan's state under which the networks of trusted proxies stand (LEADERBOARD_TRUSTED_PROXIES).
TRUSTED_PROXIES = "trusted_proxies"
#: Name of clients whose socket has no address any more because it is closed.
UNKNOWN = "unknown"
#: Proxies in a row that are trusted; a longer chain was made up by a client.
_HOPS_MAX = 16


def address_of(scope: Scope) -> str:
    """The client's address: IPv4 as text, IPv6 as its /64 (`2001:db8::/64`).

    It is the peer's address, unless that peer is a trusted proxy. Then X-Forwarded-For or Forwarded is read from the
    right: each trusted proxy's own entry is skipped, and the first address that no trusted proxy has is the client's.
    An entry that is no address ends the search: the address before it holds. Where both headers are there and name
    different clients, the proxy wrote only one of them, and which one cannot be known: the proxy's address holds.
    O(hops × networks), and O(1) without proxies.
    """
    client = scope.get("client")
    peer = parse_address(client[0]) if client else None
    if peer is None:
        return UNKNOWN
    trusted: Networks = scope.get("state", {}).get(TRUSTED_PROXIES, ())
    if not trusted or not is_within(peer, trusted):
        return group_of(peer)
    plain = [host for value in _values(scope, b"x-forwarded-for") for host in value.split(",")]
    standard = [host for value in _values(scope, b"forwarded") for host in forwarded_for(value)]
    found = {_furthest(peer, hosts, trusted) for hosts in (plain, standard) if hosts}
    return group_of(found.pop() if len(found) == 1 else peer)


def _furthest(peer: Address, hosts: list[str], trusted: Networks) -> Address:
    """The first address from the right that is no trusted proxy's; the last that could be read where none is."""
    address = peer
    for host in reversed(hosts[-_HOPS_MAX:]):
        parsed = parse_address(host)
        if parsed is None:
            break
        address = parsed
        if not is_within(address, trusted):
            break
    return address


def _values(scope: Scope, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in scope["headers"] if key == name]
