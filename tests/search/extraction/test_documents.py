"""Text from files that need a parser, and files that are made to exhaust or crash one."""

from __future__ import annotations

import datetime
import importlib
import io
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import openpyxl
import pypdf
import pytest

from emulator.search.extraction import libraries
from emulator.search.extraction.extract import extract
from emulator.search.extraction.formats import ExtractionMethod
from emulator.search.extraction.process import answer, extract_isolated
from emulator.search.extraction.readers import Processes
from emulator.search.extraction.result import BOUNDS, Bounds, Extracted, ExtractionError

MIB = 1024**2


def read(data: bytes, how: ExtractionMethod, bounds: Bounds = BOUNDS) -> Extracted:
    """What the reader makes of a file, without the process around it."""
    reply = answer(data, how, bounds)
    if "error" in reply:
        raise ExtractionError(reply["error"])
    return Extracted(**reply)


def archive(members: Mapping[str, str | bytes]) -> bytes:
    """A ZIP archive."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as written:
        for name, content in members.items():
            written.writestr(name, content)
    return target.getvalue()


def pdf(*pages: str) -> bytes:
    """A PDF with a line of text on each page, written object by object."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>"]
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    objects.append(f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode())
    objects.append(b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>")
    for n, page in enumerate(pages):
        resources = "<< /Font << /F1 3 0 R >> >>"
        objects.append(f"<< /Type /Page /Parent 2 0 R /Resources {resources} /Contents {5 + 2 * n} 0 R >>".encode())
        content = f"BT /F1 12 Tf 72 720 Td ({page}) Tj ET".encode() if page else b""
        packed = zlib.compress(content)
        head = f"<< /Length {len(packed)} /Filter /FlateDecode >>\nstream\n".encode()
        objects.append(head + packed + b"\nendstream")
    body = b"%PDF-1.4\n"
    offsets = []
    for number, each in enumerate(objects, 1):
        offsets.append(len(body))
        body += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    table = b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    head = b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    return (
        body
        + head
        + table
        + b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF"
        % (
            len(objects) + 1,
            len(body),
        )
    )


RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
WORD = 'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"'
DRAWING = 'xmlns:a="http://schemas.openxmlformats.org/drawingml/2006/main"'


def relationships(**targets: str) -> str:
    """A relationships part: id and kind joined by `_`, and the target."""
    rows = "".join(
        f'<Relationship Id="{name.partition("_")[0]}" Type="{OFFICE}/{name.partition("_")[2]}" Target="{target}"/>'
        for name, target in targets.items()
    )
    return f'<?xml version="1.0"?><Relationships xmlns="{RELATIONSHIPS}">{rows}</Relationships>'


def docx(body: str, **more: str) -> bytes:
    """A Word document with this body."""
    return archive(
        {
            "_rels/.rels": relationships(r1_officeDocument="word/document2.xml"),
            "word/document2.xml": f'<?xml version="1.0"?><w:document {WORD}><w:body>{body}</w:body></w:document>',
            **more,
        }
    )


def run(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def pptx() -> bytes:
    """A presentation of two slides that are shown in the other order than they are numbered, the first with notes."""

    def slide(text: str) -> str:
        return (
            f"<p:sld xmlns:p='p' {DRAWING}><a:p><a:r><a:t>{text}</a:t></a:r><a:fld><a:t>7</a:t></a:fld></a:p></p:sld>"
        )

    shown = '<p:sldIdLst><p:sldId id="256" r:id="r2"/><p:sldId id="257" r:id="r1"/><p:sldId id="9"/></p:sldIdLst>'
    return archive(
        {
            "_rels/.rels": relationships(r1_officeDocument="/ppt/presentation.xml"),
            "ppt/presentation.xml": f"<p:presentation xmlns:p='p' xmlns:r='{OFFICE}'>{shown}</p:presentation>",
            "ppt/_rels/presentation.xml.rels": relationships(
                r1_slide="slides/slide1.xml", r2_slide="slides/slide2.xml"
            ),
            "ppt/slides/slide1.xml": slide("the end"),
            "ppt/slides/slide2.xml": slide("the beginning"),
            "ppt/slides/_rels/slide2.xml.rels": relationships(r1_notesSlide="../notesSlides/notesSlide1.xml"),
            "ppt/notesSlides/notesSlide1.xml": slide("say hello"),
        }
    )


def odt(body: str) -> bytes:
    """An OpenDocument text with this body."""
    spaces = "xmlns:office='o' xmlns:text='t' xmlns:table='b'"
    return archive({"content.xml": f"<office:document-content {spaces}>{body}</office:document-content>"})


def epub(spine: str = "<itemref idref='a'/><itemref idref='b'/>", chapter: str = "<p>End.</p>") -> bytes:
    """A book whose spine has another order than its manifest, with a space in a path."""
    items = "<item id='b' href='text/two%20.xhtml'/><item id='a' href='one.xhtml'/><item id='css' href='style.css'/>"
    return archive(
        {
            "META-INF/container.xml": "<container><rootfile full-path='OEBPS/book.opf'/></container>",
            "OEBPS/book.opf": f"<package><manifest>{items}</manifest><spine>{spine}</spine></package>",
            "OEBPS/one.xhtml": "<!DOCTYPE html><html><body><h1>Chapter&nbsp;one</h1><p>Begin.</p></body></html>",
            "OEBPS/text/two .xhtml": f"<html><body>{chapter}</body></html>",
            "OEBPS/style.css": "p {}",
        }
    )


def xlsx() -> bytes:
    """A workbook of two sheets."""
    workbook = openpyxl.Workbook()
    sheet = workbook.active
    sheet.title = "Prices"
    sheet.append(["name", "price", "since"])
    sheet.append(["two\nlines", 2.5, datetime.date(2026, 4, 10)])
    sheet.append([])
    sheet.append([None, True])
    workbook.create_sheet("Empty")
    target = io.BytesIO()
    workbook.save(target)
    return target.getvalue()


def test_pdf_pages_are_known() -> None:
    """Each page of a PDF has its text and the offset at which it starts."""
    extracted = read(pdf("First page", "", "Third page"), ExtractionMethod.PDF)
    assert extracted.pages is not None
    ends = (*extracted.pages[1:], len(extracted.text))
    pages = [extracted.text[start:end].strip() for start, end in zip(extracted.pages, ends, strict=True)]
    assert pages == ["First page", "", "Third page"]
    where = extracted.text.index("Third")
    assert extracted.page_number(where, where + 5) == 3


def test_pdf_without_text_is_extraction_error() -> None:
    """A PDF without text, such as a scan, fails with the reason."""
    with pytest.raises(ExtractionError, match="has no text"):
        read(pdf(""), ExtractionMethod.PDF)


def test_pdf_with_password_is_extraction_error() -> None:
    """An encrypted PDF that opens without a password is read; one that does not says so."""
    for password, protected in (("", False), ("secret", True)):
        writer = pypdf.PdfWriter(clone_from=io.BytesIO(pdf("Hidden")))
        writer.encrypt(user_password=password, owner_password="owner", algorithm="RC4-128")
        target = io.BytesIO()
        writer.write(target)
        if protected:
            with pytest.raises(ExtractionError, match="password"):
                read(target.getvalue(), ExtractionMethod.PDF)
        else:
            assert read(target.getvalue(), ExtractionMethod.PDF).text == "Hidden"


def test_docx_gives_paragraphs_tables_and_notes() -> None:
    """Tabs and breaks count, tab stops do not; deleted and moved text is gone; a text box is there once."""
    body = (
        f"<w:p><w:pPr><w:tabs><w:tab/></w:tabs></w:pPr>{run('One')}<w:r><w:tab/></w:r>{run('two')}<w:r><w:br/></w:r>"
        f"{run('three')}</w:p><w:sdt><w:sdtContent><w:p>{run('controlled')}</w:p></w:sdtContent></w:sdt>"
        "<w:p><w:del><w:r><w:delText>deleted</w:delText></w:r></w:del>"
        f"<w:moveFrom>{run('moved')}</w:moveFrom><w:ins>{run('inserted')}</w:ins></w:p>"
        f"<w:tbl><w:tr><w:tc><w:p>{run('a')}</w:p><w:p>{run('b')}</w:p></w:tc><w:tc><w:p>{run('c')}</w:p></w:tc></w:tr>"
        f"</w:tbl><w:p><w:Choice>{run('box')}</w:Choice><w:Fallback>{run('box')}</w:Fallback></w:p>"
    )
    notes = f"<w:footnotes {WORD}><w:footnote><w:p>{run('a note')}</w:p></w:footnote></w:footnotes>"
    rels = relationships(r5_footnotes="footnotes.xml", r6_styles="styles.xml")
    data = docx(body, **{"word/_rels/document2.xml.rels": rels, "word/footnotes.xml": notes})
    text = "One\ttwo\nthree\ncontrolled\ninserted\na b \tc \t\nbox\n\na note"
    assert read(data, ExtractionMethod.DOCX).text == text


def test_pptx_slides_are_pages_in_the_order_shown() -> None:
    """A slide is a page, its notes are on it, and slide numbers are left out."""
    extracted = read(pptx(), ExtractionMethod.PPTX)
    assert extracted.text.split() == ["the", "beginning", "say", "hello", "the", "end"]
    assert extracted.pages == (0, extracted.text.index("the end"))


def test_odt_gives_paragraphs_and_tables() -> None:
    """Headings, paragraphs, tabs and cells are text; what a tracked change deleted is not."""
    body = (
        "<office:text><text:tracked-changes><text:p>gone</text:p></text:tracked-changes><text:h>Title</text:h>\n"
        "<text:p>a<text:tab/>b<text:s text:c='3'/>c</text:p><table:table-row><table:table-cell><text:p>1</text:p>"
        "</table:table-cell><table:table-cell><text:p>2</text:p></table:table-cell></table:table-row></office:text>"
    )
    lines = [line.split() for line in read(odt(body), ExtractionMethod.ODT).text.splitlines()]
    assert lines == [["Title"], ["a", "b", "c"], ["1", "2"]]


def test_epub_chapters_come_in_reading_order() -> None:
    """The spine says what is read and in which order; the rest of a book is not text."""
    assert read(epub(), ExtractionMethod.EPUB).text == "Chapter\u00a0one\n\nBegin.\n\nEnd."


def test_xlsx_rows_are_lines() -> None:
    """Cells are parted by tabs, a cell never breaks its row, and every sheet begins with its name."""
    lines = read(xlsx(), ExtractionMethod.XLSX).text.split("\n")
    assert lines == [
        "Prices",
        "",
        "name\tprice\tsince",
        "two lines\t2.5\t2026-04-10 00:00:00",
        "\tTrue",
        "",
        "Empty",
        "",
        "",
    ]


def test_xlsx_with_huge_declared_dimensions_is_read() -> None:
    """A sheet that claims a million rows of sixteen thousand cells has the text that is in it."""
    source, target = zipfile.ZipFile(io.BytesIO(xlsx())), io.BytesIO()
    with zipfile.ZipFile(target, "w") as written:
        for name in source.namelist():
            written.writestr(name, source.read(name).replace(b'ref="A1:C4"', b'ref="A1:XFD1048576"'))
    assert b"XFD1048576" in zipfile.ZipFile(target).read("xl/worksheets/sheet1.xml")
    assert read(target.getvalue(), ExtractionMethod.XLSX).text.startswith("Prices\n\nname\tprice")


def test_rtf_gives_its_text() -> None:
    """Control words are no text; escaped characters are, above the BMP as well."""
    data = rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0 Arial;}}\b Bold\b0  caf\'e9 \u-10179?\u-8704?\par Next}"
    assert read(data, ExtractionMethod.RTF).text.strip() == "Bold caf\u00e9 \U0001f600\nNext"
    assert read(rb"{\rtf1\ansi\ansicpg1252 a\'81b}", ExtractionMethod.RTF).text == "a\ufffdb"
    with pytest.raises(ExtractionError, match="not rich text"):
        read(b"plain", ExtractionMethod.RTF)


