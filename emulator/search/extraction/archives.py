"""Extract text from ZIP archives of XML: Word, PowerPoint, OpenDocument and EPUB.

One table per dialect defines the meaning of tags for the text. The usual libraries build a tree of the whole document
first, and omit everything but plain paragraphs: text boxes, footnotes, content controls.
"""

from __future__ import annotations

import io
import posixpath
import zipfile
from collections.abc import Iterator, Mapping
from urllib.parse import unquote

import msgspec

from emulator.search.extraction.libraries import library
from emulator.search.extraction.result import Bounds, Extracted, ExtractionError, paged, unpaged
from emulator.search.extraction.text import decode, html_text

_BLOCK_BYTES = 1 << 16


class Dialect(msgspec.Struct, frozen=True):
    """The meaning of the tags of a markup, by local name."""

    text: frozenset[str]  # only what is inside these is text
    before: Mapping[str, str] = msgspec.field(default_factory=dict)
    after: Mapping[str, str] = msgspec.field(default_factory=dict)
    cells: frozenset[str] = frozenset()  # line ends inside become spaces
    skipped: frozenset[str] = frozenset()


# WordprocessingML and the DrawingML inside slides (ECMA-376 part 1). Properties name tab stops with the tag of a tab;
# `Fallback` repeats a text box for old readers; `moveFrom` is where moved text was; `fld` is a slide's number or date.
OFFICE = Dialect(
    text=frozenset({"t"}),
    before={"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"},
    after={"p": "\n", "tc": "\t", "tr": "\n"},
    cells=frozenset({"tc"}),
    skipped=frozenset({"pPr", "rPr", "sectPr", "Fallback", "moveFrom", "fld"}),
)
# OpenDocument 1.3 part 3. The element for several spaces becomes one space: their number is layout.
OPEN_DOCUMENT = Dialect(
    text=frozenset({"p", "h"}),
    before={"tab": "\t", "line-break": "\n", "s": " "},
    after={"p": "\n", "h": "\n", "table-cell": "\t", "table-row": "\n"},
    cells=frozenset({"table-cell"}),
    skipped=frozenset({"tracked-changes", "annotation", "forms"}),
)


class Archive:
    """The members of a ZIP archive with a document, as far as the bounds allow."""

    def __init__(self, data: bytes, bounds: Bounds) -> None:
        self.bounds = bounds
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except zipfile.BadZipFile:
            raise ExtractionError("The file is damaged: it is not the ZIP archive that such files are.") from None
        # A member never yields more than its listed size.
        if sum(member.file_size for member in self._zip.infolist()) > bounds.unpacked_bytes_max:
            raise ExtractionError(f"The file unpacks to more than {bounds.unpacked_bytes_max} bytes.")

    def __contains__(self, name: str) -> bool:
        return name in self._zip.NameToInfo

    def read(self, name: str) -> bytes:
        """Return a whole member."""
        if name not in self:
            raise ExtractionError(f"The file is damaged: it has no {name}.")
        return self._zip.read(name)

    def elements(self, name: str, tag: str) -> Iterator[Mapping[str, str]]:
        """Yield the attributes of every `tag` in a member, by local name."""
        for element in library("defusedxml.ElementTree").fromstring(self.read(name)).iter():
            if _local(element.tag) == tag:
                yield {_local(key): value for key, value in element.attrib.items()}

    def text(self, name: str, dialect: Dialect) -> str:
        """Return the text of a member, read block by block, because it may be far larger than its archive."""
        writer = _Writer(dialect)
        parser = library("defusedxml.ElementTree").DefusedXMLParser(target=writer)
        if name not in self:
            raise ExtractionError(f"The file is damaged: it has no {name}.")
        with self._zip.open(name) as member:
            while block := member.read(_BLOCK_BYTES):
                parser.feed(block)
        parser.close()
        return "".join(writer.pieces)

    def targets(self, part: str, kind: str) -> dict[str, str]:
        """Return the members that a part refers to as `kind`, by relationship id (ECMA-376 part 2)."""
        folder, name = posixpath.split(part)
        relationships = posixpath.join(folder, "_rels", f"{name}.rels")
        if relationships not in self:
            return {}
        return {
            each["Id"]: posixpath.normpath(posixpath.join("/", folder, each["Target"])).lstrip("/")
            for each in self.elements(relationships, "Relationship")
            if each["Type"].rpartition("/")[2] == kind
        }


