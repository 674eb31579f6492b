"""Rules of searches as tables: words and phrases, sources, limits, groups and scores."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.models import ApiError
from .clients.rest import RestClient
from .library import Library
from .target import Target

pytestmark = pytest.mark.usefixtures("transport")

OPENAPI = "OpenAPI: POST /v1/documents/search"
UNKNOWN = "collection_00000000-0000-4000-8000-000000000000"


WORDS = {
    "invoice": "Invoice INV-99812 of 1,250 euros for the copper kettle.",
    "order": "Order 1 and 250 pieces of copper; the kettle was not among them.",
    "iron": "The iron kettle, version 3.14, was sold on 10/12/2026 at 12:30.",
    "ferns": "Ferns and ferns and more ferns: the hall is full.",
    "rest": "Nothing of interest is in here, not even water.",
    "café": "Im Café trinkt Zoë heiße Schokolade.",
    "tokyo": "東京都は日本の首都です。",
}
# What is searched for, and what has to be found, as a set.
QUERIES: tuple[tuple[str, set[str]], ...] = (
    ("kettle", {"invoice", "order", "iron"}),
    ("KETTLE", {"invoice", "order", "iron"}),
    ("copper kettle", {"invoice", "order", "iron"}),
    ('"copper kettle"', {"invoice"}),
    ('"kettle copper"', set()),
    ("INV-99812", {"invoice"}),
    ("1,250", {"invoice"}),
    ("250", {"invoice", "order"}),
    ("3.14", {"iron"}),
    ("10/12/2026", {"iron"}),
    ("12:30", {"iron"}),
    ("nowhere ferns", {"ferns"}),
    ("nowhere sold home ferns water", {"ferns", "rest", "iron"}),
    ("ferns iron", {"ferns", "iron"}),
    ('ferns"', {"ferns"}),
    ("unheard", set()),
    ("cafe", {"café"}),
    ("CAFÉ", {"café"}),
    ("zoe", {"café"}),
    ("東京", {"tokyo"}),
    ("日本", {"tokyo"}),
    ('"copper kettle" euros', {"invoice"}),
    ('"iron kettle" "version 3.14"', {"iron"}),
    ('"iron kettle" "copper kettle"', set()),
)


@case(
    "search.keyword.words",
    *("documents.search",),
    evidence="assumed",
    source="OpenAPI: keyword retrieval finds exact words; what stands between words and how phrases count is assumed",
)
def test_words(rest: RestClient, target: Target, name: str) -> None:
    """Keyword retrieval finds each word of a query in any case, numbers and ids as they are written, and phrases."""
    library = Library(rest, target, name, WORDS)
    for query, expected in QUERIES:
        found = library.found(query)
        assert set(found) == expected, f"{query} finds {found}"
        assert len(found) == len(set(found)), query
    assert set(library.found("copper kettle")[:2]) == {"invoice", "order"}  # two words of the query beat one


@case(
    "search.sources",
    *("documents.search",),
    evidence="assumed",
    source=f"{OPENAPI}, source",
    refusal="not found",
)
def test_sources(rest: RestClient, target: Target, name: str) -> None:
    """Every collection of a source has to exist; one that is named twice, or is empty, changes nothing."""
    library = Library(rest, target, name, WORDS)
    empty = rest.create_collection(f"{name}empty").id
    expected = library.matches("kettle copper")
    own = library.collection
    for ids in ([own], [own, own]):
        assert library.matches("kettle copper", source={"collection_ids": ids}) == expected, ids
    both = library.found("kettle copper", source={"collection_ids": [empty, own]})
    assert both == [library.names[each["file_id"]] for each in expected]
    assert library.matches("kettle", source={"collection_ids": [empty]}) == []
    for ids in ([own, UNKNOWN], [UNKNOWN, own]):
        with pytest.raises(ApiError) as error:
            library.matches("kettle", source={"collection_ids": ids})
        assert error.value.kind == "not_found", ids
    for query in ("", " ", "\t\n"):
        with pytest.raises(ApiError) as error:
            library.matches(query)
        assert error.value.kind == "invalid", repr(query)


@case(
    "search.limits",
    *("documents.search",),
    evidence="documented",
    source=f"{OPENAPI}: limit, scores, and the order of matches",
)
def test_limits(rest: RestClient, target: Target, name: str) -> None:
    """In each mode a limit cuts the same ranking, scores descend, and every read gives the same matches."""
    library = Library(rest, target, name, WORDS)
    query = "copper kettle ferns"
    for mode in ("keyword", "semantic", "hybrid"):
        deep: dict[str, Any] = {
            "retrieval_mode": {"type": mode, **({"search_multiplier": 100} if mode == "hybrid" else {})}
        }
        whole = library.matches(query, mode)
        scores = [each["score"] for each in whole]
        assert scores == sorted(scores, reverse=True), mode
        assert len({each["chunk_id"] for each in whole}) == len(whole), mode
        assert library.matches(query, mode) == whole, mode
        for limit in range(1, len(whole) + 2):
            assert library.matches(query, **deep, limit=limit) == whole[:limit], (mode, limit)
            assert len(library.matches(query, mode, limit=limit)) == min(limit, len(whole)), (mode, limit)
        for each in whole:
            text = WORDS[library.names[each["file_id"]]]
            matchers.check(each, {"chunk_content": text, "collection_ids": [library.collection]}, mode)
    assert set(library.found(query, "keyword")) <= set(library.found(query, "semantic"))


NULLABLE = ("limit", "filter", "instructions", "group_by", "retrieval_mode", "ranking_metric")
# Pairs of a body with null members and of the same body without them.
NULLED: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    *(({each: None}, {}) for each in NULLABLE),
    (dict.fromkeys(NULLABLE), {}),
    ({"retrieval_mode": {"type": "hybrid", "search_multiplier": None, "reranker": None}}, {}),
    (
        {"retrieval_mode": {"type": "hybrid", "reranker": {"type": "rrf", "k": None, "text_weight": 1.0}}},
        {"retrieval_mode": {"type": "hybrid", "reranker": {"type": "rrf", "text_weight": 1.0}}},
    ),
    *(
        ({"retrieval_mode": {"type": mode, "reranker": None}}, {"retrieval_mode": {"type": mode}})
        for mode in ("semantic", "keyword")
    ),
    ({"group_by": {"keys": ["author"], "aggregate": None}}, {"group_by": {"keys": ["author"]}}),
)


@case(
    "search.nulls",
    *("documents.search",),
    evidence="documented",
    source="OpenAPI: SearchRequest, RetrievalMode, GroupBy: members that may be null",
)
def test_nulls(rest: RestClient, target: Target, name: str) -> None:
    """A member that is null is as one that is left out."""
    library = Library(rest, target, name, WORDS)
    source = {"collection_ids": [library.collection], "rag_pipeline": None}
    request = {"query": "copper kettle", "source": source}

    def matches(body: dict[str, Any]) -> Any:
        return rest.json("POST", "/v1/documents/search", json_body={**request, **body})["matches"]

    for body, same in NULLED:
        found = matches(body)
        assert found == matches(same), body
        assert len(found) >= 1, body


RERANKER = {"model": "grok-4.3", "instructions": "Prefer kettles."}
# Members that a body may have, whatever they do to the ranking.
ACCEPTED: tuple[dict[str, Any], ...] = (
    {"instructions": "Prefer kettles."},
    *({"ranking_metric": f"RANKING_METRIC_{word}"} for word in ("UNKNOWN", "L2_DISTANCE", "COSINE_SIMILARITY")),
    *({"retrieval_mode": {"type": mode, "reranker": RERANKER}} for mode in ("semantic", "keyword")),
    {"retrieval_mode": {"type": "hybrid", "reranker": {"type": "reranker_model", **RERANKER}}},
    {"retrieval_mode": {"type": "hybrid", "reranker": {"type": "reranker_model"}}},
)


@case(
    "search.accepted",
    *("documents.search",),
    evidence="documented",
    source="OpenAPI: SearchRequest, RetrievalMode, DocumentsSource, RankingMetric",
)
def test_accepted(rest: RestClient, target: Target, name: str) -> None:
    """Instructions, metrics, pipelines and models that rerank are accepted with their documented values."""
    library = Library(rest, target, name, WORDS)
    source = {"collection_ids": [library.collection]}
    request = {"query": "copper kettle", "source": source}
    pipelines = ({"source": {**source, "rag_pipeline": word}} for word in ("chroma_db", "es"))
    for body in (*ACCEPTED, *pipelines):
        found = rest.json("POST", "/v1/documents/search", json_body={**request, **body})["matches"]
        assert len(found) >= 1, body


# Records of groups: the group, the value that orders them, and another value of text.
RECORDS = {
    "a": {"author": "Sappho", "year": "9", "place": "lesbos"},
    "b": {"author": "Sappho", "year": "10", "place": "athens"},
    "c": {"author": "Homer", "year": "8", "place": "chios"},
    "d": {"author": "Homer"},
    "e": {"year": "7", "place": "delphi"},
    "f": {"year": "-1", "place": "corinth"},
}
GROUPS: tuple[tuple[dict[str, Any], set[str]], ...] = (
    ({"keys": ["author"], "aggregate": {"min_k": {"keys": ["year"], "k": 1}}}, {"a", "c", "f"}),
    ({"keys": ["author"], "aggregate": {"max_k": {"keys": ["year"], "k": 1}}}, {"b", "c", "e"}),
    ({"keys": ["author"], "aggregate": {"min_k": {"keys": ["place"], "k": 1}}}, {"b", "c", "f"}),
    ({"keys": ["author"], "aggregate": {"max_k": {"keys": ["place"], "k": 1}}}, {"a", "c", "e"}),
    ({"keys": ["author"], "aggregate": {"max_k": {"keys": ["year"], "k": 2}}}, set(RECORDS)),
    ({"keys": ["author", "year"], "aggregate": {"min_k": {"keys": ["year"], "k": 1}}}, set(RECORDS)),
    ({"keys": ["author"], "aggregate": {"min_k": {"keys": ["kind", "year"], "k": 1}}}, {"a", "c", "f"}),
    ({"keys": ["author"], "aggregate": {"max_k": {"keys": ["kind", "year"], "k": 1}}}, {"b", "c", "e"}),
    ({"keys": ["author"], "aggregate": {"max_k": {"keys": ["place", "year"], "k": 1}}}, {"a", "c", "e"}),
    ({"keys": ["nothing"], "aggregate": {"min_k": {"keys": ["year"], "k": 2}}}, {"c", "e", "f"} - {"c"}),
)


@case(
    "search.group-by.rules",
    *("documents.search",),
    evidence="assumed",
    source=f"{OPENAPI}, group_by; how missing values group and sort is not documented",
)
def test_groups(rest: RestClient, target: Target, name: str) -> None:
    """Groups keep the k smallest or largest values, numbers as numbers; records without the key are one group."""
    texts = {word: f"The kettle {word}." for word in RECORDS}
    library = Library(rest, target, name, texts, **RECORDS)
    for group_by, expected in GROUPS:
        found = library.found("kettle", group_by=group_by)
        assert set(found) == expected, f"{group_by} keeps {found}"
    ranked = library.found("kettle")
    best = sorted({RECORDS[word].get("author"): word for word in reversed(ranked)}.values(), key=ranked.index)
    for aggregate in ({}, *({"aggregate": {word: {"keys": ["#score"], "k": 1}}} for word in ("min_k", "max_k"))):
        assert library.found("kettle", group_by={"keys": ["author"], **aggregate}) == best, aggregate
    ids = {word: id for id, word in library.names.items()}
    source = {"collection_ids": [library.collection], "file_ids": [ids[word] for word in "acd"]}
    for mode in ("keyword", "semantic", "hybrid"):
        found = library.found("kettle", mode, group_by=GROUPS[0][0], limit=2)
        assert len(found) == 2, mode
        assert set(found) <= GROUPS[0][1], mode
        filtered = library.found("kettle", mode, group_by=GROUPS[0][0], filter='author = "Sappho"')
        assert filtered == ["a"], mode
        for body, expected in (
            ({}, {"a", "c", "d"}),
            ({"filter": 'author = "Sappho"'}, {"a"}),
            ({"group_by": GROUPS[1][0]}, {"a", "c"}),
            ({"group_by": GROUPS[1][0], "filter": 'author = "Homer"'}, {"c"}),
        ):
            assert set(library.found("kettle", mode, source=source, **body)) == expected, (mode, body)


@case(
    "search.group-by.collections",
    *("documents.search",),
    evidence="documented",
    source=f"{OPENAPI}, group_by: applied to each collection, not to all of them together",
)
def test_groups_of_collections(rest: RestClient, target: Target, name: str) -> None:
    """In several collections each keeps its own groups: none loses a group because another has it too."""
    texts = {word: f"The kettle {word}." for word in RECORDS}
    first, second = (Library(rest, target, f"{name}{word}", texts, **RECORDS) for word in "ab")
    source = {"collection_ids": [first.collection, second.collection]}
    for group_by in ({"keys": ["author"]}, *(each for each, _ in GROUPS)):
        alone = [library.found("kettle", group_by=group_by) for library in (first, second)]
        found = [each["file_id"] for each in first.matches("kettle", group_by=group_by, source=source, limit=50)]
        together = [[library.names[id] for id in found if id in library.names] for library in (first, second)]
        assert [sorted(each) for each in together] == [sorted(each) for each in alone], group_by


NUMBERS = {"a": "-10", "b": "-2.5", "c": "0", "d": "2.50", "e": "1e3", "f": "text", "g": ""}
# A filter over the values above, and the records that it finds.
COMPARISONS: tuple[tuple[str, set[str]], ...] = (
    ("value < 0", {"a", "b"}),
    ("value <= -2.5", {"a", "b"}),
    ("value > -10", {"b", "c", "d", "e"}),
    ("value = 2.5", {"d"}),
    ("value = 1000", {"e"}),
    ("value >= 1e2", {"e"}),
    ('value = "text"', {"f"}),
    ('value = ""', {"g"}),
    ('value != "text"', set("abcdegh") - {"h"}),
    ("value = null", {"h"}),
    ("value != null", set("abcdefg")),
)


@case(
    "search.filter.values",
    *("documents.search",),
    evidence="assumed",
    source=f"{OPENAPI}, filter; AIP-160; which texts compare as numbers is not documented",
)
def test_values(rest: RestClient, target: Target, name: str) -> None:
    """Values that spell numbers compare as numbers, with signs, fractions and exponents; null finds missing values."""
    fields = {word: {"value": value} for word, value in NUMBERS.items()}
    texts = {word: f"The kettle {word}." for word in [*NUMBERS, "h"]}
    library = Library(rest, target, name, texts, **fields)
    for filter, expected in COMPARISONS:
        for mode in ("keyword", "semantic"):
            found = library.found("kettle", mode, filter=filter, limit=20)
            assert set(found) == expected, f"{filter} finds {found}"


WRITTEN = {
    "a": {"author": "Sappho", "year": "9"},
    "b": {"author": "O'Brien", "year": "10"},
    "c": {"author": "Homer of Chios", "year": "100"},
    "d": {"author": "INV-7", "year": "-3"},
    "e": {"place": "Lesbos"},
}
# Each way to write a filter that the guides name, and the records above that it finds.
SYNTAX: tuple[tuple[str, set[str]], ...] = (
    ("year:9..10", {"a", "b"}),
    ("year:10..99", {"b"}),
    ("year:11..99", set()),
    ("year:10..10", {"b"}),
    ("year:-3..9", {"a", "d"}),
    ("year:9..100 AND author = Sappho", {"a"}),
    ("author = 'Sappho'", {"a"}),
    ('author = "Sappho"', {"a"}),
    ("author = Sappho", {"a"}),
    ("author=Sappho", {"a"}),
    ("author   =   'Sappho'", {"a"}),
    ("author = INV-7", {"d"}),
    ('author = "O\'Brien"', {"b"}),
    ("author = 'Homer of Chios'", {"c"}),
    ('author = "Homer"', set()),
    ('author = "Sap*"', set()),
    ('author = "sappho"', set()),
    ('author > "I" AND author < "P"', {"b", "d"}),
    ("year>9", {"b", "c"}),
    ("year<=9", {"a", "d"}),
    ('year = "10"', {"b"}),
    ('nothing = "x"', set()),
    ("author = Sappho OR author = 'INV-7'", {"a", "d"}),
    ("(author = Sappho OR year = 10) AND year < 10", {"a"}),
    ("author = Sappho OR year = 10 AND year >= 10", {"b"}),
)


@case(
    "search.filter.syntax",
    *("documents.search",),
    evidence="documented",
    source=f"{OPENAPI}, filter; Collections guide: metadata filters",
)
def test_syntax(rest: RestClient, target: Target, name: str) -> None:
    """Filters take ranges with both ends, quotes of both kinds, bare words, and any blanks; texts are equal or not."""
    library = Library(rest, target, name, {word: f"The kettle {word}." for word in WRITTEN}, **WRITTEN)
    for filter, expected in SYNTAX:
        found = library.found("kettle", filter=filter, limit=20)
        assert set(found) == expected, f"{filter} finds {found}"


@case(
    "search.ties",
    *("documents.search",),
    evidence="assumed",
    source="chunks of equal scores come in the order in which they were indexed",
)
def test_ties(rest: RestClient, target: Target, name: str) -> None:
    """Equal chunks have equal scores, and come in the order in which they were added, whatever the limit."""
    texts = dict.fromkeys("cabd", "The kettle is warm.")
    library = Library(rest, target, name, texts)
    for mode in ("keyword", "semantic", "hybrid"):
        for limit in (1, 2, 4, 10):
            assert library.found("kettle", mode, limit=limit) == list("cabd")[:limit], (mode, limit)


@case(
    "search.fusion.formula",
    *("documents.search",),
    evidence="assumed",
    source="OpenAPI: reciprocal rank fusion; the formula is that of its paper (SIGIR 2009)",
)
def test_formula(rest: RestClient, target: Target, name: str) -> None:
    """A fused score is the sum of weight / (k + rank) of both rankings, for every k and every weight."""
    library = Library(rest, target, name, WORDS)
    query = "copper kettle"
    ranks: list[dict[str, int]] = []
    for mode in ("semantic", "keyword"):
        found = library.found(query, mode, limit=20)
        ranks.append({word: place for place, word in enumerate(found, 1)})
    for k, semantic, keyword in ((60, 0.5, 0.5), (1, 0.5, 0.5), (10, 1.0, 0.0), (10, 0.0, 1.0), (3, 0.25, 2.0)):
        weights = {"k": k, "embedding_weight": semantic, "text_weight": keyword}
        hybrid = {"type": "hybrid", "search_multiplier": 100, "reranker": {"type": "rrf", **weights}}
        matches = library.matches(query, retrieval_mode=hybrid, limit=20)
        for match in matches:
            word = library.names[match["file_id"]]
            parts = zip((semantic, keyword), ranks, strict=True)
            expected = sum(weight / (k + ranking[word]) for weight, ranking in parts if word in ranking)
            assert abs(match["score"] - expected) <= 1e-6, f"{weights}: {word} has {match['score']}, not {expected}"


@case(
    "search.several-collections.interleaved",
    *("documents.search",),
    evidence="assumed",
    source="scores of several collections cannot be compared, so their ranks decide",
)
def test_interleaved(rest: RestClient, target: Target, name: str) -> None:
    """Matches of several collections take turns by rank in every mode, however different their scores are."""
    rare = {f"a{number}": f"The kettle {'of the house ' * number}" for number in range(3)}
    fillers = {f"x{number}": "Ferns in the hall." for number in range(9)}
    frequent = {f"b{number}": f"{'One of many words ' * 5} kettle {number}" for number in range(3)}
    first = Library(rest, target, f"{name}a", {**rare, **fillers})
    second = Library(rest, target, f"{name}b", frequent)
    for ids in ([first.collection, second.collection], [second.collection, first.collection]):
        for mode in ("keyword", "semantic", "hybrid"):
            matches = first.matches("kettle", mode, source={"collection_ids": ids}, limit=6)
            assert [each["collection_ids"] for each in matches] == [[id] for id in ids * 3], (mode, ids)
            assert len({each["score"] for each in matches[:2]}) == 1, mode
        for k in (1, 60):
            hybrid = {"type": "hybrid", "reranker": {"type": "rrf", "k": k}}
            matches = first.matches("kettle", retrieval_mode=hybrid, source={"collection_ids": ids}, limit=6)
            assert [round(1 / each["score"]) - k for each in matches] == [1, 1, 2, 2, 3, 3], k


@case(
    "search.indexing",
    *("documents.search", "documents.add", "documents.reindex"),
    evidence="assumed",
    source="Collections guide: a document can be searched once it is processed",
    control=True,
)
def test_indexing(rest: RestClient, target: Target, name: str) -> None:
    """A document is found once it is processed, and not while it is being indexed, for the first time or again."""
    library = Library(rest, target, name, {"a": "The kettle is warm."})
    [file] = library.names
    target.control("PATCH", f"/teams/{target.team}", {"indexing": "manual"}, team=None)
    other = rest.upload_file(b"The other kettle.", f"{name}b.txt").id
    rest.add_document(library.collection, other)
    library.names[other] = "b"
    assert library.found("kettle") == ["a"]
    rest.reindex_document(library.collection, file)
    assert rest.get_document(library.collection, file).status != "PROCESSED"
    for mode in ("keyword", "semantic", "hybrid"):
        assert library.found("kettle", mode) == [], mode
    target.control("POST", "/jobs/run")
    assert sorted(library.found("kettle")) == ["a", "b"]


@case(
    "search.fields.own",
    *("documents.search",),
    evidence="assumed",
    source="recorded: a match has title and chroma:uri beside the fields of its document; which of two wins is assumed",
)
def test_own_fields(rest: RestClient, target: Target, name: str) -> None:
    """A field of the document that is named as one of the service has the value of the document in a match."""
    fields = {"a": {"title": "Of kettles", "author": "Sappho"}, "b": {"author": "Homer"}}
    library = Library(rest, target, name, {"a": "The kettle is copper.", "b": "The kettle is iron."}, **fields)
    for mode in ("keyword", "semantic", "hybrid"):
        shown = {library.names[each["file_id"]]: each["fields"] for each in library.matches("kettle", mode)}
        assert (shown["a"]["title"], shown["a"]["author"]) == ("Of kettles", "Sappho"), mode
        assert (shown["b"].get("title", f"{name}b.txt"), shown["b"]["author"]) == (f"{name}b.txt", "Homer"), mode
