"""The URL of Redis: each topology in its parts, and errors that name the part."""

import pytest

from app.model.redis_url import Host, Topology, parse_redis_url
from app.settings import SettingsError, read_settings


@pytest.mark.parametrize(
    ("text", "topology", "hosts", "service"),
    [
        ("redis://127.0.0.1:6379/0", Topology.SINGLE, [("127.0.0.1", 6379)], ""),
        ("rediss://u:p@redis.example", Topology.SINGLE, [("redis.example", 6379)], ""),
        ("redis://[::1]:7000", Topology.SINGLE, [("::1", 7000)], ""),
        ("unix:///run/redis.sock", Topology.SINGLE, [], ""),
        ("redis+sentinel://a,b:1/main", Topology.SENTINEL, [("a", 26379), ("b", 1)], "main"),
        ("redis+cluster://u:p@a:1,[fd00::2]:2,c", Topology.CLUSTER, [("a", 1), ("fd00::2", 2), ("c", 6379)], ""),
        ("rediss+cluster://a/0?db=0", Topology.CLUSTER, [("a", 6379)], ""),
    ],
)
def test_a_url_has_parts(text: str, topology: Topology, hosts: list[tuple[str, int]], service: str) -> None:
    url = parse_redis_url(text)
    assert (url.topology, list(url.hosts), url.service, url.text) == (topology, hosts, service, text)


def test_a_node_of_a_cluster_has_the_credentials_tls_and_options_of_the_url() -> None:
    url = parse_redis_url("rediss+cluster://us%40er:p%2Fw@a:1?ssl_cert_reqs=none")
    assert url.node_url(Host("fd00::2", 7)) == "rediss://us%40er:p%2Fw@[fd00::2]:7?ssl_cert_reqs=none"


def test_a_sentinel_has_credentials_of_its_own() -> None:
    plain = parse_redis_url("redis+sentinel://user:secret@a/main?db=2")
    assert plain.sentinel_url(plain.hosts[0]) == "redis://a:26379"
    assert plain.node_url(Host("b", 6379)) == "redis://user:secret@b:6379?db=2"
    own = parse_redis_url("rediss+sentinel://:pw@a/main?sentinel_password=s&ssl_ca_certs=/ca.pem&client_name=x")
    assert own.sentinel_url(own.hosts[0]) == "rediss://:s@a:26379?ssl_ca_certs=%2Fca.pem"
    assert own.node_url(Host("b", 1)) == "rediss://:pw@b:1?ssl_ca_certs=%2Fca.pem&client_name=x"


def test_the_url_of_a_single_node_is_used_as_it_is() -> None:
    for text in ("redis://u:p@h:1/3?client_name=x", "unix:///run/redis.sock?db=1"):
        url = parse_redis_url(text)
        assert url.node_url(Host("elsewhere", 1)) == text


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("http://h", "scheme must be one of redis://"),
        ("127.0.0.1:6379", "scheme"),
        ("redis://", "a host is missing"),
        ("redis+cluster://a,:7000", "in front of :7000"),
        ("redis+cluster://a,,b", "a host is missing"),
        ("redis://h:port", "the port of 'h:port'"),
        ("redis://h:0", "the port of 'h:0'"),
        ("redis://h:65536", "the port of 'h:65536'"),
        ("redis://::1", "brackets"),
        ("redis://[::1:6379", "brackets"),
        ("redis://a,b", "several hosts need redis"),
        ("redis://h/main", "/main"),
        ("redis+sentinel://a", "/<service>"),
        ("redis+sentinel://a/main/0", "/<service>"),
        ("redis+cluster://a/1", "leave /1 out"),
        ("redis+cluster://a?db=1", "leave `db` out"),
        ("redis://h?socket_timeout=1", "the option 'socket_timeout' is none of client_name"),
        ("redis+cluster://h?sentinel_password=1", "the option 'sentinel_password'"),
        ("redis+cluster://" + ",".join("h" * 101), "101 hosts are too many"),
    ],
)
def test_an_error_names_the_part_and_the_setting(text: str, part: str) -> None:
    with pytest.raises(SettingsError) as refused:
        read_settings({"LEADERBOARD_REDIS_URL": text})
    assert str(refused.value).startswith("LEADERBOARD_REDIS_URL: ")
    assert part in str(refused.value)
