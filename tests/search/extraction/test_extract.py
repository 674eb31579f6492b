"""Text from uploads that are text: what decides how a file is read, and what comes out."""

from __future__ import annotations

import codecs
import json
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from emulator.domain import content_types
from emulator.search.extraction.extract import choose, extract
from emulator.search.extraction.formats import EXTRACTION_METHODS, FORMATS, ExtractionMethod, row
from emulator.search.extraction.result import Bounds, Extracted, ExtractionError, readable
from emulator.search.extraction.text import html_text, notebook_text

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=100)


@given(TEXTS, st.sampled_from(["text/plain", "text/markdown", "text/csv", "application/json", "text/x-python", ""]))
def test_text_comes_out_as_it_went_in(text: str, content_type: str) -> None:
    """A file of UTF-8 text is its text, to the last character: nothing is normalized away."""
    if not text.startswith("\ufeff"):
        assert extract(text.encode(), content_type, "notes") == Extracted(text)


@given(TEXTS, st.sampled_from(["utf-8-sig", "utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be"]))
def test_byte_order_mark_selects_encoding(text: str, encoding: str) -> None:
    """Text in UTF-16 or UTF-32 is read when it begins with its mark, and the mark is no part of the text."""
    mark = {"utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE, "utf-8-sig": b""}
    mark |= {"utf-32-le": codecs.BOM_UTF32_LE, "utf-32-be": codecs.BOM_UTF32_BE}
    assert extract(mark[encoding] + text.encode(encoding), "text/plain", "notes.txt").text == text


def test_extract_accepts_path_or_bytes(tmp_path: Path) -> None:
    """A path stands for what it holds."""
    path = tmp_path / "blob"
    path.write_bytes("Größe\r\n".encode())
    assert extract(path, "text/plain", "a.txt") == extract(path.read_bytes(), "text/plain", "a.txt")


@pytest.mark.parametrize(
    ("data", "content_type", "filename", "words"),
    [
        (b"caf\xe9", "text/plain", "a.txt", "not text in UTF-8 (byte 3"),
        (b"a\0b", "text/plain", "a.txt", "NUL character at offset 1"),
        (b"\xff\xfe\x00\xd8", "text/plain", "a.txt", "not text in UTF-8 (byte 2"),
        (b"\xd0\xcf\x11\xe0", "application/msword", "a.doc", "save it as .docx"),
        (b"PK\3\4", "application/zip", "a.zip", "upload the files in it one by one"),
        (b"\x89PNG", "image/png", "a.png", "is an image"),
        (b"ID3", "", "a.mp3", "is a recording"),
        (b"\x7fELF\0", "application/octet-stream", "tool", "format not supported. The file does not"),
        (b"{}", "application/vnd.jupyter", "a.ipynb", "no list of cells"),
        (b'{"cells": ["x"]}', "application/vnd.jupyter", "a.ipynb", "no list of cells"),
        (b"[" * 60_000, "application/vnd.jupyter", "a.ipynb", "nested too deeply"),
    ],
)
def test_file_without_text_is_refused_with_reason(data: bytes, content_type: str, filename: str, words: str) -> None:
    """The document's error message says what the user can do."""
    with pytest.raises(ExtractionError) as error:
        extract(data, content_type, filename)
    assert words in str(error.value)
    assert str(error.value).endswith(".")


def test_text_has_a_bound_too() -> None:
    """A text longer than the bound is refused, one of exactly its length is not."""
    bounds = Bounds(characters_max=5)
    assert extract(b"12345", "text/plain", "a.txt", bounds).text == "12345"
    with pytest.raises(ExtractionError, match="more than 5 characters"):
        extract(b"123456", "text/plain", "a.txt", bounds)


@pytest.mark.parametrize(
    ("content_type", "filename", "how"),
    [
        ("text/html; charset=utf-8", "page", ExtractionMethod.HTML),
        ("TEXT/HTML", "page", ExtractionMethod.HTML),
        ("application/octet-stream", "page.html", ExtractionMethod.HTML),
        ("", "REPORT.PDF", ExtractionMethod.PDF),
        ("application/x-unheard-of", "data.csv", ExtractionMethod.TEXT),
        ("application/vnd.ms-excel", "data.csv", ExtractionMethod.TEXT),  # browsers on Windows
        ("application/zip", "letter.docx", ExtractionMethod.DOCX),
        ("application/vnd.api+json", "x", ExtractionMethod.TEXT),
        ("image/svg+xml", "x.svg", ExtractionMethod.TEXT),
        ("text/x-anything", "x", ExtractionMethod.TEXT),
        ("application/pdf", "named.txt", ExtractionMethod.PDF),
        ("application/x-unheard-of", "x", None),
        ("application/vnd.ms-excel", "old.xls", None),
    ],
)
def test_extraction_method_follows_content_type_before_extension(
    content_type: str, filename: str, how: ExtractionMethod | None
) -> None:
    """What the upload declares comes first; the extension is asked where that cannot be read."""
    assert choose(content_type, filename).how == how


# Files and Collections: Supported MIME Types.
DOCUMENTED = """
    application/csv application/dart application/ecmascript application/epub application/epub+zip application/json
    application/ms-java application/msword application/pdf application/typescript application/vnd.adobe.pdf
    application/vnd.curl application/vnd.dart application/vnd.jupyter application/vnd.ms-excel
    application/vnd.ms-outlook application/vnd.oasis.opendocument.text
    application/vnd.openxmlformats-officedocument.presentationml.presentation
    application/vnd.openxmlformats-officedocument.presentationml.slide
    application/vnd.openxmlformats-officedocument.presentationml.slideshow
    application/vnd.openxmlformats-officedocument.presentationml.template
    application/vnd.openxmlformats-officedocument.spreadsheetml.sheet
    application/vnd.openxmlformats-officedocument.spreadsheetml.template
    application/vnd.openxmlformats-officedocument.wordprocessingml.document application/x-csh application/x-epub+zip
    application/x-hwp application/x-hwp-v5 application/x-latex application/x-pdf application/x-php
    application/x-powershell application/x-sh application/x-shellscript application/x-tex application/x-zsh
    application/xhtml application/xml application/zip text/cache-manifest text/calendar text/css text/csv text/html
    text/javascript text/jsx text/markdown text/n3 text/php text/plain text/rtf text/tab-separated-values text/troff
    text/tsv text/tsx text/turtle text/uri-list text/vcard text/vtt text/x-asm text/x-bibtex text/x-c text/x-c++hdr
    text/x-c++src text/x-chdr text/x-coffeescript text/x-csh text/x-csharp text/x-csrc text/x-d text/x-diff
    text/x-emacs-lisp text/x-erlang text/x-go text/x-haskell text/x-java text/x-java-properties text/x-java-source
    text/x-kotlin text/x-lisp text/x-lua text/x-objcsrc text/x-pascal text/x-perl text/x-perl-script text/x-python
    text/x-python-script text/x-r-markdown text/x-rst text/x-ruby-script text/x-rust text/x-sass text/x-scala
    text/x-scheme text/x-script.python text/x-scss text/x-sh text/x-sql text/x-swift text/x-tcl text/x-tex
    text/x-vbasic text/x-vcalendar text/xml text/xml-dtd text/yaml
"""


@pytest.mark.parametrize("content_type", [*DOCUMENTED.split(), *sorted(set(content_types.BY_EXTENSION.values()))])
def test_documented_content_types_are_read_or_refused(content_type: str) -> None:
    """No content type of the guides, nor of our own table of extensions, is left to chance."""
    known = row(content_type)
    assert (known.how is None) == (known.refusal is not None)


def test_format_rows_have_method_or_refusal() -> None:
    """The table names each way at least once, and each way has a row that says what it is."""
    assert {known.how for known in FORMATS.values()} - {None} == set(ExtractionMethod) == set(EXTRACTION_METHODS)
    assert not [name for name, known in FORMATS.items() if known.how and known.refusal]


PAGE = """<!DOCTYPE html><html><head><title>The title</title><style>p {color: red}</style>
<script>var hidden = "<p>no</p>";</script></head><body><h1>Head&shy;ing &amp; more</h1><p>One
   paragraph,<br>two <b>bold</b>lines.</p><!-- not this --><p>Next</p><ul><li>first</li><li>second</li></ul>
<table><tr><th>a</th><th>b</th></tr><tr><td>1</td><td>2</td></tr></table><pre>keep
  this</pre><template>nor this</template></body></html>"""


def test_html_gives_what_a_browser_shows() -> None:
    """Blocks stand on lines of their own, cells are parted by tabs, scripts and styles are left out."""
    lines = [line.strip() for line in html_text(PAGE).splitlines() if line.strip()]
    assert lines == [
        "The title",
        "Head\u00ading & more",
        "One paragraph,",
        "two boldlines.",
        "Next",
        "first",
        "second",
        "a\tb",
        "1\t2",
        "keep",
        "this",
    ]
    assert html_text("<p>a</p><p>b</p>") == "a\n\nb"
    assert html_text("</pre></script>a  b") == "a b"


@given(st.text(max_size=40))
def test_escaped_text_survives_html(text: str) -> None:
    """Whatever is written into a paragraph with the usual escapes comes out, but for white space."""
    escaped = "".join(f"&#{ord(character)};" if character in "&<>" else character for character in text)
    assert html_text(f"<p>{escaped}</p>").split() == text.split() or any(ord(character) < 32 for character in text)


@given(st.lists(st.sampled_from(["<", ">", "<p", "</p>", "<![", "<!", "<?", "&#", "--", "<script>", '"', "x", "]]>"])))
@example(["<![", "x", "["])
def test_broken_html_is_read(pieces: list[str]) -> None:
    """Markup that is not even wrong gives some text, never an exception."""
    assert isinstance(html_text("".join(pieces)), str)


def test_notebook_text_has_sources_and_outputs() -> None:
    """Sources and printed results are text; pictures and metadata are not."""
    cells = [
        {"cell_type": "markdown", "source": ["# Title\n", "Words."], "metadata": {"tags": ["no"]}},
        {
            "cell_type": "code",
            "source": "print(6 * 7)",
            "outputs": [
                {"output_type": "stream", "text": ["42\n"]},
                {"output_type": "display_data", "data": {"text/plain": "<Figure>", "image/png": "iVBORw0"}},
            ],
        },
        {"cell_type": "code", "source": "", "outputs": []},
    ]
    text = notebook_text(json.dumps({"cells": cells, "nbformat": 4}))
    assert text == "# Title\nWords.\n\nprint(6 * 7)\n\n42\n\n<Figure>"


def test_escapes_of_json_are_made_readable() -> None:
    """What JSON can write and UTF-8 cannot is gone when a notebook has been read."""
    cells = b'{"cells": [{"source": "a\\u0000b"}, {"source": "\\ud83d\\ude00 \\ud83d"}]}'
    assert extract(cells, "application/x-ipynb+json", "a.ipynb").text == "ab\n\n\U0001f600 \ufffd"
    assert extract(cells.split(b", ")[0] + b"]}", "application/x-ipynb+json", "a.ipynb").text == "ab"


@given(st.text(st.characters(categories=["Cs", "Ll", "So"], include_characters="\0"), max_size=20))
def test_readable_text_can_be_stored_and_sent(text: str) -> None:
    """NUL and halves of surrogate pairs go, whole pairs become their character, and the rest stays."""
    clean = readable(text)
    assert "\0" not in clean
    clean.encode()
    if not any("\ud800" <= character <= "\udfff" or character == "\0" for character in text):
        assert clean == text


@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.data())
def test_page_number_is_that_of_dominant_page(lengths: list[int], data: st.DataObject) -> None:
    """The dominant page, counted from 1; 0 in a document of one page, nothing where pages are not known."""
    text = "".join(chr(ord("a") + page) * length for page, length in enumerate(lengths))
    starts = tuple(sum(lengths[:page]) for page in range(len(lengths)))
    start = data.draw(st.integers(0, len(text) - 1))
    end = data.draw(st.integers(start + 1, len(text)))
    number = Extracted(text, starts).page_number(start, end)
    assert Extracted(text).page_number(start, end) is None
    if len(lengths) == 1:
        assert number == 0
    else:
        counts = [text[start:end].count(chr(ord("a") + page)) for page in range(len(lengths))]
        assert number == counts.index(max(counts)) + 1
