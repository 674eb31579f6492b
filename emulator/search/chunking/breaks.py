"""Where a chunk of text of any kind likes to end, for configurations that name no kind: headings, lines and words."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable

_MARK = re.compile(r"^ {0,3}(?:(#{1,6})(?!\S)|(`{3,}|~{3,}))", re.MULTILINE)
_NEAR = 10  # a line or a word ends a chunk within the last tenth of its size, so that chunks stay as large as allowed


class Breaks:
    """The breaks of one text, at the offsets where it may be cut."""

    def __init__(self, text: str, is_cut: Callable[[int], bool]) -> None:
        self._text, self._is_cut = text, is_cut
        self._headings = array("Q", filter(is_cut, _headings(text)))

    def last(self, start: int, low: int, high: int) -> int:
        """Return the last heading after `low`, else the last paragraph, line or word near `high`, else `high`.

        `start` is the begin of the chunk; all are offsets, and nothing after `high` is looked at.
        """
        heading = bisect_right(self._headings, high) - 1
        if heading >= 0 and self._headings[heading] > low:
            return self._headings[heading]
        near = max(low, high - (high - start) // _NEAR)
        for separator in ("\n\n", "\n", " "):
            found = self._text.rfind(separator, near, high)
            end = found + len(separator)
            if found >= 0 and self._is_cut(end):
                return end
            # The space before a word is a part of its token: both begin the next chunk.
            if found > near and self._is_cut(found):
                return found
        return high


def _headings(text: str) -> list[int]:
    """Where headings of Markdown start. A `#` in a fenced block is none (CommonMark)."""
    headings: list[int] = []
    if "#" not in text:
        return headings
    fence = ""
    for mark in _MARK.finditer(text):
        if mark[1] and not fence:
            headings.append(mark.start())
        elif mark[2] and not fence:
            fence = mark[2]
        elif mark[2] and mark[2].startswith(fence):
            fence = ""
    return headings