FILES: dict[ExtractionMethod, Callable[[], bytes]] = {
    ExtractionMethod.PDF: lambda: pdf("Some words"),
    ExtractionMethod.DOCX: lambda: docx(f"<w:p>{run('Some words')}</w:p>"),
    ExtractionMethod.XLSX: xlsx,
    ExtractionMethod.PPTX: pptx,
    ExtractionMethod.EPUB: epub,
    ExtractionMethod.ODT: lambda: odt("<text:p>Some words</text:p>"),
    ExtractionMethod.RTF: lambda: rb"{\rtf1 Some words}",
    ExtractionMethod.HTML: lambda: b"<p>Some words</p>" * 5000,
}


@pytest.mark.parametrize("how", FILES)
def test_damaged_file_is_text_or_extraction_error(how: ExtractionMethod) -> None:
    """Half a file, or a file with a byte flipped, is an ExtractionError or some text, never another exception."""
    data = FILES[how]()
    middle = len(data) // 2
    flipped = data[:middle] + bytes([data[middle] ^ 0xFF]) + data[middle + 1 :]
    for damaged in (data[:middle], flipped, b"", b"PK\3\4"):
        reply = answer(damaged, how, BOUNDS)
        assert reply.keys() in ({"error"}, {"text", "pages"})
        assert str(reply.get("error", ".")).endswith(".")


