"""The control plane's own OpenAPI document: whole, valid, and true under fire."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.checks as checks

from emulator import Emulator
from emulator.control.openapi import PREFIX, document
from emulator.control.route import SCHEMA_VERSION, Answer
from emulator.control.routes import ROUTES
from tests.generated_calls import check_generated_calls, has_float

ENDLESS = {f"{PREFIX}/requests/stream"}  # streams until the client disconnects


def described() -> dict[str, Any]:
    """The document."""
    return document(ROUTES, "http://localhost")


def test_document_is_valid_openapi_3_1(emulator: Emulator) -> None:
    """It is valid by the schema that belongs to the specification, and it is served."""
    assert schemathesis.openapi.from_dict(described()).validate() is None
    served = httpx.get(f"{emulator.url}{PREFIX}/control/openapi.json").json()
    assert served == {**described(), "servers": [{"url": emulator.url}]}


def test_routes_are_described_once_each() -> None:
    """Each with a sentence, under a name of its own."""
    operations = [each for item in described()["paths"].values() for each in item.values()]
    assert len(operations) == len(ROUTES) == len({each["operationId"] for each in operations})
    assert all(each["summary"].endswith(".") for each in operations)


def test_response_schemas_have_schema_version() -> None:
    """A client can read the version of the control API from every response."""
    schemas = described()["components"]["schemas"]
    for shape in {route.reply for route in ROUTES if issubclass(route.reply, Answer)}:
        assert schemas[shape.__name__]["properties"]["schema_version"]["default"] == SCHEMA_VERSION, shape


def attacked() -> schemathesis.schemas.BaseSchema:
    """The document as Schemathesis reads it, without what never ends."""
    schema = schemathesis.openapi.from_dict(described())
    schema.config.phases.stateful.enabled = False
    return schema.exclude(path=list(ENDLESS))


@pytest.fixture(scope="module")
def schema() -> schemathesis.schemas.BaseSchema:
    """The same, read once."""
    return attacked()


def unchecked(case: schemathesis.Case) -> list[Any]:
    """The checks that do not hold for a call."""
    if "422" in case.operation.definition.raw["responses"] or has_float(case.body):
        return [checks.positive_data_acceptance]  # such a path says that more than the shape decides
    return []


@pytest.mark.parametrize(
    ("path", "method"),
    [(path, method) for path, item in described()["paths"].items() for method in item if path not in ENDLESS],
)
def test_operation_answers_generated_calls_as_described(
    schema: schemathesis.schemas.BaseSchema, path: str, method: str, emulator: Emulator, session: requests.Session
) -> None:
    """A call that the document allows is accepted, one that it forbids is refused, and none fails with 500."""
    check_generated_calls(schema[path][method], emulator.url, session, excluded_checks=unchecked)
