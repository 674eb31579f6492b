"""Extract text from uploads: select the method by content type and filename, and run it within bounds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from emulator.domain import content_types
from emulator.search.extraction.formats import EXTRACTION_METHODS, ExtractionMethod, Format, row
from emulator.search.extraction.process import extract_isolated
from emulator.search.extraction.readers import Processes
from emulator.search.extraction.result import (
    BOUNDS,
    NOT_SUPPORTED,
    Bounds,
    Extracted,
    ExtractionError,
    readable,
    within,
)
from emulator.search.extraction.text import decode, html_text, notebook_text

SMALL_BYTES_MAX = 1024 * 1024  # of a file that is read without a bound on how many are read at once

_IN_PROCESS: dict[ExtractionMethod, Callable[[str], str]] = {
    ExtractionMethod.TEXT: str,
    ExtractionMethod.HTML: html_text,
    ExtractionMethod.NOTEBOOK: notebook_text,
}


def extract(
    data: bytes | Path,
    content_type: str,
    filename: str,
    bounds: Bounds = BOUNDS,
    processes: Processes | None = None,
) -> Extracted:
    """Return the text of a file. Raises ExtractionError, whose message says why there is none.

    For an unknown content type, or one that cannot be read, the filename's extension decides (browsers on Windows send
    .csv files as Excel). If neither decides, a file that can be decoded as text is text.
    """
    how = choose(content_type, filename).how
    if how is None:
        return Extracted(_decode_unknown(data, content_type, filename, bounds))
    if not _is_isolated(how, _size(data)):
        return Extracted(within(readable(_IN_PROCESS[how](decode(_bytes(data)))), bounds))
    return extract_isolated(data, how, bounds, processes or Processes())


def is_large(size: int, content_type: str, filename: str) -> bool:
    """Return whether reading a file needs much memory: another process, or many times its size in this one."""
    how = choose(content_type, filename).how
    return size > SMALL_BYTES_MAX or (how is not None and _is_isolated(how, size))


def _is_isolated(how: ExtractionMethod, size: int) -> bool:
    if how not in _IN_PROCESS:  # of any size: an empty document must be refused as a document
        return True
    in_process_bytes_max = EXTRACTION_METHODS[how].in_process_bytes_max
    return in_process_bytes_max is not None and size > in_process_bytes_max


def choose(content_type: str, filename: str) -> Format:
    """Return the row for a file: that of its content type if it can be read, else that of its extension."""
    declared, named = row(content_type), row(content_types.of_filename(filename))
    if declared.how is None and named.how is not None:
        return named
    return declared if declared != Format() else named


def _decode_unknown(data: bytes | Path, content_type: str, filename: str, bounds: Bounds) -> str:
    refusal = choose(content_type, filename).refusal
    if refusal is not None:
        raise ExtractionError(f"The file {refusal}.")
    try:
        return within(decode(_bytes(data)), bounds)
    except ExtractionError:
        raise ExtractionError(NOT_SUPPORTED) from None


def _bytes(data: bytes | Path) -> bytes:
    return data.read_bytes() if isinstance(data, Path) else data


def _size(data: bytes | Path) -> int:
    return data.stat().st_size if isinstance(data, Path) else len(data)
