"""The client's address, for which a request or a WebSocket counts while no key is known."""

from starlette.types import Scope

from ..model.address import Address, Networks, forwarded_for, group_of, is_within, parse_address

#: The name in the lifespan's state of the trusted proxies' networks (LEADERBOARD_TRUSTED_PROXIES).
TRUSTED_PROXIES = "trusted_proxies"
#: The name of clients whose connection is closed and so has no address any more.
UNKNOWN = "unknown"
#: Proxies in a row that are trusted. A longer chain is a client's invention.
_HOPS_MAX = 16


def address_of(scope: Scope) -> str:
    """The client's address: IPv4 as text, IPv6 as its /64 (`2001:db8::/64`).

    It is the peer's address, unless the peer is a trusted proxy. Then X-Forwarded-For or Forwarded is read from the
    right: entries of trusted proxies are skipped, and the first other address is the client's. An entry that is no
    address ends the search, and the address read before it is used. If both headers name different clients, the proxy
    wrote only one of them, and it is unknown which: the proxy's own address is used.
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
    clients = {_furthest(peer, hosts, trusted) for hosts in (plain, standard) if hosts}
    return group_of(clients.pop() if len(clients) == 1 else peer)


def _furthest(peer: Address, hosts: list[str], trusted: Networks) -> Address:
    """The first address from the right that is no trusted proxy's; if there is none, the last readable one."""
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
    return [value.decode("latin-1") for header, value in scope["headers"] if header == name]
