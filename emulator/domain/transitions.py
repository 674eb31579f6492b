"""State machines as tables: from each state, the states it may step to."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S", bound=enum.Enum)


def step(table: Mapping[S, frozenset[S]], present: S, target: S) -> S:
    """Step to `target`, or raise: an illegal step is a defect of the caller, never a refusal to a client."""
    if target not in table[present]:
        raise AssertionError(f"{type(present).__name__} cannot step from {present.name} to {target.name}")
    return target
