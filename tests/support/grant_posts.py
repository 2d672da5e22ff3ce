"""Grants posted in short words."""

import json
from typing import Any

import httpx

GOOD = {"grant_id": "g", "user_id": "otter", "amount": 5}


def post(api: httpx.Client, space: str, body: Any, **headers: str) -> httpx.Response:
    content = body if isinstance(body, (bytes, str)) else json.dumps(body)
    path = f"/v1/namespaces/{space}/grants"
    return api.post(path, content=content, headers={"content-type": "application/json"} | headers)


def total(api: httpx.Client, space: str) -> int:
    return int(api.get(f"/v1/namespaces/{space}/boards/all").json()["total"])
