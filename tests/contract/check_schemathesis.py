"""Schemathesis against /_emulator/openapi.json: many single calls, and walks that hand ids from one call to the next.

Part of `make contract`. `make test` has a short run (tests/test_openapi.py), which leaves out the same checks.
EXAMPLES in the environment makes it shorter or longer.
"""

from __future__ import annotations

import os
from typing import Any

import httpx
import hypothesis
import pytest
import requests
import schemathesis

from emulator import Emulator
from tests.control import test_openapi as control
from tests.serving import PATIENCE_SECONDS
from tests.test_openapi import described

from .unchecked import NOT_CHECKED_ON_WALKS, attacked, key, unchecked

EXAMPLES = int(os.environ.get("EXAMPLES", "100"))
SETTINGS = hypothesis.settings(
    max_examples=EXAMPLES, stateful_step_count=10, suppress_health_check=list(hypothesis.HealthCheck)
)


@attacked(described()).parametrize()
@SETTINGS
def test_generated_single_calls_pass_all_checks(
    case: schemathesis.Case, emulator: Emulator, session: requests.Session
) -> None:
    """What the document allows is taken, what it forbids is refused, and nothing breaks."""
    case.call_and_validate(
        emulator.url,
        session,
        headers=key(emulator, case),
        excluded_checks=unchecked(case),
        timeout=PATIENCE_SECONDS,
    )


@control.attacked().parametrize()
@SETTINGS
def test_generated_control_calls_pass_all_checks(
    case: schemathesis.Case, emulator: Emulator, session: requests.Session
) -> None:
    """The same for the document of the control API."""
    case.call_and_validate(emulator.url, session, excluded_checks=control.unchecked(case), timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(
    ("paths", "reached"),
    [
        ("^/v1/files", {"files.get", "files.update", "files.delete"}),
        ("^/v1/collections", {"collections.get", "documents.list"}),
        ("^/v1/batches", {"batches.get", "batches.cancel", "batches.list_results"}),
    ],
)
def test_generated_call_sequences_pass_all_checks(paths: str, reached: set[str]) -> None:
    """Calls that follow each other, with the ids that earlier ones answered, break nothing and answer as described."""
    with Emulator(random_seed="walks", batches="manual") as emulator:
        answered = walk(emulator, paths)
    # so ids were handed on; a short run may not get that far
    assert reached <= answered or EXAMPLES < 50


def walk(emulator: Emulator, paths: str) -> set[str]:
    """Walk; the operations that were answered with success. Every walk starts in the same state at the same time."""
    schema = schemathesis.openapi.from_dict(described()).include(path_regex=paths)
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
