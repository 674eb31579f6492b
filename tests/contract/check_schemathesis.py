"""Schemathesis against /_emulator/openapi.json: many single calls, and walks that hand ids from one call to the next.

Part of `make contract`. `make test` has a short run (tests/test_openapi.py), whose settings and reasons are used here.
EXAMPLES in the environment makes it shorter or longer.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import hypothesis
import pytest
import schemathesis
import schemathesis.specs.openapi.checks as checks

from emulator import Emulator
from emulator.domain.keys import Plane
from tests.test_openapi import NEVER_CHECKED, NOT_CHECKED_ON_THE_MANAGEMENT_PLANE, UNDECIDED, described, has_float

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES, stateful_step_count=10, suppress_health_check=list(hypothesis.HealthCheck)
)
# On a walk ids are real: then it is the state of a thing that decides, everywhere (a batch may be cancelled, a document
# be there already), and an id may take the place of the very value that made a call wrong.
NOT_CHECKED_ON_WALKS = [checks.positive_data_acceptance, checks.negative_data_rejection]


# Which call answers the ids that others take, and where in its answer.
CREATORS = {
    "file_id": ("/v1/files", "$response.body#/id"),
    "collection_id": ("/v1/collections", "$response.body#/collection_id"),
    "batch_id": ("/v1/batches", "$response.body#/batch_id"),
}


def linked() -> dict[str, Any]:
    """The document, with an OpenAPI link from each call that makes something to each that takes its id."""
    document = described()
    for parameter, (path, where) in CREATORS.items():
        links = document["paths"][path]["post"]["responses"]["200"].setdefault("links", {})
        for operation in (each for item in document["paths"].values() for each in item.values()):
            names = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
            if parameter in names:
                links[operation["operationId"]] = {
                    "operationId": operation["operationId"],
                    "parameters": {f"path.{parameter}": where},
                }
    return document


def is_on_management(case: schemathesis.Case) -> bool:
    """Whether a call is one of the management plane."""
    return {Plane.MANAGEMENT.value: []} in case.operation.definition.raw.get("security", [])


def is_wrong_where_nobody_looks(case: schemathesis.Case) -> bool:
    """Whether what is wrong is an unknown query parameter, which is ignored, a header, which is ours, or is not sent.

    An empty list or object has no text: in a form it is no part, in a query an empty value, which is none for a number.
    """
    sent = list((case.query or {}).values())
    if case.media_type == "multipart/form-data" and isinstance(case.body, dict):
        sent += case.body.values()
    known = {each["name"] for each in case.operation.definition.raw["parameters"] if each["in"] == "query"}
    wrong = (
        {place.value for place, part in case.meta.components.items() if part.mode.is_negative} if case.meta else set()
    )
    return not all(sent) or bool(set(case.query or {}) - known) or wrong <= {"header", "cookie"}


def unchecked(case: schemathesis.Case) -> list[Any]:
    """The checks that do not hold for a call, with the reasons in tests/test_openapi.py."""
    if is_on_management(case):
        return [*NEVER_CHECKED, *NOT_CHECKED_ON_THE_MANAGEMENT_PLANE]
    left_out = list(NEVER_CHECKED)
    if case.operation.definition.raw["operationId"] in UNDECIDED or has_float(case.body):
        left_out.append(checks.positive_data_acceptance)
    if is_wrong_where_nobody_looks(case):
        left_out.append(checks.negative_data_rejection)
    return left_out


def key(emulator: Emulator, case: schemathesis.Case) -> dict[str, str]:
    """The header with the key that fits a call."""
    secret = emulator.management_key if is_on_management(case) else emulator.api_key
    return {"authorization": f"Bearer {secret}"}


@schemathesis.openapi.from_dict(described()).parametrize()
@SETTINGS
def test_single_calls(case: schemathesis.Case, emulator: Emulator) -> None:
    """What the document allows is taken, what it forbids is refused, and nothing breaks."""
    case.call_and_validate(base_url=emulator.url, headers=key(emulator, case), excluded_checks=unchecked(case))


@pytest.mark.parametrize(
    ("paths", "reached"),
    [
        ("^/v1/files", {"files.get", "files.delete"}),
        ("^/v1/collections", {"collections.get", "documents.list"}),
        ("^/v1/batches", {"batches.get", "batches.list_results"}),
    ],
)
def test_walks(paths: str, reached: set[str]) -> None:
    """Calls that follow each other, with the ids that earlier ones answered, break nothing and answer as described."""
    with Emulator(random_seed="walks", batches="manual") as emulator:
        answered = walk(emulator, paths)
    # so ids were handed on; a short run may not get that far
    assert reached <= answered or EXAMPLES < 50


def walk(emulator: Emulator, paths: str) -> set[str]:
    """Walk; the operations that were answered with success. Every walk starts in the same state at the same time."""
    schema = schemathesis.openapi.from_dict(linked()).include(path_regex=paths)
    schema.config.base_url = emulator.url
    schema.config.phases.stateful.inference.algorithms = []  # the links say it all
    answered: set[str] = set()

    class Walk(schema.as_state_machine()):  # type: ignore[misc]
        def setup(self) -> None:
            emulator.reset()
            httpx.post(f"{emulator.url}/_emulator/clock/freeze", json={"at": "2026-01-01T00:00:00Z"}).raise_for_status()
            super().setup()

        def get_call_kwargs(self, case: schemathesis.Case) -> dict[str, Any]:
            return {"headers": key(emulator, case)}

        def validate_response(self, response: Any, case: schemathesis.Case, *rest: Any, **more: Any) -> None:
            if response.status_code == 200:
                answered.add(case.operation.definition.raw["operationId"])
            case.validate_response(response, excluded_checks=[*unchecked(case), *NOT_CHECKED_ON_WALKS])

    Walk.run(settings=SETTINGS)
    return answered
