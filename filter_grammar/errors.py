"""The one exception of this package: what is wrong, where, and what to write instead."""

from __future__ import annotations

import re

from filter_grammar.lexis import MISLEADING

WINDOW = 80  # characters of the filter that are shown


class FilterError(ValueError):
    """A filter that is not in the language, does not fit the fields it is checked against, or breaks a limit.

    `str()` shows the message, the filter with a caret under the spot, and the hint, in less than a kilobyte.
    """

    message: str  # one line, without the position
    position: int  # of the spot, in characters, from 0
    hint: str  # what to write instead
    limit: str | None  # the field of `Limits` that refuses the filter

    def __init__(self, message: str, *, text: str, position: int, hint: str, limit: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.position = position
        self.hint = hint
        self.limit = limit
        self._shown = _underlined(text, position)  # not the text itself, which may be long

    @property
    def column(self) -> int:
        """The position as people count: in characters, from 1."""
        return self.position + 1

    def __str__(self) -> str:
        spot = f"{self.message} (position {self.position}, column {self.column})"
        return f"{spot}\n{self._shown}\nhint: {self.hint}"


def quoted(text: str, longest: int = 30) -> str:
    """A piece of a filter as it may stand in a message: cut, visible, and in quotes that it does not hold."""
    piece = visible(text if len(text) <= longest else text[: longest - 3] + "...")
    return f"'{piece}'" if '"' in piece else f'"{piece}"'


def visible(text: str) -> str:
    """The text with one visible character for each that is not: blanks become a space, the rest a question mark."""
    return MISLEADING.sub("?", re.sub(r"[\t\r\n]", " ", text))


def _underlined(text: str, position: int) -> str:
    """The filter, cut to a window round the position, and the caret on the next line."""
    start = max(0, min(position - WINDOW // 2, len(text) - WINDOW))
    end = start + WINDOW
    before = "..." if start > 0 else ""
    after = "..." if end < len(text) else ""
    caret = " " * (len(before) + position - start) + "^"
    return f"  {before}{visible(text[start:end])}{after}\n  {caret}"
