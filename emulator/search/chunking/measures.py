"""Measure a text in characters, UTF-8 bytes or tokens, and find the offsets at which it may be cut."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import chain
from typing import Protocol


class Ruler(Protocol):
    """Offsets are in characters, sizes in the unit of the ruler. Every offset given or returned is a possible cut."""

    def after(self, offset: int, size: int) -> int:
        """Return the furthest cut at most `size` after `offset`; the next cut if none is that near."""

    def before(self, offset: int, size: int) -> int:
        """Return the furthest cut at most `size` before `offset`."""

    def is_cut(self, offset: int) -> bool:
        """Return whether the text may be cut here."""


class CharsRuler:
    """Code points: every offset is a cut."""

    def __init__(self, text: str) -> None:
        self._length = len(text)

    def after(self, offset: int, size: int) -> int:
        return min(offset + size, self._length)

    def before(self, offset: int, size: int) -> int:
        return max(offset - size, 0)

    def is_cut(self, offset: int) -> bool:
        return True


class BytesRuler:
    """Bytes of UTF-8, cut between code points only."""

    def __init__(self, text: str) -> None:
        self._text = text

    # A code point has at least one byte, so `size` code points have enough bytes; a partial one at the end is dropped.
    def after(self, offset: int, size: int) -> int:
        reach = self._text[offset : offset + size].encode()[:size]
        return offset + max(len(reach.decode(errors="ignore")), 1)

    def before(self, offset: int, size: int) -> int:
        reach = self._text[max(offset - size, 0) : offset].encode()[-size:]
        return offset - len(reach.decode(errors="ignore"))

    def is_cut(self, offset: int) -> bool:
        return True


class TokensRuler:
    """Tokens, by the offsets at which they start; several that share a code point are never parted."""

    def __init__(self, starts: Sequence[int], length: int) -> None:
        self._cuts, self._counts = array("Q", [0]), array("Q", [0])
        for count, start in enumerate(chain(starts, (length,))):
            if start > self._cuts[-1]:
                self._cuts.append(start)
                self._counts.append(count)
        if list(starts[:1]) != [0] or self._cuts[-1] != length:
            raise ValueError("the tokens do not cover the text: the first starts at 0, the others after it and inside")

    def after(self, offset: int, size: int) -> int:
        here = bisect_left(self._cuts, offset)
        last = bisect_right(self._counts, self._counts[here] + size) - 1
        return self._cuts[min(max(last, here + 1), len(self._cuts) - 1)]

    def before(self, offset: int, size: int) -> int:
        here = bisect_left(self._cuts, offset)
        return self._cuts[bisect_left(self._counts, self._counts[here] - size)]

    def is_cut(self, offset: int) -> bool:
        return self._cuts[bisect_left(self._cuts, offset)] == offset

    def size(self, start: int, end: int) -> int:
        """Return the number of tokens between two offsets."""
        return self._counts[bisect_left(self._cuts, end)] - self._counts[bisect_left(self._cuts, start)]
