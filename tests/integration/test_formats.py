"""What one format takes the other can tell: each meta is sent in JSON and in MessagePack, and read in both."""

import json
from typing import Any

import httpx
import msgspec
import pytest

PACKED = {"Content-Type": "application/msgpack"}
ACCEPT_PACKED = {"Accept": "application/msgpack"}
METAS: list[dict[str, Any]] = [
    {"n": 2**64 - 1, "m": -(2**63), "zero": 0, "yes": True, "none": None},
    {"big": 1e300, "bigger": -1.7976931348623157e308, "small": 5e-324, "whole": 1e22, "half": 0.5, "edge": 2.0**64},
    {"deep": [[[{"a": [1e300, 1e19]}]]], "text": "é漢😀\\", "": []},
]


def read(api: httpx.Client, path: str, packed: bool) -> Any:
    answer = api.get(path, headers=ACCEPT_PACKED if packed else {})
    assert answer.status_code == 200, answer.text
    return msgspec.msgpack.decode(answer.content) if packed else json.loads(answer.content)


@pytest.mark.parametrize("meta", METAS, ids=range(len(METAS)))
def test_every_meta_is_read_in_both_formats(live_server: Any, api: httpx.Client, space: str, meta: Any) -> None:
    url = f"/v1/namespaces/{space}"
    for name in ("json", "msgpack"):
        grant = {"grant_id": name, "user_id": "otter", "amount": 1, "meta": meta}
        sent = (
            api.post(f"{url}/grants", json=grant)
            if name == "json"
            else api.post(f"{url}/grants", content=msgspec.msgpack.encode(grant), headers=PACKED)
        )
        assert sent.status_code == 201
    live_server.wait_flushed()
    for packed in (False, True):
        for name in ("json", "msgpack"):
            assert read(api, f"{url}/grants/{name}", packed)["meta"] == meta
        for page in (f"{url}/users/otter/grants", f"{url}/users/otter/explain"):
            assert [grant["meta"] for grant in read(api, page, packed)["grants"]] == [meta, meta]


@pytest.mark.parametrize("number", ["18446744073709551616", "-9223372036854775809", "1" * 40])
@pytest.mark.parametrize("meta", ['{"a":%s}', '{"a":[{"b":[%s]}]}'])
def test_an_integer_that_one_format_lacks_is_refused(api: httpx.Client, space: str, number: str, meta: str) -> None:
    body = '{"grant_id":"g","user_id":"otter","amount":1,"meta":%s}' % (meta % number)
    refused = api.post(f"/v1/namespaces/{space}/grants", content=body, headers={"Content-Type": "application/json"})
    assert (refused.status_code, refused.json()["field"]) == (422, "$.meta")
