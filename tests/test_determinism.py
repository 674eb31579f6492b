"""What keeps `make test` alike on every machine: the same examples every time, and no check of how fast they come."""

from __future__ import annotations

import ast
from pathlib import Path

import hypothesis
import pytest

from tests.examples import ARE_FIXED

TESTS = sorted(Path(__file__).parent.rglob("*.py"))


@pytest.mark.skipif(not ARE_FIXED, reason="`make soak` tries new examples")
def test_hypothesis_tries_the_same_examples_every_time() -> None:
    settings = hypothesis.settings()
    assert (settings.derandomize, settings.database, settings.deadline) == (True, None, None)
    assert hypothesis.HealthCheck.too_slow in settings.suppress_health_check


def test_settings_of_a_test_leave_the_check_of_speed_suppressed() -> None:
    """A test that suppresses a health check of its own replaces the list of the profile."""
    found = 0
    for path in TESTS:
        source = path.read_text(encoding="utf-8")
        for node in ast.walk(ast.parse(source)) if "suppress_health_check" in source else ():
            if isinstance(node, ast.keyword) and node.arg == "suppress_health_check":
                found += 1
                suppressed = ast.unparse(node.value)
                assert "HealthCheck.too_slow" in suppressed or "list(" in suppressed or suppressed == "checks", path
    assert found > 10
