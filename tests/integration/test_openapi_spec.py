"""/openapi.json is OpenAPI 3.1 as a linter of others has it."""

import json

from openapi_spec_validator import OpenAPIV31SpecValidator

from app.openapi import document


def test_it_is_openapi_as_its_specification_has_it() -> None:
    whole = json.loads(json.dumps(document()))
    assert [error.message for error in OpenAPIV31SpecValidator(whole).iter_errors()] == []
    whole["paths"]["/healthz"]["get"].pop("responses")
    whole["info"].pop("title")
    assert len(list(OpenAPIV31SpecValidator(whole).iter_errors())) > 0, "it finds a fault"
