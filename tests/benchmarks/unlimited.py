"""The same application behind uvicorn's HTTP protocol without our limits: what these cost is the difference."""

import uvicorn
from starlette.types import ASGIApp

from app.http.cycle import CycleProtocol
from app.server import UVICORN, from_environment
from app.settings import read_settings


def build() -> ASGIApp:
    """What uvicorn builds."""
    return from_environment()


if __name__ == "__main__":
    options = UVICORN | {"http": CycleProtocol, "timeout_keep_alive": 60}
    uvicorn.run(f"{__package__}.unlimited:build", factory=True, port=read_settings().port, **options)
