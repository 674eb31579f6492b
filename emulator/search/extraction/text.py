"""Extract text from text formats: plain text, HTML, and notebooks."""

from __future__ import annotations

import codecs
import json
import re
from html.parser import HTMLParser
from typing import Any

from emulator.search.extraction.result import ExtractionError

# The longer marks come first: that of UTF-32 begins with that of UTF-16.
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


def decode(data: bytes) -> str:
    """Decode a file: UTF-8, or the encoding of its byte order mark (Files guide: any UTF-8 encoded text file)."""
    mark, encoding = next((row for row in _BYTE_ORDER_MARKS if data.startswith(row[0])), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(encoding)
    except UnicodeDecodeError as error:
        position = f"byte {len(mark) + error.start}"
        raise ExtractionError(f"The file is not text in UTF-8 ({position} does not fit); save it as UTF-8.") from None
    if "\0" in text:
        raise ExtractionError(f"The file is not text: there is a NUL character at offset {text.index(chr(0))}.")
    return text


# HTML: elements that begin a new line, and those whose text is not displayed.
_BLOCK_TAGS = """
    address article aside blockquote body br caption dd details dialog div dl dt fieldset figcaption figure footer form
    h1 h2 h3 h4 h5 h6 header hr html legend li main nav ol option p pre section select summary table title tr ul
"""
_BLOCKS = frozenset(_BLOCK_TAGS.split())
_CELLS = frozenset({"td", "th"})
_UNREAD = frozenset({"script", "style", "template"})
# A marked section is a comment in HTML; the parser of the standard library raises at those that it does not know.
_MARKED_SECTION = re.compile(r"<!\[[^>]*+>?")
_SPACES = re.compile(r"[ \t\r\n\f]+")
_LINE_ENDS = re.compile(r"[ \t]*\n[ ]*")
_BLANK_LINES = re.compile(r"\n{3,}")


class _Page(HTMLParser):
    """Collects what a browser would show as text."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []
        self._unread = self._preformatted = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._unread += tag in _UNREAD
        self._preformatted += tag == "pre"
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._unread -= tag in _UNREAD and self._unread > 0
        self._preformatted -= tag == "pre" and self._preformatted > 0
        if tag in _BLOCKS:
            self.pieces.append("\n")
        elif tag in _CELLS:
            self.pieces.append("\t")

    def handle_data(self, data: str) -> None:
        if not self._unread:
            self.pieces.append(data if self._preformatted else _SPACES.sub(" ", data))


def html_text(markup: str) -> str:
    """Return the displayed text of an HTML page: one line for each block, a blank one between paragraphs."""
    page = _Page()
    page.feed(_MARKED_SECTION.sub("", markup))
    page.close()
    lines = _LINE_ENDS.sub("\n", "".join(page.pieces))
    return _BLANK_LINES.sub("\n\n", lines).strip()


def notebook_text(source: str) -> str:
    """Return the cells of a Jupyter notebook and their text output, without images and metadata."""
    try:
        cells = json.loads(source)["cells"]
        pieces = [piece for cell in cells for piece in (cell["source"], *map(_output, cell.get("outputs", [])))]
        return "\n\n".join(text for piece in pieces if (text := _lines(piece).strip("\n")))
    except (ValueError, TypeError, KeyError, AttributeError):
        raise ExtractionError("The file is not a Jupyter notebook of version 4: it has no list of cells.") from None
    except RecursionError:
        raise ExtractionError("The file is nested too deeply.") from None


def _output(output: dict[str, Any]) -> Any:
    return output.get("text") or output.get("data", {}).get("text/plain", "")


def _lines(piece: Any) -> str:
    """Return text that a notebook stores as a string or as a list of lines."""
    return piece if isinstance(piece, str) else "".join(piece)