def _local(tag: str) -> str:
    return tag.rpartition("}")[2]


class _Writer:
    """The target of an XML parser that collects the text of a dialect."""

    def __init__(self, dialect: Dialect) -> None:
        self.pieces: list[str] = []
        self._dialect = dialect
        self._text = self._cells = self._skipped = 0

    def start(self, tag: str, attributes: Mapping[str, str]) -> None:
        name = _local(tag)
        self._text += name in self._dialect.text
        self._cells += name in self._dialect.cells
        self._skipped += name in self._dialect.skipped
        self._write(self._dialect.before.get(name, ""))

    def end(self, tag: str) -> None:
        name = _local(tag)
        self._text -= name in self._dialect.text
        self._cells -= name in self._dialect.cells
        self._write(self._dialect.after.get(name, ""))
        self._skipped -= name in self._dialect.skipped

    def data(self, data: str) -> None:
        if self._text:
            self._write(data)

    def close(self) -> None:
        """Required by the parser; the result is in `pieces`."""

    def _write(self, piece: str) -> None:
        if piece and not self._skipped:
            self.pieces.append(piece.replace("\n", " ") if self._cells else piece)


def _main_part(archive: Archive) -> str:
    parts = archive.targets("", "officeDocument")
    if not parts:
        raise ExtractionError("The file is damaged: its relationships name no document.")
    return next(iter(parts.values()))


def docx(data: bytes, bounds: Bounds) -> Extracted:
    """The body of a Word document, then its footnotes and endnotes."""
    archive = Archive(data, bounds)
    document = _main_part(archive)
    notes = [part for kind in ("footnotes", "endnotes") for part in archive.targets(document, kind).values()]
    return unpaged((archive.text(part, OFFICE) for part in (document, *notes)), bounds)


def pptx(data: bytes, bounds: Bounds) -> Extracted:
    """The slides of a presentation in the order they are shown, each a page, with its speaker's notes."""
    archive = Archive(data, bounds)
    presentation = _main_part(archive)
    slides = archive.targets(presentation, "slide")
    shown = [slides[each["id"]] for each in archive.elements(presentation, "sldId") if each.get("id") in slides]
    return paged(("\n".join(_slide(archive, slide)) for slide in shown), bounds)


def _slide(archive: Archive, slide: str) -> Iterator[str]:
    yield archive.text(slide, OFFICE)
    for notes in archive.targets(slide, "notesSlide").values():
        yield archive.text(notes, OFFICE)


def odt(data: bytes, bounds: Bounds) -> Extracted:
    """The content of an OpenDocument text."""
    return unpaged([Archive(data, bounds).text("content.xml", OPEN_DOCUMENT)], bounds)


def epub(data: bytes, bounds: Bounds) -> Extracted:
    """The chapters of a book in reading order (EPUB 3.3: container, package, spine)."""
    archive = Archive(data, bounds)
    package = next((each["full-path"] for each in archive.elements("META-INF/container.xml", "rootfile")), "")
    items = {each["id"]: each["href"] for each in archive.elements(package, "item")}
    spine = [items[each["idref"]] for each in archive.elements(package, "itemref") if each["idref"] in items]
    folder = posixpath.dirname(package)
    chapters = (posixpath.normpath(posixpath.join(folder, unquote(href))) for href in spine)
    return unpaged((html_text(decode(archive.read(chapter))) for chapter in chapters), bounds)
