"""What a client that comes back with a state gets, where the state may be of something else by now."""

from typing import Any

import httpx
from websockets.sync.client import ClientConnection

from app.model.namespace import partition_of
from tests.support.live_socket import hear, public, say, subscribe
from tests.support.sealed_namespace import DAY, Space
from tests.support.template import PARTITIONS


def groups() -> tuple[str, str]:
    """Two groups whose namespaces lie in different partitions."""
    first, partitions = "g0", int(PARTITIONS)
    home = partition_of("", first, partitions)
    return first, next(f"g{i}" for i in range(50) if partition_of("", f"g{i}", partitions) != home)


def fill(api: httpx.Client, space: str, users: list[str], mark: str) -> Any:
    """Grants; the board after them."""
    for first in range(0, len(users), 1_000):
        batch = [
            {"grant_id": f"{mark}{first}-{i}", "user_id": user, "amount": 1}
            for i, user in enumerate(users[first : first + 1_000])
        ]
        api.post(f"/v1/namespaces/{space}/grants", json=batch).raise_for_status()
    return api.get(f"/v1/namespaces/{space}/boards/all").json()


def test_a_state_of_a_namespace_made_anew_elsewhere_is_not_up_to_date(
    api: httpx.Client, space: str, socket: ClientConnection
) -> None:
    one, other = groups()
    probe = f"{space}-probe"
    public(api, probe, group=other)
    there = fill(api, probe, ["a"], "p")["version"]
    api.delete(f"/v1/namespaces/{space}", params={"confirm": space}).raise_for_status()
    public(api, space, group=one)
    here = fill(api, space, ["a"], "g")["version"]
    seen = fill(api, space, ["a"] * max(1, there + 1 - here), "more")
    api.delete(f"/v1/namespaces/{space}", params={"confirm": space}).raise_for_status()
    public(api, space, group=other)
    public(api, space, group=other, display_name="A change of rules forgets nothing")
    anew = fill(api, space, ["z"] * (seen["version"] - there), "g")
    assert (anew["epoch"], anew["version"]) == (seen["epoch"], seen["version"])
    subscribe(socket, space, epoch=seen["epoch"], version=seen["version"])
    frame = hear(socket)
    assert (frame["type"], [entry["user_id"] for entry in frame["entries"]]) == ("snapshot", ["z"])


def test_a_state_of_an_archive_is_sent_whole(live_server: Any, api: httpx.Client, socket: ClientConnection) -> None:
    """Its rows change a moment before its version does: a client may have come with the version of either."""
    sealed = Space(live_server, api, "resumed-archive", visibility="public", statistics=True)
    sealed.grant("ann", 5)
    sealed.grant("bob", 3)
    sealed.seal(DAY)
    assert sealed.grant("cid", 4, query="?backfill=true").status_code == 201
    sealed.wait_for(DAY, {"ann": 5, "cid": 4, "bob": 3})
    for view in ({"kind": "top", "limit": 3}, {"kind": "stats"}):
        say(socket, type="subscribe", id=1, namespace=sealed.name, window=DAY, view=view)
        first = hear(socket)
        say(socket, type="unsubscribe", id=1)
        resume = {"epoch": first["epoch"], "version": first["version"]}
        say(socket, type="subscribe", id=1, namespace=sealed.name, window=DAY, view=view, **resume)
        assert hear(socket) == first
        say(socket, type="unsubscribe", id=1)
