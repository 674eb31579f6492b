"""The result of an extraction: the text with its pages if they are known, or an error."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise

import msgspec

MIB = 1024**2


class Extracted(msgspec.Struct, frozen=True):
    """The text of a document. `pages` are the offsets in characters at which its pages start, if it has pages."""

    text: str
    pages: tuple[int, ...] | None = None

    def page_number(self, start: int, end: int) -> int | None:
        """Return the page with most of a slice, from 1, or 0 for a document of one page (OpenAPI)."""
        if not self.pages:
            return None
        if len(self.pages) == 1:
            return 0
        first = max(bisect_right(self.pages, start) - 1, 0)
        last = max(bisect_right(self.pages, end - 1), first + 1)
        edges = (*self.pages[first:last], end if last == len(self.pages) else self.pages[last])
        shares = [min(end, stop) - max(start, begin) for begin, stop in pairwise(edges)]
        return first + shares.index(max(shares)) + 1


class Bounds(msgspec.Struct, frozen=True):
    """The bounds of an extraction: a small file can unpack to any size, and keep a parser busy forever."""

    characters_max: int = 100 * MIB  # of a plain text of the largest accepted size
    unpacked_bytes_max: int = 512 * MIB
    memory_bytes_max: int = 1024 * MIB
    seconds_max: int = 30


BOUNDS = Bounds()


# Observed live, 2026-04, of Office files whose content type was lost; no other sentence is known.
NOT_SUPPORTED = "File format not supported. The file does not contain readable text."


class ExtractionError(ValueError):
    """A document has no text that can be indexed: `str()` is its error message."""


def readable(text: str) -> str:
    """Return a text without NUL, with surrogates paired or replaced, so that it can be stored and sent."""
    if text.isascii():
        return text.replace("\0", "")
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace").replace("\0", "")


def paged(pages: Iterable[str], bounds: Bounds) -> Extracted:
    """Return the text of all pages, separated by blank lines, and the start of each page."""
    starts: list[int] = []
    pieces: list[str] = []
    length = 0
    for page in map(readable, pages):
        starts.append(length)
        pieces.append(page.rstrip() + "\n\n")
        length += len(pieces[-1])
        if length > bounds.characters_max + 2:
            break
    return Extracted(within("".join(pieces)[:-2], bounds), tuple(starts))


def unpaged(pieces: Iterable[str], bounds: Bounds) -> Extracted:
    """Return the text of all pieces, separated by blank lines."""
    return Extracted(paged(pieces, bounds).text)


def within(text: str, bounds: Bounds) -> str:
    """Return the text. Raises ExtractionError if it is longer than any text file can be."""
    if len(text) > bounds.characters_max:
        raise ExtractionError(f"The file holds more than {bounds.characters_max} characters of text.")
    return text