@pytest.mark.parametrize(
    "how",
    [
        ExtractionMethod.PDF,
        ExtractionMethod.DOCX,
        ExtractionMethod.XLSX,
        ExtractionMethod.PPTX,
        ExtractionMethod.EPUB,
        ExtractionMethod.RTF,
        ExtractionMethod.ODT,
    ],
)
def test_empty_document_is_refused_in_words(
    how: ExtractionMethod, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty file that is called as a document goes to the reader of such documents, from memory and from disk."""

    def read_here(data: bytes | Path, method: ExtractionMethod, bounds: Bounds, processes: Processes) -> Extracted:
        assert method == how
        return read(data if isinstance(data, bytes) else data.read_bytes(), method, bounds)

    monkeypatch.setattr("emulator.search.extraction.extract.extract_isolated", read_here)
    path = tmp_path / "blob"
    path.write_bytes(b"")
    for data in (b"", path):
        with pytest.raises(ExtractionError, match=r"\.$"):
            extract(data, "", f"a.{how}")


@pytest.mark.parametrize(
    "how",
    [ExtractionMethod.DOCX, ExtractionMethod.PPTX, ExtractionMethod.ODT, ExtractionMethod.EPUB, ExtractionMethod.XLSX],
)
def test_archive_without_document_parts_is_extraction_error(how: ExtractionMethod) -> None:
    """A ZIP archive that is no document is refused."""
    with pytest.raises(ExtractionError, match=r"damaged|could not be read"):
        read(archive({"readme": "hello"}), how)


@pytest.mark.parametrize("how", [ExtractionMethod.DOCX, ExtractionMethod.PPTX])
def test_office_file_without_main_document_is_extraction_error(how: ExtractionMethod) -> None:
    """Relationships to other things than a document are not enough."""
    with pytest.raises(ExtractionError, match="name no document"):
        read(archive({"_rels/.rels": relationships(r1_thumbnail="a.png")}), how)


@pytest.mark.parametrize(
    "how",
    [ExtractionMethod.DOCX, ExtractionMethod.PPTX, ExtractionMethod.ODT, ExtractionMethod.EPUB, ExtractionMethod.XLSX],
)
def test_zip_bomb_is_refused_by_declared_size(how: ExtractionMethod) -> None:
    """An archive that unpacks to more than the bound is not unpacked."""
    data = archive({"word/document.xml": " " * 3 * MIB})
    assert len(data) < MIB // 50
    with pytest.raises(ExtractionError, match="unpacks to more"):
        read(data, how, Bounds(unpacked_bytes_max=2 * MIB))


@pytest.mark.parametrize("pieces", [("x" * 2000,), ("x" * 900, "y" * 1098), ("x" * 1990, "y" * 4, "zz")])
def test_characters_are_counted_while_a_document_is_read(pieces: tuple[str, ...]) -> None:
    """A document of as many characters as the bound is read; one more, and it is refused."""
    rels = relationships(**{f"r{n}_footnotes": f"notes{n}.xml" for n in range(1, len(pieces))})
    notes = {f"word/notes{n}.xml": f"<w:p {WORD}>{run(each)}</w:p>" for n, each in enumerate(pieces)}
    data = docx(f"<w:p>{run(pieces[0])}</w:p>", **{"word/_rels/document2.xml.rels": rels}, **notes)
    assert len(read(data, ExtractionMethod.DOCX, Bounds(characters_max=2000)).text) == 2000
    with pytest.raises(ExtractionError, match="more than 1999 characters"):
        read(data, ExtractionMethod.DOCX, Bounds(characters_max=1999))


def test_entities_are_not_expanded() -> None:
    """XML entity expansion ("billion laughs") is rejected, and external entities read no local file."""
    bomb = '<!DOCTYPE d [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]>'
    outside = '<!DOCTYPE d [<!ENTITY b SYSTEM "file:///etc/hostname">]>'
    for declaration in (bomb, outside):
        document = f"{declaration}<w:document {WORD}><w:p>{run('&b;')}</w:p></w:document>"
        with pytest.raises(ExtractionError, match="Entit"):
            read(docx("", **{"word/document2.xml": document}), ExtractionMethod.DOCX)


def test_deeply_nested_docx_is_read() -> None:
    """Deep nesting does not overflow the stack."""
    body = "<w:sdt>" * 50_000 + run("deep") + "</w:sdt>" * 50_000
    assert read(docx(body), ExtractionMethod.DOCX).text == "deep"


@pytest.mark.parametrize("name", ["pypdf", "openpyxl", "striprtf.striprtf", "defusedxml.ElementTree"])
def test_missing_library_is_named_in_the_error(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a broken installation the document fails with the name of the library and the way to get it."""

    def missing(asked: str) -> object:
        raise ModuleNotFoundError(f"No module named {asked!r}", name=asked)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ExtractionError, match="install xai-emulator again") as error:
        libraries.library(name)
    assert name in str(error.value)


