"""State machines as tables: for each state, its possible next states."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import TypeVar

S = TypeVar("S", bound=enum.Enum)


def step(table: Mapping[S, frozenset[S]], present: S, target: S) -> S:
    """Return `target`. Raises for an illegal transition, which is a defect of the caller and never a refusal."""
    if target not in table[present]:
        raise AssertionError(f"{type(present).__name__} cannot step from {present.name} to {target.name}")
    return target
