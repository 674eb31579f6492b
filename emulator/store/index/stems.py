"""Stems of words in English, German, French and Spanish, by suffix stripping: `renewals` and `renewed` have `renew`.

A stem need not be a word. It is the same for most forms of a word, which is sufficient for an index. There are few
suffixes and no dictionary, so a form that changes inside the word (`went`, or `Häuser` of `Haus` apart from its umlaut)
is not recognised.

A Snowball stemmer in pure Python takes 27 to 59 microseconds for a word, this one 1 to 3, and Snowball finds no more in
`benchmarks/ranking`; besides, saved indexes would depend on the installed version.

Words are in lower case and without diacritics, as `analysis` returns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

WORDS_MAX = 40_000  # cached stems for each language

_VOWELS = frozenset("aeiouy")
_DOUBLED = frozenset("bdfgklmnprt")

# Suffixes with the minimum number of letters before them. The longest that fits is removed, once.
_ENGLISH = {
    4: "ations ation ators ator ating ated ates ate izations ization izing ized ize ments ment ness ingly edly able "
    "ible ances ance ences ence ive ions ion ly ers er ors or",
    3: "ing ed",
    5: "al als",
}
_GERMAN = {4: "ungen ung heiten heit keiten keit ern em en er es e s n nt st te ten tem ter tes et t"}
_FRENCH = {
    4: "issements issement ements ement ations ation ions ion ateurs ateur euses euse eurs eur ives ive ifs if ites "
    "ite ances ance ences ence ables able antes ante ants ant ent aient ait ages age ees ee es er ez ir is it e s "
    "x"
}
_SPANISH = {
    3: "amientos amiento imientos imiento aciones acion uciones ucion adoras adora adores ador ancias ancia encias "
    "encia mente idades idad ivas iva ivos ivo ables able ando iendo adas ada ados ado idas ida idos ido ar er ir "
    "as os es an en a o e s"
}

# Frequent function words. The language of a text is the one with the most of them in the text.
_FUNCTION_WORDS = {
    "english": (
        "a an the of to in on at for from by with and or not is are was were be been being am do does did has have "
        "had can could may might must shall should will would i you he she it we they me my your his her its our "
        "their them us what which who whom whose when where why how this that these those there here as if so than "
        "then too very no nor but about into over under up out off only own same such both each few more most other "
        "some any all just also"
    ),
    "german": (
        "der die das den dem des ein eine einen einem einer eines und oder nicht ist sind war waren sein bin hat "
        "haben habe hatte wird werden kann konnen konnte darf durfen muss mussen soll sollen ich du er sie es wir "
        "ihr mich mir dich dir uns man mein meine was wer wie wo wann warum welche welcher welches in im an am auf "
        "aus bei mit nach von vom zu zum zur fur um uber unter als ob wenn dass so auch nur noch bis durch"
    ),
    "french": (
        "le la les l un une des du de d et ou ne pas est sont etait etre a ai as ont avoir avait que qu qui quoi "
        "quel quelle quels quelles quand comment pourquoi combien je tu il elle on nous vous ils elles me te se mon "
        "ma mes son sa ses ce cet cette ces au aux en dans sur sous par pour avec sans y puis peut si plus n s c j "
        "m t"
    ),
    "spanish": (
        "el la los las un una unos unas de del al y o no es son era ser esta estan ha han haber que quien cual "
        "cuando donde como cuanto cuantos cuanta cuantas por para con sin en a me te se lo le mi su sus yo tu nos "
        "este esto si mas"
    ),
}
FUNCTION_WORDS = {language: frozenset(words.split()) for language, words in _FUNCTION_WORDS.items()}


def language_of(words: Iterable[str]) -> str:
    """Return the language of a text: the one with the most function words in it, English if there are none."""
    distinct = set(words)
    counts = {language: len(distinct & known) for language, known in FUNCTION_WORDS.items()}
    return max(counts, key=counts.__getitem__)


def stems_in(language: str) -> Callable[[str], str]:
    """Return the stemmer of a language, which caches the stems of frequent words."""
    return _STEMS[language].__getitem__


def stems_of(word: str) -> list[str]:
    """Return the distinct stems of a word whose language is not known, one for each language."""
    return list(dict.fromkeys(stems[word] for stems in _STEMS.values()))


def _english(word: str) -> str:
    if word.endswith("ies") and len(word) > 4:
        word = word[:-3] + "y"
    elif word.endswith(("sses", "shes", "ches", "xes", "zes")):
        word = word[:-2]
    elif word.endswith("s") and not word.endswith(("ss", "us", "is")):
        word = word[:-1]
    stem = _without(word, _ENGLISH_ENDINGS)
    if not _VOWELS.isdisjoint(stem):  # `string` and `bring` keep their ending
        word = stem
    if len(word) > 3 and word[-1] == word[-2] and word[-1] in _DOUBLED:
        word = word[:-1]
    if len(word) > 3 and word[-1] == "e":
        word = word[:-1]
    return word[:-1] + "i" if len(word) > 2 and word[-1] == "y" else word


def _german(word: str) -> str:
    # Umlauts may be spelt with an e: both spellings have the same stem.
    for spelling, letter in (("ae", "a"), ("oe", "o"), ("ue", "u")):
        if spelling in word:
            word = word.replace(spelling, letter)
    return _without(word, _GERMAN_ENDINGS)


def _french(word: str) -> str:
    stem = _without(word, _FRENCH_ENDINGS)
    return stem[:-1] if len(stem) > 4 and stem[-1] == stem[-2] else stem


def _spanish(word: str) -> str:
    return _without(word, _SPANISH_ENDINGS)


def _by_length(endings: dict[int, str]) -> dict[int, dict[str, int]]:
    """Return suffixes with the minimum number of letters before them, by their length, the longest first."""
    found: dict[int, dict[str, int]] = {}
    for stay, row in endings.items():
        for ending in row.split():
            found.setdefault(len(ending), {})[ending] = stay
    return dict(sorted(found.items(), reverse=True))


_ENGLISH_ENDINGS, _GERMAN_ENDINGS = _by_length(_ENGLISH), _by_length(_GERMAN)
_FRENCH_ENDINGS, _SPANISH_ENDINGS = _by_length(_FRENCH), _by_length(_SPANISH)


def _without(word: str, endings: dict[int, dict[str, int]]) -> str:
    for length, alike in endings.items():
        stay = alike.get(word[-length:])
        if stay is not None and len(word) - length >= stay:
            return word[:-length]
    return word


class _Stems(dict[str, str]):
    """A cache of stems, of limited size."""

    def __init__(self, stem: Callable[[str], str]) -> None:
        self._stem = stem

    def __missing__(self, word: str) -> str:
        if len(self) >= WORDS_MAX:
            self.clear()
        # Numbers, identifiers and words of other scripts have no forms, and no form is very long.
        stem = self._stem(word) if 3 < len(word) <= 40 and word.isascii() and word.isalpha() else word
        self[word] = stem = word if stem == word else stem
        return stem


_STEMS = {
    "english": _Stems(_english),
    "german": _Stems(_german),
    "french": _Stems(_french),
    "spanish": _Stems(_spanish),
}
