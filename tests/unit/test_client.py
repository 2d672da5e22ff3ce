from typing import Any

import pytest

from app.access.client import UNKNOWN, address_of
from app.model.address import parse_networks
from app.settings import SettingsError, read_settings


def scope(peer: str | None, trusted: str = "", **headers: str) -> dict[str, Any]:
    return {
        "client": None if peer is None else (peer, 50_000),
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
        "state": {"trusted_proxies": parse_networks(trusted)},
    }


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        (None, UNKNOWN),
    ],
)
def test_the_peers_address_with_ipv6_as_its_network(peer: str | None, address: str) -> None:
    assert address_of(scope(peer)) == address


def test_headers_of_a_peer_that_is_not_trusted_are_no_matter() -> None:
    assert address_of(scope("203.0.113.9", x_forwarded_for="198.51.100.1")) == "203.0.113.9"
    assert address_of(scope("203.0.113.9", "10.0.0.0/8", forwarded="for=198.51.100.1")) == "203.0.113.9"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("6.6.6.6, 198.51.100.1", "198.51.100.1"),  # What the client itself sent stands to the left.
        ("6.6.6.6, 198.51.100.1, 10.0.0.7", "198.51.100.1"),
        ("10.1.1.1, 10.0.0.7", "10.1.1.1"),
        ("198.51.100.1:4711", "198.51.100.1"),
        ("[2001:db8:1:2::9]:4711", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("198.51.100.1, unknown", "10.0.0.5"),
        ("198.51.100.1, unknown, 10.0.0.7", "10.0.0.7"),
        ("", "10.0.0.5"),
        (", ,", "10.0.0.5"),
        ("1" * 5_000, "10.0.0.5"),
        ("6.6.6.6, " + "10.0.0.7, " * 40 + "10.0.0.8", "10.0.0.7"),
    ],
)
def test_a_trusted_proxy_names_the_client_read_from_the_right(header: str, address: str) -> None:
    assert address_of(scope("10.0.0.5", "192.168.0.1, 10.0.0.0/8", x_forwarded_for=header)) == address


def test_several_header_lines_are_one_list() -> None:
    reply = scope("10.0.0.5", "10.0.0.0/8", x_forwarded_for="6.6.6.6")
    reply["headers"].append((b"x-forwarded-for", b"198.51.100.1"))
    assert address_of(reply) == "198.51.100.1"


@pytest.mark.parametrize(
    ("header", "address"),
    [
        ("for=198.51.100.1", "198.51.100.1"),
        ('For="[2001:db8:1:2::9]:4711";proto=https;by=10.0.0.5', "2001:db8:1:2::/64"),
        ('for=6.6.6.6, for="198.51.100.1:80";host="a,b;for=9.9.9.9"', "198.51.100.1"),
        ("for=_hidden", "10.0.0.5"),
        ("proto=https", "10.0.0.5"),
    ],
)
def test_the_standard_header_is_read_too(header: str, address: str) -> None:
    assert address_of(scope("10.0.0.5", "10.0.0.0/8", forwarded=header)) == address


def test_headers_that_contradict_each_other_are_not_believed() -> None:
    same = scope("10.0.0.5", "10.0.0.0/8", forwarded="for=198.51.100.1", x_forwarded_for="198.51.100.1")
    assert address_of(same) == "198.51.100.1"
    forged = scope("10.0.0.5", "10.0.0.0/8", forwarded="for=6.6.6.6", x_forwarded_for="198.51.100.1")
    assert address_of(forged) == "10.0.0.5"


def test_the_setting_is_a_list_of_networks() -> None:
    assert read_settings({"LEADERBOARD_TRUSTED_PROXIES": "10.0.0.0/8, ::1"}).trusted_proxies == "10.0.0.0/8, ::1"
    with pytest.raises(SettingsError, match=r"LEADERBOARD_TRUSTED_PROXIES=10\.0\.0\.1/8: .*10\.0\.0\.1/8"):
        read_settings({"LEADERBOARD_TRUSTED_PROXIES": "10.0.0.1/8"})
