"""The files of the client for JavaScript, as a page loads them. They are those of the package: one source."""

from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from .http.bodies import header
from .model.errors import MethodNotAllowed, NotFound
from .read.conditional import matches

_PACKAGE = Path(__file__).parent
#: What pages and compilers load, with its type; the rest of the package is for npm.
_TYPES = {".js": "text/javascript", ".ts": "text/plain"}


class _File(NamedTuple):
    body: bytes
    headers: dict[str, str]


def folder() -> Path:
    """The folder of the client: inside the installed package, else beside it in the source tree."""
    inside = _PACKAGE / "clients" / "js"
    return inside if inside.is_dir() else _PACKAGE.parent / "clients" / "js"


class ClientFiles:
    """An ASGI application that answers `<mount>/<name>`. It holds all files, some 50 KB."""

    def __init__(self) -> None:
        self._files = {path.name: _read(path) for path in folder().iterdir() if path.suffix in _TYPES}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers a file, or 304 if its ETag is known. NotFound, MethodNotAllowed."""
        file = self._files.get(scope["path"].removeprefix(scope["root_path"]).removeprefix("/"))
        if file is None:
            raise NotFound("there is no such path")
        if scope["method"] not in {"GET", "HEAD"}:
            raise MethodNotAllowed(f"{scope['method']} is not taken here", headers={"Allow": "GET, HEAD"})
        is_same = matches(header(scope, b"if-none-match"), file.headers["ETag"])
        response = Response(b"" if is_same else file.body, 304 if is_same else 200, file.headers)
        await response(scope, receive, send)


def _read(path: Path) -> _File:
    """A file with its head. Modules of two versions do not fit each other, so a browser asks for each again. The tag is
    made of the content, because the files of a wheel all have the same time."""
    body = path.read_bytes()
    return _File(
        body,
        {
            "Content-Type": f"{_TYPES[path.suffix]}; charset=utf-8",
            "Cache-Control": "no-cache",
            "Vary": "Origin",
            "ETag": f'"{blake2b(body, digest_size=12).hexdigest()}"',
            "X-Content-Type-Options": "nosniff",
        },
    )
