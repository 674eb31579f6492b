"""Differences, and their severity."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# Kinds of differences, by severity, and the class of each, which --fail-on names.
CLASSES: dict[str, str] = {
    "status": "status",
    "extra there": "shape",
    "missing there": "shape",
    "kind": "shape",
    "order": "shape",
    "items": "shape",
    "format": "format",
    "words": "words",
    "value": "value",
    "identity": "value",
    "header": "headers",
    "note": "notes",
}
FAIL_ON = ("status", "shape", "format", "words", "value")
MARKS = {"extra there": "+", "missing there": "-", "status": "!", "words": '"'}
_INDEX = re.compile(r"\[\d+\]")
_VARYING = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|(?<!\w)\w{2}\*{3}\w{2}(?!\w)|[0-9a-f]{8,}|\d{2,}"
)


class Difference(msgspec.Struct, frozen=True):
    """One difference between the recording ("there") and the emulator ("here"). `path` is like `$.data[0].id`."""

    what: str
    path: str
    there: Any = None
    here: Any = None

    @property
    def kind(self) -> str:
        """The class: status, shape, format, words, value, headers or notes."""
        return CLASSES[self.what]

    @property
    def place(self) -> str:
        """Return the path without item numbers."""
        return _INDEX.sub("[*]", self.path)

    @property
    def weight(self) -> int:
        """Return the rank by severity: lower is more severe."""
        return list(CLASSES).index(self.what)


class Noise(msgspec.Struct, frozen=True):
    """A place at which the service's responses vary between recordings of the same script."""

    operation: str
    what: str
    place: str


def masked(text: str) -> str:
    """Return a text with varying parts masked: ids, the ends of keys, hashes and long numbers."""
    return _VARYING.sub("#", text)
