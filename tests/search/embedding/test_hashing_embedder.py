"""What the stand-in for an embedding model promises."""

from __future__ import annotations

import hashlib
import random
import subprocess
import sys
from pathlib import Path

import numpy
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.search.embedding.hashing_embedder import DIMENSIONS, embed

TEXTS = st.lists(
    st.text(max_size=30) | st.sampled_from(["the same words", "", " \n", "漢字 かな", "a_b-c"]), max_size=8
)


@given(TEXTS)
def test_vectors_are_of_length_one_or_zero(texts: list[str]) -> None:
    """Every text gets a row of finite numbers; it is zero when there is nothing to compare, else of length 1."""
    vectors = embed(texts)
    assert vectors.shape == (len(texts), DIMENSIONS)
    assert vectors.dtype == numpy.float32
    for text, vector in zip(texts, vectors, strict=True):
        length = float(numpy.linalg.norm(vector))
        assert length == pytest.approx(1, abs=1e-5) or length == 0
        if not any(character.isalnum() for character in text.lower()):
            assert length == 0


@given(TEXTS, st.text(max_size=30))
def test_vector_does_not_depend_on_batch(texts: list[str], text: str) -> None:
    """A text has the same vector alone and in a batch, so a query finds what was indexed together with others."""
    assert (embed([*texts, text])[-1] == embed([text])[0]).all()


def test_batches_are_seams_without_a_trace() -> None:
    """More texts than are worked on at once have the vectors that each has alone."""
    texts = [f"text number {n} of many" for n in range(600)]
    together = embed(texts)
    assert all((together[n] == embed([texts[n]])[0]).all() for n in (0, 255, 256, 511, 512, 599))


SAMPLE = ["Déjà vu, 漢字!", "plain words"]
RECORDED = "e98092a61ed347511fa346aec94aaa4e0289fd5ac7b3c1e54721ff0c263cf50c"


def digest(vectors: numpy.ndarray) -> str:
    return hashlib.sha256(vectors.astype("<f4").tobytes()).hexdigest()


def test_vectors_are_equal_in_another_process() -> None:
    """Another process, with another hash seed, computes the bytes that were computed when this was written."""
    script = "import sys; from emulator.search.embedding.hashing_embedder import embed; "
    script += f"sys.stdout.buffer.write(embed({SAMPLE}).astype('<f4'))"
    root = Path(__file__).parents[3]
    there = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, check=True).stdout
    assert hashlib.sha256(there).hexdigest() == digest(embed(SAMPLE)) == RECORDED


def test_case_and_punctuation_do_not_count() -> None:
    """Texts that differ in capitals, punctuation and spacing only have the same vector."""
    assert (embed(["Hello, World"])[0] == embed(["hello\n -- world!"])[0]).all()


def test_repeated_word_has_no_extra_weight() -> None:
    """A word that fills a text weighs no more in it than the one that tells it from others."""
    assert (embed(["the the the the cat the"])[0] == embed(["cat the"])[0]).all()


def test_half_a_surrogate_pair_is_no_error() -> None:
    """A query may hold whatever a JSON string can."""
    assert embed(["word \ud83d word"]).any()


def misspelt(word: str, chance: random.Random) -> str:
    """The word with two neighbouring letters exchanged."""
    place = chance.randrange(len(word) - 1)
    return word[:place] + word[place + 1] + word[place] + word[place + 2 :]


def test_misspelt_queries_find_what_they_meant() -> None:
    """With a typing error in every word, a query still finds the text with its words among a hundred of their kind."""
    chance = random.Random(1)
    syllables = [a + b + c for a in "bdfglmprst" for b in "aeiou" for c in "lmnrst"]
    words = ["".join(chance.choices(syllables, k=3)) for _ in range(400)]
    texts = [" ".join(chance.choices(words, k=40)) for _ in range(100)]
    queries = [" ".join(misspelt(word, chance) for word in text.split()[:8]) for text in texts]
    nearest = (embed(queries) @ embed(texts).T).argmax(axis=1)
    assert (nearest == numpy.arange(100)).sum() >= 95
