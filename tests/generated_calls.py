"""Generated calls of an operation of an OpenAPI document, judged by the document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import hypothesis
import requests
import schemathesis
from schemathesis import GenerationMode

from tests.serving import PATIENCE_SECONDS

# Valid calls, and as many invalid ones. `make contract` and `.ci/run` have many more, judged by the same checks, and
# those that Schemathesis derives from the schema (tests/contract/check_schemathesis.py).
EXAMPLES = 2

Case = schemathesis.Case


def check_generated_calls(
    operation: Any,
    url: str,
    session: requests.Session,
    *,
    excluded_checks: Callable[[Case], list[Any]],
    headers: Callable[[Case], dict[str, str]] = lambda case: {},
) -> None:
    """Send valid and invalid calls of an operation; fail where a response contradicts the document."""

    for mode in GenerationMode:

        @hypothesis.settings(max_examples=EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
        @hypothesis.given(operation.as_strategy(generation_mode=mode))
        def check(case: Case) -> None:
            case.call_and_validate(
                url,
                session,
                headers=headers(case),
                excluded_checks=excluded_checks(case),
                timeout=PATIENCE_SECONDS,
            )

        try:
            check()
        except hypothesis.errors.Unsatisfiable:
            if mode is GenerationMode.POSITIVE:
                raise
            # an operation without parameters has no invalid call


def has_float(value: Any) -> bool:
    """Return whether a body has a number such as 5.0: an integer for JSON Schema, but not for the decoder."""
    if isinstance(value, dict | list):
        return any(map(has_float, value.values() if isinstance(value, dict) else value))
    return isinstance(value, float)
