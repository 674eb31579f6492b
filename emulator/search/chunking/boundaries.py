"""Preferred boundaries of chunks of Markdown, source code and tables: offsets by strength, found in one pass.

An offset is the start of the line that begins the next chunk. The first list has the strongest boundaries.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence

from emulator.domain.chunk_configurations import Boundaries

_LINE = re.compile(r"[^\n]*\n|[^\n]+\Z")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_HEADING = re.compile(r" {0,3}#{1,6}(?:\s|\Z)")
_WORD = re.compile(r"\s+")
# A line that closes the block above it (`}`, `)`, `end`) belongs to that block.
_CLOSING = re.compile(r"[}\])]|end\b")
# RFC 4180: a quoted cell may hold line breaks. Possessive, so that no text makes the match go back.
_ROW = re.compile(r'(?!\Z)(?:(?<![^,;|\t\n])"[^"]*+(?:""[^"]*+)*+"|[^\n])*+(?:\n|\Z)')
_DELIMITERS = ("\t", "|", ",", ";")
_MARKDOWN_RULE = re.compile(r"[\s|:-]*-[\s|:-]*\Z")


def _lines(text: str) -> Iterable[tuple[int, str]]:
    return ((line.start(), line[0]) for line in _LINE.finditer(text))


def _words(text: str) -> Sequence[int]:
    return array("Q", (space.end() for space in _WORD.finditer(text)))


def _markdown(text: str) -> list[Sequence[int]]:
    headings, paragraphs, lines = array("Q"), array("Q"), array("Q")
    fence, after_blank = "", False
    for start, line in _lines(text):
        lines.append(start)
        mark = _FENCE.match(line)
        if not fence:
            if _HEADING.match(line):
                headings.append(start)
            if after_blank and line.strip():
                paragraphs.append(start)
        # CommonMark: a fence ends at a line with the same mark, at least as long; a `#` in between is no heading.
        if mark and not fence:
            fence = mark[1]
        elif mark and mark[1].startswith(fence):
            fence = ""
        after_blank = not line.strip()
    return [headings, paragraphs, lines, _words(text)]


def _code(text: str) -> list[Sequence[int]]:
    definitions, blocks, lines = array("Q"), array("Q"), array("Q")
    after_blank = False
    for start, line in _lines(text):
        lines.append(start)
        if after_blank and line.strip():
            blocks.append(start)
            if not line[0].isspace() and not _CLOSING.match(line):
                definitions.append(start)
        after_blank = not line.strip()
    return [definitions, blocks, lines, _words(text)]


def _rows(text: str) -> list[Sequence[int]]:
    return [array("Q", (row.start() for row in _ROW.finditer(text)))]


class Headers:
    """The header above each row. Blank lines separate tables; a block of prose has no header."""

    def __init__(self, text: str) -> None:
        # From each of these offsets on, the slice of the text that is the header.
        self._from = array("Q", [0])
        self._slices = [slice(0, 0)]
        first, rows = 0, 0
        for row in _ROW.finditer(text):
            start, end = row.span()
            rows = rows + 1 if row[0].strip() else 0
            if rows < 2:
                self._add(start, slice(0, 0))
                first = start
            elif rows == 2 and _has_columns(text[first:start], row[0]):
                # A Markdown table has a rule below its header, which belongs to it.
                ruled = bool(_MARKDOWN_RULE.match(row[0]))
                self._add(end if ruled else start, slice(first, end if ruled else start))

    def _add(self, offset: int, header: slice) -> None:
        self._from.append(offset)
        self._slices.append(header)

    def above(self, offset: int) -> slice:
        """Return the slice with the header of the row at `offset`; an empty slice for rows without one."""
        return self._slices[bisect_right(self._from, offset) - 1]


def _has_columns(first: str, second: str) -> bool:
    return any(delimiter in first and delimiter in second for delimiter in _DELIMITERS)


BOUNDARIES: dict[Boundaries, Callable[[str], list[Sequence[int]]]] = {
    Boundaries.MARKDOWN: _markdown,
    Boundaries.CODE: _code,
    Boundaries.ROWS: _rows,
}
