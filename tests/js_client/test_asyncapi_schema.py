"""/asyncapi.json against the schema of AsyncAPI 3.0.0, which its makers give out as an npm package."""

import json
import os
import shutil
from pathlib import Path

import pytest
from jsonschema import Draft7Validator

from app.asyncapi import document
from tests.js_client.test_npm import run

pytestmark = [
    pytest.mark.full,
    pytest.mark.skipif(shutil.which("npm") is None and "CI" not in os.environ, reason="no npm is installed"),
]

PACKAGE = "@asyncapi/specs@6.11.1"
SCHEMA = "node_modules/@asyncapi/specs/schemas/3.0.0.json"


@pytest.fixture(scope="module")
def asyncapi(tmp_path_factory: pytest.TempPathFactory) -> Draft7Validator:
    """What knows AsyncAPI 3.0.0."""
    folder: Path = tmp_path_factory.mktemp("asyncapi")
    (folder / "package.json").write_text("{}")
    run("npm", "install", "--no-audit", "--no-fund", PACKAGE, cwd=folder)
    return Draft7Validator(json.loads((folder / SCHEMA).read_text()))


def test_it_is_asyncapi_3(asyncapi: Draft7Validator) -> None:
    assert [error.message for error in asyncapi.iter_errors(document())] == []


def test_what_is_not_asyncapi_3_is_found(asyncapi: Draft7Validator) -> None:
    wrong = json.loads(json.dumps(document()))
    wrong["operations"]["live.drain"]["action"] = "publish"
    assert not asyncapi.is_valid(wrong)
