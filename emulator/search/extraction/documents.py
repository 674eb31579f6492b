"""Extract text from files that need a parser, with one function for each format. They run in a separate process."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

from emulator.search.extraction.archives import Archive, docx, epub, odt, pptx
from emulator.search.extraction.formats import ExtractionMethod
from emulator.search.extraction.libraries import library
from emulator.search.extraction.result import Bounds, Extracted, ExtractionError, paged, unpaged
from emulator.search.extraction.text import decode, html_text, notebook_text


def _pdf(data: bytes, bounds: Bounds) -> Extracted:
    reader = library("pypdf").PdfReader(io.BytesIO(data))
    if reader.is_encrypted and not reader.decrypt(""):
        raise ExtractionError("The PDF is protected by a password.")
    extracted = paged((page.extract_text() for page in reader.pages), bounds)
    if not extracted.text.strip():
        raise ExtractionError("The PDF has no text, at most images; the emulator has no OCR.")
    return extracted


def _xlsx(data: bytes, bounds: Bounds) -> Extracted:
    openpyxl = library("openpyxl")
    Archive(data, bounds)  # refuses an archive that would unpack to too much
    workbook = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True)
    return unpaged((piece for sheet in workbook.worksheets for piece in (sheet.title, "\n".join(_rows(sheet)))), bounds)


def _rows(sheet: Any) -> Iterator[str]:
    sheet.reset_dimensions()  # a sheet may declare a million rows and have three
    for row in sheet.iter_rows(values_only=True):
        line = "\t".join("" if value is None else " ".join(str(value).split()) for value in row).rstrip()
        if line:
            yield line


def _rtf(data: bytes, bounds: Bounds) -> Extracted:
    if not data.startswith(b"{\\rtf"):
        raise ExtractionError("The file is not rich text: it does not begin with {\\rtf.")
    text = library("striprtf.striprtf").rtf_to_text(data.decode("latin-1"), errors="replace")
    return unpaged([text], bounds)


def _markup(read: Callable[[str], str]) -> Callable[[bytes, Bounds], Extracted]:
    return lambda data, bounds: unpaged([read(decode(data))], bounds)


READERS: dict[ExtractionMethod, Callable[[bytes, Bounds], Extracted]] = {
    ExtractionMethod.HTML: _markup(html_text),
    ExtractionMethod.NOTEBOOK: _markup(notebook_text),
    ExtractionMethod.PDF: _pdf,
    ExtractionMethod.DOCX: docx,
    ExtractionMethod.XLSX: _xlsx,
    ExtractionMethod.PPTX: pptx,
    ExtractionMethod.EPUB: epub,
    ExtractionMethod.RTF: _rtf,
    ExtractionMethod.ODT: odt,
}
