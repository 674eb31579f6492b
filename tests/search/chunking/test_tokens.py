"""The stand-in tokenizer, and the place where a real one fits."""

from __future__ import annotations

from bisect import bisect_left
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy
from emulator.search.chunking.chunks import split
from emulator.search.chunking.tokens import approximate_token_offsets

PARTS = ("word", "Donaudampfschifffahrt", "123456", " ", "        ", "\n", "\r\n", "\t", "...!", "_é", "漢字", "дом")
TEXTS = st.lists(st.sampled_from(PARTS) | st.text(max_size=4), max_size=40).map("".join)


@given(TEXTS)
def test_pieces_cover_the_text(text: str) -> None:
    """The first piece starts at 0, every other after the one before it, all of them inside the text."""
    starts = list(approximate_token_offsets(text, "o200k_base"))
    assert starts[:1] == ([0] if text else [])
    assert all(before < after for before, after in pairwise([*starts, len(text)])) or not text


@given(TEXTS, st.data())
def test_counts_of_parts_add_up(text: str, data: st.DataObject) -> None:
    """A text that is cut where a piece starts has the same pieces on both sides of the cut."""
    starts = list(approximate_token_offsets(text, ""))
    cut = data.draw(st.sampled_from([*starts, len(text)]))
    head, tail = approximate_token_offsets(text[:cut], ""), approximate_token_offsets(text[cut:], "")
    assert [*head, *(cut + start for start in tail)] == starts


@given(TEXTS)
def test_token_does_not_cross_line_break(text: str) -> None:
    """Every line starts a piece, so that rows and headings can be kept whole."""
    starts = list(approximate_token_offsets(text, ""))
    for line in (offset + 1 for offset, character in enumerate(text[:-1]) if character == "\n"):
        assert starts[bisect_left(starts, line)] == line


def test_english_prose_has_about_four_characters_to_a_token() -> None:
    """The rule of thumb for the real encodings holds for prose: the licence of this project."""
    prose = " ".join((Path(__file__).parents[3] / "LICENSE").read_text().split())
    assert 3.5 < len(prose) / len(approximate_token_offsets(prose, "")) < 5.0


@given(st.text(st.characters(codec="utf-8"), min_size=1, max_size=60), st.integers(1, 20))
def test_custom_tokenizer_sets_chunk_boundaries(text: str, size: int) -> None:
    """`split` takes offsets as tiktoken gives them: a code point made of several tokens repeats its own."""
    asked: list[str] = []

    def one_token_a_byte(text: str, encoding_name: str) -> list[int]:
        asked.append(encoding_name)
        return [offset for offset, character in enumerate(text) for _ in character.encode()]

    configuration = ChunkConfiguration(Strategy.TOKENS, size, 0, "o200k_base", strip_whitespace=False)
    chunks = split(text, configuration, one_token_a_byte)
    if text.strip():
        assert "".join(chunk.text for chunk in chunks) == text
        assert asked == ["o200k_base"]
    for chunk in chunks:
        assert len(chunk.text.encode()) <= size or len(chunk.text) == 1
