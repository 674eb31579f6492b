"""The cases that are data: HTTP requests, and the answers they must have (cases/*.toml)."""

from __future__ import annotations

import pytest

from . import steps
from .case import Case, read_cases
from .clients.http import Transport
from .target import Target


@pytest.mark.parametrize(
    "case", [pytest.param(case, id=case.id, marks=pytest.mark.case(case)) for case in read_cases()]
)
def test_case(case: Case, target: Target, transport: Transport) -> None:
    """The sentence of the case."""
    steps.run(case, target, transport)
