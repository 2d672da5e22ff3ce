"""The files of the client, as the server serves them: those of the npm package."""

import json
import re

import httpx
import pytest

from tests.conftest import Stack
from tests.support.node_program import CLIENT

MODULES = sorted(path.name for path in CLIENT.glob("*.js"))


@pytest.mark.parametrize("name", [*MODULES, "live.d.ts"])
def test_the_server_serves_the_package(live_server: Stack, name: str) -> None:
    with live_server.client(None) as anybody:
        answer = anybody.get(f"/clients/{name}")
        assert answer.content == (CLIENT / name).read_bytes()
        kind = "text/javascript" if name.endswith(".js") else "text/plain"
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert answer.headers["cache-control"] == "no-cache"
        assert answer.headers["vary"] == "Origin"
        again = anybody.get(f"/clients/{name}", headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == answer.headers["etag"]
        head = anybody.head(f"/clients/{name}")
        assert (head.status_code, head.content) == (200, b"")
        assert head.headers["content-length"] == str(len(answer.content))


@pytest.mark.parametrize(
    "path", ["", "/", "/package.json", "/gone.js", "/../server.py", "/%2e%2e/server.py", "/js/live.js"]
)
def test_nothing_else_is_served(live_server: Stack, path: str) -> None:
    with live_server.client(None) as anybody:
        answer = anybody.get(httpx.URL(live_server.url).copy_with(raw_path=f"/clients{path}".encode()))
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_it_is_read_only(live_server: Stack) -> None:
    with live_server.client() as client:
        answer = client.post("/clients/live.js", json={})
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


def test_the_modules_import_each_other_alone() -> None:
    """No dependencies, and nothing that a browser lacks."""
    imports = {
        name: re.findall(r"^(?:import|export) .* from '(.*)';$", (CLIENT / name).read_text(), re.MULTILINE)
        for name in MODULES
    }
    assert {target for targets in imports.values() for target in targets} <= {f"./{name}" for name in MODULES}
    assert "dependencies" not in json.loads((CLIENT / "package.json").read_text())


def test_the_package_has_every_file() -> None:
    package = json.loads((CLIENT / "package.json").read_text())
    assert package["files"] == ["*.js", "live.d.ts", "README.md"]
    assert all((CLIENT / name).is_file() for name in ("live.js", "live.d.ts", "README.md"))
