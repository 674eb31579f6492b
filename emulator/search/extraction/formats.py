"""The content types that can be read, and the method for each: the table of `extract`.

The list is that of the guides (Files and Collections: Supported MIME Types), with other common types.
"""

from __future__ import annotations

import enum

import msgspec

KIB = 1024


class ExtractionMethod(enum.StrEnum):
    """The methods to extract the text of a file."""

    TEXT = "text"
    HTML = "html"
    NOTEBOOK = "notebook"
    PDF = "pdf"
    DOCX = "docx"
    XLSX = "xlsx"
    PPTX = "pptx"
    EPUB = "epub"
    RTF = "rtf"
    ODT = "odt"


class ExtractionMethodRow(msgspec.Struct, frozen=True):
    """One method: the name of such files for users, and up to which size they are read in this process.

    Text is only decoded. If a malicious file can keep the parser of a format busy, the file is parsed in a separate
    process, which costs a tenth of a second. JSON of ordinary size does not need it, nor does an HTML page that the
    parser of the standard library (quadratic for unclosed markup) finishes in half a second at worst.
    """

    label: str
    in_process_bytes_max: int | None = 0


EXTRACTION_METHODS: dict[ExtractionMethod, ExtractionMethodRow] = {
    ExtractionMethod.TEXT: ExtractionMethodRow("text", None),
    ExtractionMethod.HTML: ExtractionMethodRow("HTML", 4 * KIB),
    ExtractionMethod.NOTEBOOK: ExtractionMethodRow("a Jupyter notebook", 1024 * KIB),
    ExtractionMethod.PDF: ExtractionMethodRow("PDF"),
    ExtractionMethod.DOCX: ExtractionMethodRow("a Word document"),
    ExtractionMethod.XLSX: ExtractionMethodRow("an Excel workbook"),
    ExtractionMethod.PPTX: ExtractionMethodRow("a PowerPoint presentation"),
    ExtractionMethod.EPUB: ExtractionMethodRow("an EPUB book"),
    ExtractionMethod.RTF: ExtractionMethodRow("rich text"),
    ExtractionMethod.ODT: ExtractionMethodRow("an OpenDocument text"),
}

_TEXT = """
    application/csv application/dart application/ecmascript application/javascript application/json application/jsonl
    application/ms-java application/sql application/toml application/typescript application/vnd.curl
    application/vnd.dart application/x-csh application/x-latex application/x-ndjson application/x-php
    application/x-powershell application/x-sh application/x-shellscript application/x-tex application/x-yaml
    application/x-zsh application/xml application/yaml message/rfc822
"""  # and text/*, see `row`
_OOXML = "application/vnd.openxmlformats-officedocument"
_EXTRACTED = {
    ExtractionMethod.TEXT: _TEXT,
    ExtractionMethod.HTML: "text/html application/xhtml application/xhtml+xml",
    ExtractionMethod.NOTEBOOK: "application/vnd.jupyter application/x-ipynb+json",
    ExtractionMethod.PDF: "application/pdf application/x-pdf application/vnd.adobe.pdf",
    ExtractionMethod.DOCX: f"{_OOXML}.wordprocessingml.document {_OOXML}.wordprocessingml.template",
    ExtractionMethod.XLSX: f"{_OOXML}.spreadsheetml.sheet {_OOXML}.spreadsheetml.template",
    ExtractionMethod.PPTX: f"{_OOXML}.presentationml.presentation {_OOXML}.presentationml.slideshow "
    f"{_OOXML}.presentationml.template {_OOXML}.presentationml.slide",
    ExtractionMethod.EPUB: "application/epub application/epub+zip application/x-epub+zip",
    ExtractionMethod.RTF: "application/rtf text/rtf",
    ExtractionMethod.ODT: "application/vnd.oasis.opendocument.text application/vnd.oasis.opendocument.text-template",
}
_REFUSED = {
    "application/msword": "is a Word 97-2003 document; save it as .docx",
    "application/vnd.ms-excel": "is an Excel 97-2003 workbook; save it as .xlsx or .csv",
    "application/vnd.ms-powerpoint": "is a PowerPoint 97-2003 presentation; save it as .pptx",
    "application/vnd.ms-outlook": "is an Outlook message; save it as .eml or .txt",
    "application/x-hwp": "is a Hangul document; save it as .docx or .pdf",
    "application/x-hwp-v5": "is a Hangul document; save it as .docx or .pdf",
    "application/zip": "is an archive; upload the files in it one by one",
    "application/gzip": "is an archive; upload the files in it one by one",
    "image": "is an image; the emulator does not recognize text in images",
    "audio": "is a recording; the emulator does not transcribe",
    "video": "is a recording; the emulator does not transcribe",
}


class Format(msgspec.Struct, frozen=True):
    """A content type: how its text is extracted, or why it is not. With neither, the bytes decide."""

    how: ExtractionMethod | None = None
    refusal: str | None = None


FORMATS: dict[str, Format] = {
    **{content_type: Format(how) for how, types in _EXTRACTED.items() for content_type in types.split()},
    **{content_type: Format(refusal=reason) for content_type, reason in _REFUSED.items()},
}


def row(content_type: str) -> Format:
    """Return the row of a content type; its parameters and the case of its letters are ignored."""
    essence = content_type.partition(";")[0].strip().lower()
    family = essence.partition("/")[0]
    if essence in FORMATS:
        return FORMATS[essence]
    if family == "text" or essence.endswith(("+json", "+xml")):
        return Format(ExtractionMethod.TEXT)
    return FORMATS.get(family, Format())
