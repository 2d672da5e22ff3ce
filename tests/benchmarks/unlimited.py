"""The same application behind uvicorn's HTTP protocol without our limits: what these cost is the difference."""

import asyncio

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.joined import Joined
from app.server import UVICORN, from_environment
from app.settings import read_settings


class Unlimited(HttpToolsProtocol):
    """Writes joined, and nothing else of ours."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(Joined(transport, self.loop))  # type: ignore[arg-type]


def build() -> ASGIApp:
    """What uvicorn builds."""
    return from_environment()


if __name__ == "__main__":
    options = UVICORN | {"http": Unlimited, "timeout_keep_alive": 60}
    uvicorn.run(f"{__package__}.unlimited:build", factory=True, port=read_settings().port, **options)
