"""Measured figures and their goals; a figure is a ratio where the speed of the machine would show."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

ROUNDS = 5  # interleaved with the reference; the median counts


@dataclass(frozen=True)
class Figure:
    """One measured number and its goal; without a goal (None) it is printed for information."""

    job: str
    value: float
    unit: str
    goal: float | None = None
    better: Literal["higher", "lower"] = "lower"
    note: str = ""

    def met(self, slack: float = 1.0) -> bool:
        """Whether the goal is reached, give or take a factor."""
        if self.goal is None:
            return True
        return self.value >= self.goal / slack if self.better == "higher" else self.value <= self.goal * slack


@dataclass(frozen=True)
class Job:
    """One row of the plan: what is measured, how long that takes, and whether the quick run includes it."""

    name: str
    measure: Callable[[], Sequence[Figure]]
    quick: bool


def ratio(
    subject: Callable[[], float], reference: Callable[[], float], rounds: int = ROUNDS
) -> tuple[float, float, float]:
    """Median of subject/reference over interleaved rounds, and both medians; a first round is thrown away."""
    subject(), reference()
    pairs = [(subject(), reference()) for _ in range(rounds)]
    return (
        statistics.median(one / other for one, other in pairs),
        statistics.median(one for one, _ in pairs),
        statistics.median(other for _, other in pairs),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which a share of the values lies."""
    return sorted(values)[min(len(values) - 1, int(share * len(values)))]


def rows(figures: Sequence[Figure], slack: float) -> list[str]:
    """The figures as a Markdown table."""
    lines = ["| job | measured | goal | |", "|---|---|---|---|"]
    for figure in figures:
        sign = "≥" if figure.better == "higher" else "≤"
        goal = "" if figure.goal is None else f"{sign} {figure.goal:g} {figure.unit}"
        verdict = (
            ""
            if figure.goal is None
            else "met"
            if figure.met()
            else "met with slack"
            if figure.met(slack)
            else "missed"
        )
        note = f" ({figure.note})" if figure.note else ""
        lines.append(f"| {figure.job}{note} | {figure.value:.3g} {figure.unit} | {goal} | {verdict} |")
    return lines
