"""An import that goes on does so in the namespace where it began: what one of the same name lacks would be lost."""

import gzip
import json
from pathlib import Path
from typing import Any

import httpx

from tests.support.import_run import import_here, rows_done, scores


def broken_off(path: Path, *names: str) -> Path:
    """A source whose end is missing: rows before it are imported, and a state is left."""
    rows = [
        {"grant_id": f"g{i}", "namespace": names[i % len(names)], "user_id": "ann", "amount": 1} for i in range(9_000)
    ]
    packed = gzip.compress(b"".join(json.dumps(row).encode() + b"\n" for row in rows))
    path.write_bytes(packed[: len(packed) // 2])
    return path


def make(api: httpx.Client, name: str) -> None:
    """One into which batches go one after the other, so that some are done when the source breaks off."""
    assert api.put(f"/v1/namespaces/{name}", json={"tie_break": "earliest"}).status_code == 201


def make_anew(api: httpx.Client, name: str) -> None:
    assert api.delete(f"/v1/namespaces/{name}?confirm={name}").status_code == 204
    make(api, name)


def test_a_namespace_that_was_made_anew_is_told(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    space = names.fresh()
    make(api, space)
    path, state = broken_off(tmp_path / "rows.gz", space), tmp_path / "rows.gz.import"
    assert "cut off" in import_here(live_server, path, "--namespace", space).stderr
    done = rows_done(state)
    assert done > 0
    assert "cut off" in import_here(live_server, path, "--namespace", space).stderr, "the same one goes on"
    make_anew(api, space)
    again = import_here(live_server, path, "--namespace", space)
    assert (again.code, "Give --restart" in again.stderr, rows_done(state) >= done) == (1, True, True)
    assert scores(api, space) == {}
    assert "cut off" in import_here(live_server, path, "--namespace", space, "--restart").stderr
    assert scores(api, space)["ann"] >= done


def test_so_is_one_of_several_and_one_that_is_gone(
    live_server: Any, api: httpx.Client, names: Any, tmp_path: Path
) -> None:
    """Also if no row behind those that are done names it."""
    one, two = names.fresh(), names.fresh()
    for name in (one, two):
        make(api, name)
    path = broken_off(tmp_path / "rows.gz", one, two)
    import_here(live_server, path)
    make_anew(api, two)
    assert f"{two!r} is not the namespace" in import_here(live_server, path).stderr
    api.delete(f"/v1/namespaces/{two}?confirm={two}")
    assert "namespace_not_found" in import_here(live_server, path).stderr
