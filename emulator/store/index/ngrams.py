"""The default embedder, which needs no model: a text as the set of its character n-grams.

Texts with similar spelling share n-grams, so a search tolerates typing errors and inflected words. Synonyms and
paraphrases would need trained weights. The same text has the same n-grams in every process and on every machine.

The vector of a chunk has a one for each of its n-grams and is scaled to length 1. It does not depend on other chunks,
so it can be stored. The vector of a query has `weights(...)` for `ngrams_of_query(...)`, computed from the current
counts, and is scaled to length 1 too. Their product is the cosine; Euclidean distances follow from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.store.index.analysis import content_of, folded

if TYPE_CHECKING:
    from numpy import bool_, float64, int64, uint32
    from numpy.typing import NDArray

BITS = 24  # of the number of an n-gram
_SIZES = (3, 4)  # characters in an n-gram, including the space at either end of a word
_SPACE = 0x20
_KATAKANA_FIRST, _KATAKANA_LAST = 0x30A1, 0x30FF
_IDEOGRAPHS_FIRST, _IDEOGRAPHS_LAST = 0x3400, 0x9FFF
_STEP, _FINAL = 0x9E3779B1, 0x85EBCA77  # the odd constants of xxHash; multiplication overflows on purpose


def ngrams_of(texts: Sequence[str]) -> tuple[NDArray[uint32], NDArray[uint32]]:
    """Return the n-grams of texts: for each the index of its text and its number, below 2**BITS. Some repeat."""
    import numpy

    padded = [f" {folded(text)} " for text in texts]
    characters = _letters("".join(padded))
    places = numpy.repeat(numpy.arange(len(padded), dtype=numpy.uint32), [len(text) for text in padded])
    found = []
    for size in _SIZES:
        hashes, whole = _hashes(characters, size)
        found.append((places[: len(hashes)][whole], (hashes >> numpy.uint32(32 - BITS))[whole]))
    if characters.max(initial=0) >= _KATAKANA_FIRST:
        # Chinese and Japanese words mostly have two characters, and no spaces around them.
        hashes, _ = _hashes(characters, 2)
        unspaced = _is_unspaced(characters)
        both = unspaced[:-1] & unspaced[1:]
        found.append((places[: len(hashes)][both], (hashes >> numpy.uint32(32 - BITS))[both]))
    return numpy.concatenate([place for place, _ in found]), numpy.concatenate([number for _, number in found])


def ngrams_of_query(query: str) -> NDArray[uint32]:
    """Return the n-grams of a query, without those of its function words."""
    return ngrams_of([" ".join(content_of(query.split()))])[1]


def weights(counts: NDArray[int64], total: int) -> NDArray[float64]:
    """Return the idf of each n-gram of a query: `counts` of `total` chunks have it."""
    import numpy

    rarity: NDArray[float64] = numpy.log1p((total - counts + 0.5) / (counts + 0.5))
    return rarity


def _is_unspaced(characters: NDArray[uint32]) -> NDArray[bool_]:
    """Return a mask of Chinese and Japanese characters, without Hiragana, which are mostly endings and particles."""
    kana = (characters >= _KATAKANA_FIRST) & (characters <= _KATAKANA_LAST)
    ideographs = (characters >= _IDEOGRAPHS_FIRST) & (characters <= _IDEOGRAPHS_LAST)
    return kana | ideographs


def _letters(text: str) -> NDArray[uint32]:
    """Return the code points of a text, with a space for every character that is neither a letter nor a digit."""
    import numpy

    characters = numpy.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4").astype(numpy.uint32)
    separators = [ord(character) for character in set(text) if not character.isalnum()]
    characters[numpy.isin(characters, separators)] = _SPACE
    return characters


def _hashes(characters: NDArray[uint32], size: int) -> tuple[NDArray[uint32], NDArray[bool_]]:
    """Return the hash of the n-gram at each position, and whether it lies within one word (and so within one text)."""
    import numpy

    count = max(len(characters) - size + 1, 0)
    hashes = numpy.full(count, size, numpy.uint32)
    whole = numpy.ones(count, numpy.bool_)
    for place in range(size):
        character = characters[place : place + count]
        hashes = (hashes ^ character) * numpy.uint32(_STEP)
        hashes ^= hashes >> numpy.uint32(15)
        if 0 < place < size - 1:
            whole &= character != _SPACE
    hashes *= numpy.uint32(_FINAL)
    return hashes ^ (hashes >> numpy.uint32(13)), whole
