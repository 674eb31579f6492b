"""What a difference is, and how much it weighs."""

from __future__ import annotations

import re
from typing import Any

import msgspec

# What differs, by weight, and the class of it, which --fail-on names.
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
    """One thing that is not the same there, at the service, and here. `path` is as in `$.data[0].id`."""

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
        """The path without the numbers of items."""
        return _INDEX.sub("[*]", self.path)

    @property
    def weight(self) -> int:
        """The lower, the graver."""
        return list(CLASSES).index(self.what)


class Noise(msgspec.Struct, frozen=True):
    """A place at which the answers of the service differ from one recording of a script to the next."""

    operation: str
    what: str
    place: str


def masked(text: str) -> str:
    """A text without what is different every time: ids, the ends of keys, hashes and long numbers."""
    return _VARYING.sub("#", text)
