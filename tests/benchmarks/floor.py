"""The floor: the same requests decoded and answered by Starlette, with no store behind."""

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.model.grant import Grant
from app.write.receipts import Receipt

_decode = msgspec.json.Decoder(Grant).decode
_encode = msgspec.json.Encoder().encode
_ENTRY = {"position": 1, "rank": 1, "user_id": "user-1", "score": 5, "display_name": None, "avatar": None}
_BOARD = _encode({"namespace": "bench", "window": "all", "entries": [_ENTRY] * 10})


async def write(request: Request) -> Response:
    """Decodes a grant and answers a receipt."""
    grant = _decode(await request.body())
    receipt = Receipt("applied", grant.grant_id, "bench", grant.user_id, 5, 0, 1, 1, "fsync")
    return Response(_encode(receipt), 201, media_type="application/json")


async def read(request: Request) -> Response:
    """Answers a prepared top 10."""
    return Response(_BOARD, media_type="application/json")


app = Starlette(
    routes=[
        Route("/v1/namespaces/{namespace}/grants", write, methods=["POST"]),
        Route("/v1/namespaces/{namespace}/boards/{window}", read),
    ]
)
