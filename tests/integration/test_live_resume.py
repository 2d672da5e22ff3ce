"""What a client that comes back with a state gets, where the state may be of something else by now."""

from typing import Any

import httpx
from websockets.sync.client import ClientConnection

from app.model.namespace import partition_of
from tests.support.live_socket import hear, public, subscribe
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
