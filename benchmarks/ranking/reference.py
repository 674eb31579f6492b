"""The ranking of `emulator.store.index` written down as plainly as possible: what its scores are, without its speed.

`analysis` and `ngrams` say what terms and n-grams are and what they weigh; here they are counted in dictionaries.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import numpy

from emulator.domain.search import Fusion, keyword_query
from emulator.store.index.analysis import FIELDS, K1, B, Term, fields_of, idf, terms_of
from emulator.store.index.ngrams import ngrams_of, ngrams_of_query, weights


class Reference:
    """Ranks texts; each method returns their places, best first."""

    def __init__(self, texts: Sequence[str]) -> None:
        self._total = len(texts)
        self._fields = [[fields_of(text)[field] for text in texts] for field in range(len(FIELDS))]
        self._counts = [[Counter(terms) for terms in field] for field in self._fields]
        self._lengths = [sum(map(len, field)) / len(field) for field in self._fields]
        self._ngrams = [frozenset(ngrams_of([text])[1].tolist()) for text in texts]
        self._with_ngram = Counter(ngram for ngrams in self._ngrams for ngram in ngrams)

    def keyword(self, query: str) -> list[int]:
        """Rank by BM25."""
        scores: defaultdict[int, float] = defaultdict(float)
        terms = terms_of(keyword_query(query))
        for term in terms:
            for place, score in self._scores(term).items():
                scores[place] += score
        for term in terms:
            if term.required:
                found = self._scores(term)
                scores = defaultdict(float, {place: score for place, score in scores.items() if place in found})
        return _ranked(scores)

    def semantic(self, query: str) -> list[int]:
        """Rank by the cosine of weighted n-grams."""
        ngrams = sorted(set(ngrams_of_query(query).tolist()))
        counts = numpy.array([self._with_ngram[ngram] for ngram in ngrams], numpy.int64)
        weight = dict(zip(ngrams, weights(counts, self._total).tolist(), strict=True))
        length = math.sqrt(sum(each * each for each in weight.values()))
        scores = {
            place: sum(weight[ngram] for ngram in sorted(weight.keys() & held)) / length / math.sqrt(len(held))
            for place, held in enumerate(self._ngrams)
            if held and length
        }
        return _ranked({place: round(score, 6) for place, score in scores.items()})

    def hybrid(self, query: str, depth: int) -> list[int]:
        """Fuse the best of both rankings by their ranks."""
        keyword = {place: rank for rank, place in enumerate(self.keyword(query)[:depth], 1)}
        semantic = {place: rank for rank, place in enumerate(self.semantic(query)[:depth], 1)}
        fusion = Fusion()
        return _ranked({place: fusion.score(keyword.get(place), semantic.get(place)) for place in keyword | semantic})

    def _scores(self, term: Term) -> dict[int, float]:
        counts = {
            place: count
            for place, held in enumerate(self._counts[term.field])
            if all(part in held for part in term.parts) and (count := self._count(term, place))
        }
        weight = term.weight * idf(len(counts), self._total)
        lengths, mean = self._fields[term.field], self._lengths[term.field]
        return {
            place: weight * count * (K1 + 1) / (count + K1 * (1 - B + B * len(lengths[place]) / mean))
            for place, count in counts.items()
        }

    def _count(self, term: Term, place: int) -> int:
        if len(term.parts) == 1:
            return self._counts[term.field][place][term.parts[0]]
        words, size = self._fields[term.field][place], len(term.parts)
        return sum(tuple(words[start : start + size]) == term.parts for start in range(len(words) - size + 1))


def _ranked(scores: Mapping[int, float]) -> list[int]:
    return sorted(scores, key=lambda place: (-scores[place], place))
