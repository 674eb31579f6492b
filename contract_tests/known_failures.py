"""The list of cases that are known to fail: they still run, and one that passes makes the run fail."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pytest

from .case import Case

DEFAULT = Path(__file__).with_name("known_failing.toml")


@dataclass(frozen=True)
class KnownFailures:
    """Reasons by case and client; the client `*` stands for all."""

    reasons: dict[tuple[str, str], str]

    @classmethod
    def read(cls, file: str | None) -> KnownFailures:
        """The list in a file. Raises ValueError and OSError."""
        listed = tomllib.loads((DEFAULT if file is None else Path(file)).read_text("utf-8"))
        entries = listed.pop("case", [])
        if listed or not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
            raise ValueError("it is made of [[case]] entries with an id and a reason, and nothing else")
        try:
            reasons = {(entry["id"], entry.get("client", "*")): entry["reason"] for entry in entries}
        except KeyError as missing:
            raise ValueError(f"an entry has no {missing}") from None
        return cls(reasons)

    def mark(self, case: Case, client: str) -> pytest.MarkDecorator | None:
        """The mark of a case that is on the list."""
        reason = self.reasons.get((case.id, client)) or self.reasons.get((case.id, "*"))
        return None if reason is None else pytest.mark.xfail(reason=reason, strict=True)

    def unknown(self, cases: Iterable[Case]) -> set[str]:
        """The ids on the list that no case has."""
        return {id for id, _ in self.reasons} - {case.id for case in cases}
