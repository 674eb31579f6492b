"""The control plane's own OpenAPI document: whole, valid, and true under fire."""

from __future__ import annotations

from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis
import schemathesis.specs.openapi.checks as checks
from hypothesis import strategies as st
from schemathesis import GenerationMode

from emulator import Emulator
from emulator.control.openapi import PREFIX, document
from emulator.control.route import SCHEMA_VERSION, Answer
from emulator.control.routes import ROUTES
from tests.serving import PATIENCE_SECONDS

ENDLESS = {f"{PREFIX}/requests/stream"}  # a reply that goes on until the client leaves


def described() -> dict[str, Any]:
    """The document."""
    return document(ROUTES, "http://localhost")


def test_the_document_is_openapi_3_1(emulator: Emulator) -> None:
    """It is valid by the schema that belongs to the specification, and it is served."""
    assert schemathesis.openapi.from_dict(described()).validate() is None
    served = httpx.get(f"{emulator.url}{PREFIX}/control/openapi.json").json()
    assert served == {**described(), "servers": [{"url": emulator.url}]}


def test_every_route_is_described_once() -> None:
    """Each with a sentence, under a name of its own."""
    operations = [each for item in described()["paths"].values() for each in item.values()]
    assert len(operations) == len(ROUTES) == len({each["operationId"] for each in operations})
    assert all(each["summary"].endswith(".") for each in operations)


def test_every_shape_has_the_version() -> None:
    """A program can tell which version of the control API it speaks to."""
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


def has_float(value: Any) -> bool:
    """Whether a body holds a number such as 5.0, an integer to JSON Schema and none to the decoder."""
    if isinstance(value, dict | list):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)


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
    """What the document allows is taken, what it forbids is refused, and nothing breaks.

    A few calls; `make contract` has many, with those that Schemathesis derives from the schema.
    """
    operation = schema[path][method]

    @hypothesis.settings(max_examples=10, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode))
    def judge(case: schemathesis.Case) -> None:
        case.call_and_validate(emulator.url, session, excluded_checks=unchecked(case), timeout=PATIENCE_SECONDS)

    judge()
