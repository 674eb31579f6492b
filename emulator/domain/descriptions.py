"""Generate the description of a collection from its documents' names and most frequent words.

In the real service a language model writes it. Here the same documents always give the same sentence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from emulator.core.lazy_pattern import lazy_pattern

NAMES = 3  # named as examples
TERMS = 6  # of the most frequent words

_WORD = lazy_pattern(r"[^\W\d_]{4,30}")
_COMMON = """
about above after again also always among another because been before being below between both could does doing down
during each either else even every few first from further given have having here hers herself himself into itself just
last less like made make many might more most much must neither never next none only other others ours over same shall
should some such than that their theirs them then there these they this those through thus under until upon very want
well were what when where which while whom whose will with within without would your yours http https html body head
div span class href
"""
_COMMON_WORDS = frozenset(_COMMON.split())


def describe(count: int, names: Sequence[str], texts: Iterable[str]) -> str:
    """Return one sentence with the number of documents, some names, and frequent words."""
    frequencies = Counter(
        word for text in texts for word in _WORD.findall(text.casefold()) if word not in _COMMON_WORDS
    )
    terms = sorted(frequencies, key=lambda word: (-frequencies[word], word))[:TERMS]
    documents = "1 document" if count == 1 else f"{count} documents"
    examples = f" ({', '.join(names[:NAMES])}{', …' if count > NAMES else ''})" if names else ""
    return f"{documents}{examples}{f' about {_listed(terms)}' if terms else ''}."


def _listed(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
