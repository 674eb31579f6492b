"""Searches for words of several languages and scripts, and with each measure of distance."""

from __future__ import annotations

import pytest

from . import matchers
from .case import case
from .clients.rest import RestClient
from .library import Library
from .target import Target

pytestmark = pytest.mark.usefixtures("transport")
# A text for each language, and words of it: a whole word, one in other letters' case, and one from the middle.
TEXTS: dict[str, tuple[str, tuple[str, ...]]] = {
    "chinese": ("铜壶在大厅里。蕨类植物是绿色的。", ("铜壶", "大厅", "植物")),
    "japanese": ("銅のやかんは台所にあります。", ("やかん", "台所")),
    "korean": ("구리 주전자는 부엌에 있습니다.", ("주전자는", "부엌에")),
    "russian": ("Медный чайник стоит на кухне.", ("чайник", "МЕДНЫЙ")),
    "greek": ("Ένας χάλκινος βραστήρας βρίσκεται εδώ.", ("βραστήρας", "χάλκινος")),
    "arabic": ("الغلاية النحاسية في المطبخ.", ("النحاسية", "المطبخ")),
    "hebrew": ("הקומקום נמצא במטבח.", ("הקומקום", "במטבח")),
    "hindi": ("तांबे की केतली रसोई में है।", ("केतली", "तांबे")),
    "german": ("Der Kupferkessel für Öl hängt über dem Ofen.", ("öl", "KUPFERKESSEL", "Ofen")),
    "french": ("La bouilloire en cuivre est à l'entrée.", ("bouilloire", "CUIVRE")),
}


@case(
    "search.languages",
    *("documents.search", "documents.add"),
    evidence="assumed",
    source="OpenAPI: retrieval modes; that words of any language are found is not said and is what users expect",
)
def test_languages(rest: RestClient, target: Target, name: str) -> None:
    """A word finds the text in its language first, in every mode, also where words are not separated by spaces."""
    library = Library(rest, target, name, {word: text for word, (text, _) in TEXTS.items()})
    for language, (_, words) in TEXTS.items():
        for word in words:
            assert library.found(word) == [language], (language, word)
            for mode in ("hybrid", "semantic"):
                assert library.found(word, mode)[0] == language, (language, word, mode)


METRICS = ("HNSW_METRIC_COSINE", "HNSW_METRIC_EUCLIDEAN", "HNSW_METRIC_INNER_PRODUCT")
NOTES = ("The copper kettle of the hall.", "An iron kettle among ferns, and many other words.", "Water.")


@case(
    "search.metrics",
    *("collections.create", "documents.search", "documents.upload"),
    evidence="assumed",
    source="collections.proto: HNSWMetric; that a higher score is better with each of them is what scores are for",
)
def test_metrics(rest: RestClient, target: Target, name: str) -> None:
    """Each measure of distance ranks the nearest text first with falling scores; those of distances differ."""
    scores = {}
    for metric in METRICS:
        body = {"collection_name": f"{name}{metric}", "metric_space": metric}
        collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
        for number, text in enumerate(NOTES):
            rest.upload_document(collection, f"{name}{number}.txt", text.encode())

        def matches(collection: str = collection) -> list[tuple[str, float]]:
            found = rest.search("copper kettle", [collection], mode="semantic")
            return [(each.content, each.score) for each in found]

        matchers.wait_until(lambda: len(matches()), len(NOTES), within_seconds=target.wait_seconds_max)
        found = matches()
        assert found[0][0] == NOTES[0], metric
        scores[metric] = [score for _, score in found]
        assert scores[metric] == sorted(scores[metric], reverse=True), metric
    assert scores[METRICS[0]] != scores[METRICS[1]]
