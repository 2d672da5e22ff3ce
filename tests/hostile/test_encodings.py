"""What a body may be written in, and what is refused by name."""

import gzip
import json

import httpx
import pytest

GRANT = {"grant_id": "g", "user_id": "otter", "amount": 1}


@pytest.mark.parametrize("coding", ["gzip", "br", "deflate, gzip", "GZIP"])
@pytest.mark.parametrize("path", ["/v1/namespaces/{}/grants", "/v1/namespaces/{}/totals"])
def test_a_coded_body_is_refused_by_name(api: httpx.Client, space: str, coding: str, path: str) -> None:
    body, headers = gzip.compress(json.dumps(GRANT).encode()), {"content-encoding": coding}
    answer = api.post(path.format(space), content=body, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.json()["field"] == "Content-Encoding"
    assert answer.headers["accept-encoding"] == "identity"


def test_a_body_that_says_it_is_not_coded_is_taken(api: httpx.Client, space: str) -> None:
    answer = api.post(f"/v1/namespaces/{space}/grants", json=GRANT, headers={"content-encoding": "identity"})
    assert answer.status_code == 201


@pytest.mark.parametrize("media", ["application/x-ndjson", "application/ndjson", "application/jsonl; charset=utf-8"])
def test_lines_are_taken_under_each_of_their_names_with_a_mark(api: httpx.Client, space: str, media: str) -> None:
    body = b"\xef\xbb\xbf" + b"".join(json.dumps(GRANT | {"grant_id": f"g{i}"}).encode() + b"\r\n" for i in range(3))
    answer = api.post(f"/v1/namespaces/{space}/grants", content=body, headers={"content-type": media}).json()
    assert (answer["applied"], answer["rejected"]) == (3, 0)


def test_json_is_taken_with_a_mark(api: httpx.Client, space: str) -> None:
    mark, url = b"\xef\xbb\xbf", f"/v1/namespaces/{space}"
    assert api.post(f"{url}/grants", content=mark + json.dumps(GRANT).encode()).status_code == 201
    assert api.post(f"{url}/grants", content=mark + json.dumps([GRANT]).encode()).json()["duplicate"] == 1
    assert api.post(f"{url}/totals", content=mark + b'{"users":["otter"]}').status_code == 200


def test_lines_are_for_grants_alone(api: httpx.Client, space: str) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = api.post(f"/v1/namespaces/{space}/totals", content=b'{"users":["otter"]}', headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type")
    assert answer.json()["detail"] == (
        "'application/x-ndjson' is not taken here; send application/json or application/msgpack"
    )


def test_another_type_is_refused_with_those_that_are_taken(api: httpx.Client, space: str) -> None:
    headers = {"content-type": "text/csv; charset=utf-8"}
    body = api.post(f"/v1/namespaces/{space}/grants", content=b"g,otter,1", headers=headers).json()
    assert (body["status"], body["field"]) == (415, "Content-Type")
    assert body["detail"] == (
        "'text/csv' is not taken here; send application/json, application/msgpack, "
        "or application/x-ndjson with one grant a line"
    )


def test_a_grant_larger_than_any_is_refused_alone(api: httpx.Client, space: str) -> None:
    url, huge = f"/v1/namespaces/{space}/grants", GRANT | {"grant_id": "h", "meta": {"a": ["x"] * 20_000}}
    answer = api.post(url, json=huge)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    answer = api.post(url, json=[GRANT, huge])
    assert [result["status"] for result in answer.json()["results"]] == ["applied", "rejected"]
    assert answer.json()["results"][1]["error"]["code"] == "too_large"


def test_a_batch_of_40_mb_of_line_feeds_is_refused(api: httpx.Client, space: str) -> None:
    headers = {"content-type": "application/x-ndjson"}
    answer = api.post(f"/v1/namespaces/{space}/grants", content=b"\n" * 40_000_000, headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
