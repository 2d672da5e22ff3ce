"""A namespace that changes all the time costs the readers of others nothing."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from app.store import fields, keys

OTHERS = 30
CHANGES = 40


def test_changes_of_one_namespace_make_nobody_look_up_another(
    live_server: Any, api: httpx.Client, names: Any, direct: Any
) -> None:
    busy, others = names.fresh(), [names.fresh() for _ in range(OTHERS)]
    for space in (busy, *others):
        assert api.put(f"/v1/namespaces/{space}", json={"visibility": "public"}).status_code == 201
    boards = [f"/v1/namespaces/{space}/boards/all" for space in others]
    with live_server.client(None) as anybody, ThreadPoolExecutor(4) as pool:

        def read() -> None:
            assert {answer.status_code for answer in pool.map(anybody.get, boards)} == {200}

        # Persisters announce once more what was made just now.
        live_server.wait_published()
        read()
        read()
        with direct.monitor() as seen:
            for i in range(CHANGES):
                rules = {"visibility": "public", "display_name": f"change {i}"}
                assert api.put(f"/v1/namespaces/{busy}", json=rules).status_code == 200
                read()
            direct.echo("that is all")
            requests: list[tuple[str, list[str]]] = []
            while "that is all" not in (reply := seen.next_command())["command"]:
                requests.append((reply["client_port"], reply["command"].split()))
    # A persister looks through all namespaces at times; the server is who reads the counter of changes.
    servers = {port for port, words in requests if words[-2:] == [fields.CHANGES, fields.PROFILES]}
    looked_up = [words[2] for port, words in requests if port in servers and words[:2] == ["HGET", keys.DIRECTORY]]
    assert servers
    assert set(looked_up).isdisjoint(others)