def test_another_process_gives_the_same_text(tmp_path: Path) -> None:
    """From bytes and from a path, the process around a reader changes nothing: text, pages and characters arrive."""
    data = pdf("First page", "Second page")
    path = tmp_path / "blob"
    path.write_bytes(data)
    expected = read(data, ExtractionMethod.PDF)
    assert extract(data, "application/pdf", "a.pdf") == extract(path, "application/pdf", "a.pdf") == expected
    big = ("<p>Größe 漢字 😀</p>" * 5000).encode()
    assert extract(big, "text/html", "a.html") == read(big, ExtractionMethod.HTML)


def test_extraction_error_crosses_process_boundary() -> None:
    """What is wrong with a file is said, wherever it was found out."""
    with pytest.raises(ExtractionError, match="not the ZIP archive"):
        extract(b"nothing", "application/epub+zip", "a.epub")


def test_time_is_bounded() -> None:
    """A file that keeps its reader busy is stopped when its seconds are over."""
    endless = epub(spine="<itemref idref='b'/>" * 100_000, chapter="<i></i>" * 10_000)
    with pytest.raises(ExtractionError, match=r"more than 1 seconds"):
        extract_isolated(endless, ExtractionMethod.EPUB, Bounds(seconds_max=1), Processes())


def test_reader_that_waits_for_the_processor_is_not_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the processor time of the reader, not how long a busy machine lets it wait."""
    processes, waits = Processes(), list[float]()
    run = processes.run

    def waiting(command: Sequence[str], data: bytes | Path, cwd: Path, seconds_max: float) -> tuple[int, bytes]:
        waits.append(seconds_max)
        return run(command, data, cwd, seconds_max)

    monkeypatch.setattr(processes, "run", waiting)
    page = b"<p>Text</p>"
    assert extract_isolated(page, ExtractionMethod.HTML, Bounds(seconds_max=20), processes).text == "Text"
    assert waits == [200]


def test_unclosed_markup_ends_within_time_limit() -> None:
    """Markup that is never closed keeps some parsers of the standard library for minutes; here it costs its bound."""
    page = b"<a " * 40_000
    try:
        assert extract(page, "text/html", "a.html", Bounds(seconds_max=1)).text.count("<a") in (0, 40_000)
    except ExtractionError as error:
        assert "more than 1 seconds" in str(error)  # noqa: PT017 - newer parsers read it in no time


def test_memory_is_bounded() -> None:
    """A file that needs more memory than it is given fails alone, and this process does not notice."""
    cells = b'{"cells": [{"source": "' + b"x" * 40 * MIB + b'"}]}'
    with pytest.raises(ExtractionError, match=r"bytes of memory|ended with"):
        extract_isolated(cells, ExtractionMethod.NOTEBOOK, Bounds(memory_bytes_max=100 * MIB), Processes())


def test_crashed_reader_process_is_extraction_error() -> None:
    """Whatever ends the process, the document fails with a sentence."""
    with pytest.raises(ExtractionError, match="its reader ended with"):
        extract_isolated(b"", ExtractionMethod.PDF, Bounds(memory_bytes_max=1 * MIB), Processes())
