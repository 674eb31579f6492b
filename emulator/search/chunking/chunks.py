"""Cuts a text into the chunks that are indexed, and writes down what of a document is indexed with each of them."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence

import msgspec

from emulator.domain.chunk_configurations import STRATEGIES, Boundaries, ChunkConfiguration, Unit
from emulator.search.chunking.boundaries import BOUNDARIES, Headers
from emulator.search.chunking.breaks import Breaks
from emulator.search.chunking.measures import BytesRuler, CharsRuler, Ruler, TokensRuler
from emulator.search.chunking.tokens import Tokenizer, approximate_token_offsets
from emulator.search.extraction.result import ExtractionError


class Chunk(msgspec.Struct, frozen=True):
    """A piece of a document: what stands between two character offsets, after the header of a cut table."""

    start: int
    end: int
    text: str


def split(
    text: str,
    configuration: ChunkConfiguration,
    tokenizer: Tokenizer = approximate_token_offsets,
    *,
    chunks_max: int | None = None,
) -> Iterator[Chunk]:
    """Generate the chunks of `text`, in order. Each is as large as is allowed and repeats the overlap from the last.

    - No chunk is larger than `max_size`, but for a single code point that is. No code point is ever split.
    - Text of no named kind ends at the last heading within the second half of that size, so that a section of Markdown
      about as large as a chunk is one (observed live with 500 characters, 2026-10); else at a paragraph, a line or a
      word within its last tenth.
    - Markdown and code end at the last of the strongest boundaries within the second half of that size: a heading or a
      top-level definition, else a blank line, else a line, else a word.
    - `table` keeps rows whole and repeats the header of a table that is cut, if that leaves half the size to the rows.
    - Together the chunks cover the text; `strip_whitespace` then trims them and drops those that were white space only.
    - Raises ExtractionError where there would be more than `chunks_max`, dropped ones included: they cost time as well.
    """
    if not text.strip():
        return
    if STRATEGIES[configuration.strategy].boundaries is Boundaries.ROWS:
        windows = _table_windows(text, configuration, _tokens(text, configuration, tokenizer))
    else:
        windows = _windows(text, configuration, _ruler(text, configuration, tokenizer))
    for count, window in enumerate(windows, 1):
        if chunks_max is not None and count > chunks_max:
            raise ExtractionError(
                f"The document has more than {chunks_max} chunks in this collection. "
                "Use larger chunks or a smaller overlap."
            )
        chunk = _chunk(text, *window, strip=configuration.strip_whitespace)
        if chunk.end > chunk.start:
            yield chunk


def compose(chunk_text: str, *, name: str | None = None, injected: Mapping[str, str] | None = None) -> str:
    """What is indexed for a chunk: the document's name, the values of its `inject_into_chunk` fields, then the chunk.

    Values without their keys (Collections guide: the field's value is prepended to every chunk).
    """
    lines = [line for line in (name, *(injected or {}).values()) if line]
    return "\n".join([*lines, "", chunk_text]) if lines else chunk_text


def _ruler(text: str, configuration: ChunkConfiguration, tokenizer: Tokenizer) -> Ruler:
    match STRATEGIES[configuration.strategy].unit:
        case Unit.CHARS:
            return CharsRuler(text)
        case Unit.BYTES:
            return BytesRuler(text)
        case Unit.TOKENS:
            return _tokens(text, configuration, tokenizer)


def _tokens(text: str, configuration: ChunkConfiguration, tokenizer: Tokenizer) -> TokensRuler:
    return TokensRuler(tokenizer(text, configuration.encoding_name or ""), len(text))


def _windows(text: str, configuration: ChunkConfiguration, ruler: Ruler) -> Iterator[tuple[int, int, str]]:
    size, overlap = configuration.max_size, configuration.overlap
    # Beyond the overlap, else the next chunk would not start after this one; beyond half, else chunks would be small.
    fill = max(size // 2, overlap)
    last_break = _last_break(text, configuration, ruler)
    start = 0
    while True:
        stop = ruler.after(start, size)
        if stop == len(text):
            yield start, stop, ""
            return
        stop = last_break(start, ruler.after(start, fill), stop)
        yield start, stop, ""
        start = ruler.before(stop, overlap)
        if ruler.after(start, size) <= stop:  # a wide code point comes next, and does not fit with the overlap
            start = stop


def _last_break(text: str, configuration: ChunkConfiguration, ruler: Ruler) -> Callable[[int, int, int], int]:
    """Return what finds the end of a chunk, from its start and the least and greatest offset of its end."""
    if STRATEGIES[configuration.strategy].boundaries is Boundaries.TEXT:
        return Breaks(text, ruler.is_cut).last
    boundaries = _boundaries(text, configuration, ruler)
    return lambda _start, low, high: _last_boundary(boundaries, low, high)


def _table_windows(text: str, configuration: ChunkConfiguration, ruler: TokensRuler) -> Iterator[tuple[int, int, str]]:
    headers, boundaries = Headers(text), _boundaries(text, configuration, ruler)
    start = 0
    while start < len(text):
        header = headers.above(start)
        header_size = ruler.size(header.start, header.stop)
        if header_size > configuration.max_size // 2:
            header, header_size = slice(0, 0), 0
        stop = ruler.after(start, configuration.max_size - header_size)
        if stop < len(text):
            stop = _last_boundary(boundaries, start, stop)
        yield start, stop, text[header]
        start = stop


def _boundaries(text: str, configuration: ChunkConfiguration, ruler: Ruler) -> list[Sequence[int]]:
    find = BOUNDARIES[STRATEGIES[configuration.strategy].boundaries]
    return [array("Q", filter(ruler.is_cut, offsets)) for offsets in find(text)]


def _last_boundary(boundaries: list[Sequence[int]], low: int, high: int) -> int:
    """The last of the strongest boundaries after `low` and up to `high`, or `high` when there is none."""
    for offsets in boundaries:
        last = bisect_right(offsets, high) - 1
        if last >= 0 and offsets[last] > low:
            return offsets[last]
    return high


def _chunk(text: str, start: int, stop: int, header: str, *, strip: bool) -> Chunk:
    piece = text[start:stop]
    if strip:
        start += len(piece) - len(piece.lstrip())
        piece = piece.strip()
        stop = start + len(piece)
    return Chunk(start, stop, header + piece)
