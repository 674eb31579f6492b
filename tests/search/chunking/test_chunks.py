"""What every chunk configuration promises, whatever the text."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.chunk_configurations import (
    STRATEGIES,
    Boundaries,
    ChunkConfiguration,
    ConfigurationError,
    Strategy,
    Unit,
    check,
    wire_key,
)
from emulator.search.chunking import chunks as cutting
from emulator.search.chunking.chunks import Chunk, compose
from emulator.search.chunking.tokens import approximate_token_offsets
from emulator.search.extraction.result import ExtractionError

CHARACTERS = st.one_of(st.sampled_from('ab \n#`|,;\t"-é漢😀'), st.characters(codec="utf-8"))
# Texts that look like documents: without headings, rows and wide characters next to each other little would be tried.
PROSE = (
    "word ",
    "some words of prose, ",
    "Donaudampfschiff",
    "\n",
    "\n\n",
    "   ",
    "# One\n",
    "```\n",
    "é",
    "漢字",
    "😀",
)
LINES = ("def f():\n", "    x = 1\n", "}\n", "a,b\n", '"q,\n",', "|-|-|\n", "c|d\n")
PARTS = st.sampled_from(PROSE + LINES) | st.text(CHARACTERS, max_size=4)
TEXTS = (st.lists(PARTS, max_size=5) | st.lists(PARTS, min_size=10, max_size=60)).map("".join)


def split(*arguments: Any, **options: Any) -> list[Chunk]:
    """All chunks of a text."""
    return list(cutting.split(*arguments, **options))


@st.composite
def configurations(draw: st.DrawFn, strategies: tuple[Strategy, ...] = tuple(Strategy)) -> ChunkConfiguration:
    """Any configuration that `check` lets pass."""
    strategy = draw(st.sampled_from(strategies))
    row = STRATEGIES[strategy]
    size = draw(st.integers(1, 40))
    configuration = ChunkConfiguration(
        strategy=strategy,
        max_size=size,
        overlap=draw(st.integers(0, size - 1)) if row.overlaps else 0,
        encoding_name="o200k_base" if row.takes_encoding else None,
        strip_whitespace=draw(st.booleans()),
    )
    check(configuration)
    return configuration


def measure(text: str, unit: Unit) -> int:
    return {
        Unit.CHARS: len(text),
        Unit.BYTES: len(text.encode()),
        Unit.TOKENS: len(approximate_token_offsets(text, "")),
    }[unit]


def unstripped(text: str, configuration: ChunkConfiguration) -> list[Chunk]:
    return split(text, ChunkConfiguration(**{**_fields(configuration), "strip_whitespace": False}))


def _fields(configuration: ChunkConfiguration) -> dict[str, object]:
    return {name: getattr(configuration, name) for name in ChunkConfiguration.__slots__}


@given(TEXTS, configurations())
def test_chunks_cover_text_without_gaps(text: str, configuration: ChunkConfiguration) -> None:
    """Every character is in a chunk before stripping, in order and without a gap; white space alone gives no chunk."""
    chunks = unstripped(text, configuration)
    if not text.strip():
        assert chunks == []
        return
    assert chunks[0].start == 0
    assert chunks[-1].end == len(text)
    for before, after in pairwise(chunks):
        assert before.start < after.start <= before.end < after.end


@given(TEXTS, configurations())
def test_chunk_is_within_size_limit(text: str, configuration: ChunkConfiguration) -> None:
    """The size holds in the unit of the strategy, a repeated header included, but for a wide code point."""
    unit = STRATEGIES[configuration.strategy].unit
    for chunk in split(text, configuration):
        assert measure(chunk.text, unit) <= configuration.max_size or len(chunk.text) == 1


@given(TEXTS, configurations(tuple(s for s in Strategy if STRATEGIES[s].unit is not Unit.BYTES)))
def test_overlaps_are_as_configured(text: str, configuration: ChunkConfiguration) -> None:
    """Two neighbours share exactly the overlap, in characters or tokens."""
    unit = STRATEGIES[configuration.strategy].unit
    for before, after in pairwise(unstripped(text, configuration)):
        assert measure(text[after.start : before.end], unit) == configuration.overlap


@given(TEXTS, configurations((Strategy.BYTES,)))
def test_overlaps_in_bytes_end_between_code_points(text: str, configuration: ChunkConfiguration) -> None:
    """In bytes the overlap is as large as whole code points allow, and gives way only where nothing else would fit."""
    for before, after in pairwise(unstripped(text, configuration)):
        shared = len(text[after.start : before.end].encode())
        assert shared <= configuration.overlap
        one_more = len(text[after.start - 1 : before.end].encode())
        next_one = len(text[before.end].encode())
        assert one_more > configuration.overlap or (
            shared == 0 and configuration.overlap + next_one > configuration.max_size
        )


@given(TEXTS, configurations())
def test_chunk_offsets_name_its_text(text: str, configuration: ChunkConfiguration) -> None:
    """The offsets name the text of the chunk; only a table puts its header before it."""
    for chunk in split(text, configuration):
        part = text[chunk.start : chunk.end]
        if STRATEGIES[configuration.strategy].boundaries is Boundaries.ROWS:
            assert chunk.text.endswith(part)
            assert chunk.text.removesuffix(part) in text
        else:
            assert chunk.text == part


@given(TEXTS, configurations())
def test_stripping_takes_white_space_only(text: str, configuration: ChunkConfiguration) -> None:
    """With strip_whitespace no chunk starts or ends with white space, and no other character is lost."""
    if not configuration.strip_whitespace:
        return
    kept = set()
    for chunk in split(text, configuration):
        part = text[chunk.start : chunk.end]
        assert part == part.strip() != ""
        kept.update(range(chunk.start, chunk.end))
    assert all(character.isspace() for offset, character in enumerate(text) if offset not in kept)


@given(st.text("abé漢😀-", min_size=1, max_size=100), st.integers(1, 30), st.integers(0, 29))
def test_text_without_breaks_is_cut_by_arithmetic(text: str, size: int, overlap: int) -> None:
    """Without headings, lines and words, each chunk starts size - overlap characters after the one before it."""
    if overlap >= size:
        return
    chunks = split(text, ChunkConfiguration(Strategy.CHARS, size, overlap, strip_whitespace=False))
    starts = [0, *range(size - overlap, len(text) - overlap, size - overlap)]
    assert [chunk.start for chunk in chunks] == starts


SECTIONS = "".join(f"# Section {number}\n\n" + f"word{number} " * (42 + number % 5) + "\n\n" for number in range(9))


def of_text(strategy: Strategy, size: int, overlap: int = 0) -> ChunkConfiguration:
    return ChunkConfiguration(strategy, size, overlap, "o200k_base" if strategy is Strategy.TOKENS else None)


@pytest.mark.parametrize("overlap", [0, 20])
@pytest.mark.parametrize(("strategy", "size"), [(Strategy.CHARS, 500), (Strategy.BYTES, 500), (Strategy.TOKENS, 150)])
def test_markdown_in_chunks_of_text_has_one_section_in_each(strategy: Strategy, size: int, overlap: int) -> None:
    """Observed live with 500 characters: about one section of a Markdown policy is a chunk (2026-10)."""
    chunks = split(SECTIONS, of_text(strategy, size, overlap))
    assert [chunk.text.rpartition("# ")[2][:9] for chunk in chunks] == [f"Section {number}" for number in range(9)]
    assert overlap or all(chunk.text.startswith("# Section") for chunk in chunks)


@pytest.mark.parametrize(
    ("strategy", "sizes"),
    [(Strategy.CHARS, range(481, 505)), (Strategy.BYTES, range(481, 505)), (Strategy.TOKENS, range(98, 101))],
)
def test_chunk_of_text_ends_at_paragraph_before_line_before_word(strategy: Strategy, sizes: range) -> None:
    """But only in the last tenth of its size: a chunk is as large as allowed, or nearly so."""
    for separator, weaker in (("\n\n", "\n"), ("\n", " "), (" ", "")):
        text = "abcd " * 94 + "abcd" + separator + "abcd" + weaker + "abcd" * 100
        for size in sizes:
            assert split(text, of_text(strategy, size))[0].text == text[:474]


def test_word_before_last_tenth_ends_no_chunk_of_text() -> None:
    """It is cut at its full size."""
    text = "x" * 80 + " " + "x" * 80
    assert [len(chunk.text) for chunk in split(text, of_text(Strategy.CHARS, 100))] == [100, 61]


def markdown(size: int, overlap: int = 0) -> ChunkConfiguration:
    return ChunkConfiguration(Strategy.MARKDOWN_CHARS, size, overlap)


def test_markdown_ends_at_a_heading_before_a_paragraph_before_a_line() -> None:
    """The strongest boundary of the second half of the size wins, then the last one."""
    text = "# One\n\nalpha beta gamma\n\n# Two\n\ndelta\nepsilon zeta eta theta iota"
    assert [chunk.text for chunk in split(text, markdown(40))] == [
        "# One\n\nalpha beta gamma",
        "# Two\n\ndelta\nepsilon zeta eta theta iota",
    ]
    assert split(text, markdown(24))[1].text == "# Two\n\ndelta"


def test_hash_in_fenced_block_is_no_heading() -> None:
    """A shell comment in a fenced block does not part the block from its first lines."""
    text = "# Run\n\n```sh\nmake all\n# then\nmake run\n```\n\nThe end of it.\n"
    for configuration in (markdown(46), of_text(Strategy.CHARS, 46)):
        assert split(text, configuration)[0].text == text[: text.index("\n\nThe end")]


def test_shorter_fence_does_not_close_block() -> None:
    """A fence of four marks holds a fence of three (CommonMark), and a heading counts again after it."""
    text = "````\n```\nsome code\n````\n\n# yes\n\n````\n```\n# no\n````\nand more of it\n"
    for configuration in (markdown(48), of_text(Strategy.CHARS, 48)):
        assert split(text, configuration)[0].text == text[: text.index("\n\n# yes")]


def test_code_ends_before_a_definition() -> None:
    """A chunk of code ends at the blank line before a top-level definition, not at one inside it."""
    text = "import os\n\ndef first():\n    a = 1\n\ndef second():\n    b = 2\n\n    return b\n"
    chunks = split(text, ChunkConfiguration(Strategy.CODE_CHARS, 64, 0))
    assert [chunk.text.splitlines()[0] for chunk in chunks] == ["import os", "def second():"]


def test_closing_brace_stays_with_code_block() -> None:
    """A brace after a blank line begins no definition."""
    text = "void a() {\n  x();\n}\n\nvoid b() {\n  y();\n\n}\nint z;\n"
    chunks = split(text, ChunkConfiguration(Strategy.CODE_CHARS, 40, 0))
    assert [chunk.text.splitlines()[0] for chunk in chunks] == ["void a() {", "void b() {"]


def table(size: int) -> ChunkConfiguration:
    return ChunkConfiguration(Strategy.TABLE, size, 0, "o200k_base")


def test_table_chunks_repeat_header() -> None:
    """Every chunk of a table says what its columns are, and rows stay whole."""
    rows = [f"name{n},{n}\n" for n in range(20)]
    chunks = split("name,size\n" + "".join(rows), table(24))
    assert len(chunks) > 2
    assert all(chunk.text.startswith("name,size\n") for chunk in chunks)
    assert [row for chunk in chunks for row in chunk.text.splitlines()[1:]] == [row.strip() for row in rows]


def test_markdown_table_chunks_repeat_delimiter_row() -> None:
    """The header of a Markdown table is two rows."""
    header = "| a | b |\n|---|---|\n"
    chunks = split(header + "| 1 | 2 |\n" * 12, table(48))
    assert len(chunks) > 1
    assert all(chunk.text.startswith(header) for chunk in chunks)
    for lines in range(24):  # wherever the cut falls, between the header and its rule as well
        chunks = split("prose\n" * lines + "\n" + header + "| 1 | 2 |\n" * 12, table(48))
        assert all(chunk.text.count("|---|---|") <= 1 for chunk in chunks)


def test_csv_row_is_not_cut_in_quoted_cell() -> None:
    """A row of a CSV file ends where the record ends, not at a line break inside quotes."""
    text = 'id,note\n1,"one\ntwo ""2"" three"\n' + '2,"four\nfive"\n' * 6
    chunks = split(text, table(28))
    assert len(chunks) > 2
    assert all(chunk.text.count('"') % 2 == 0 for chunk in chunks)


def test_second_table_has_own_header() -> None:
    """A blank line ends a table: the rows after it stand under the header that follows."""
    first, second = "a,b\n" + "1,2\n" * 12, "c;d\n" + "3;4\n" * 12
    for chunk in split(f"{first}\n{second}", table(20)):
        header = "a,b" if "1,2" in chunk.text else "c;d"
        assert chunk.text.startswith(header)
        assert ("3;4" in chunk.text) == ("c;d" in chunk.text)


def test_table_header_over_half_of_chunk_is_not_repeated() -> None:
    """A header stays with the first rows when it would take more than half of every chunk."""
    text = ",".join(["column"] * 20) + "\n" + "1,2\n" * 20
    assert "".join(chunk.text + "\n" for chunk in split(text, table(60))) == text


def test_prose_has_no_header() -> None:
    """The first line of a block without columns is not repeated."""
    text = "\n".join(f"line {n} of some prose" for n in range(10)) + "\nand, at last, a comma"
    assert "\n".join(chunk.text for chunk in split(text, table(20))) == text


@pytest.mark.parametrize(
    "text", ["#" * 20_000, '"' * 20_001, ',"' * 10_001, "`" * 20_000, "\n" * 20_000 + "x", "|-" * 9_000]
)
def test_time_is_linear_for_awkward_texts(text: str) -> None:
    """No text makes an expression go back over what it has read (a quadratic one would take minutes here)."""
    for strategy in (Strategy.CHARS, Strategy.MARKDOWN_CHARS, Strategy.CODE_CHARS):
        assert split(text * 5, ChunkConfiguration(strategy, 4000, 800))
    assert split(text * 5, table(1024))


@pytest.mark.parametrize(
    ("field", "configuration"),
    [
        ("max_chunk_size_bytes", ChunkConfiguration(max_size=0, overlap=0)),
        ("chunk_overlap_bytes", ChunkConfiguration(overlap=-1)),
        ("chunk_overlap_chars", ChunkConfiguration(Strategy.CHARS, 10, 10)),
        ("chunk_overlap_tokens", ChunkConfiguration(Strategy.MARKDOWN_TOKENS, 10, 11, "gpt2")),
        ("chunk_overlap_tokens", ChunkConfiguration(Strategy.TABLE, 10, 1, "gpt2")),
        ("encoding_name", ChunkConfiguration(Strategy.TOKENS, 10, 1, None)),
        ("encoding_name", ChunkConfiguration(Strategy.TOKENS, 10, 1, "o300k")),
        ("encoding_name", ChunkConfiguration(Strategy.CODE_CHARS, 10, 1, "gpt2")),
    ],
)
def test_chunk_configuration_error_names_field(field: str, configuration: ChunkConfiguration) -> None:
    """The refusal carries the wire name of the value at fault, and a sentence that says it too."""
    with pytest.raises(ConfigurationError) as refusal:
        check(configuration)
    assert refusal.value.field == field
    assert field in refusal.value.sentence


def test_default_chunk_configuration_is_observed_one() -> None:
    """Bytes 4000/800, stripped, without the name (observed live, 2026-04)."""
    default = ChunkConfiguration()
    check(default)
    row = STRATEGIES[default.strategy]
    assert (wire_key(default.strategy), row.size_field, default.max_size, row.overlap_field, default.overlap) == (
        "bytes_configuration",
        "max_chunk_size_bytes",
        4000,
        "chunk_overlap_bytes",
        800,
    )
    assert (default.strip_whitespace, default.inject_name_into_chunks) == (True, False)


def test_chunk_configuration_fields_are_documented_ones() -> None:
    """Each documented configuration has the documented fields (Collections reference: chunk_configuration)."""
    chars, tokens = ("max_chunk_size_chars", "chunk_overlap_chars"), ("max_chunk_size_tokens", "chunk_overlap_tokens")
    encoded, whole = (*tokens, "encoding_name"), ("max_chunk_size_tokens", "encoding_name")
    documented = {
        "chars_configuration": chars,
        "tokens_configuration": encoded,
        "bytes_configuration": ("max_chunk_size_bytes", "chunk_overlap_bytes"),
        "markdown_tokens_configuration": encoded,
        "markdown_chars_configuration": chars,
        "code_tokens_configuration": encoded,
        "code_chars_configuration": chars,
        "table_configuration": whole,
        "ast_configuration": whole,
    }
    assert {wire_key(strategy): row.fields for strategy, row in STRATEGIES.items()} == documented


def test_tokenizer_that_skips_text_is_refused() -> None:
    """A plugged-in tokenizer cannot lose text silently."""
    for starts in ([], [1, 2], [0, 9]):
        with pytest.raises(ValueError, match="do not cover the text"):
            split("words", ChunkConfiguration(Strategy.TOKENS, 2, 0, "gpt2"), lambda text, name, starts=starts: starts)


def test_compose_puts_name_and_values_before_the_chunk() -> None:
    """What is injected stands on lines of its own above the chunk; without it the chunk is indexed as it is."""
    assert compose("body") == "body"
    assert compose("body", name="a.pdf", injected={"title": "Q3", "author": ""}) == "a.pdf\nQ3\n\nbody"


@pytest.mark.parametrize(("length", "refused"), [(9, False), (10, False), (11, True)])
@pytest.mark.parametrize("blank", [False, True])
def test_split_above_chunks_max_raises(length: int, refused: bool, blank: bool) -> None:
    """Chunks are counted as they are cut, and those that are dropped as white space count too."""
    configuration = ChunkConfiguration(Strategy.CHARS, 2, 1)  # n characters make n - 1 chunks
    text = "x" + (" " if blank else "x") * (length - 2) + "x"
    if refused:
        with pytest.raises(ExtractionError, match="more than 9 chunks"):
            split(text, configuration, chunks_max=9)
    else:
        assert len(split(text, configuration, chunks_max=9)) <= 9


def test_split_is_lazy() -> None:
    """The first chunk of a text that would make a million is there without the others."""
    chunks = cutting.split("x" * 2**20, ChunkConfiguration(Strategy.CHARS, 1000, 999))
    assert next(chunks).end == 1000
