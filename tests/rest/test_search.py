"""POST /v1/documents/search: what is found, in which shape, and how a wrong request is refused."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.examples import examples

SHAPE = "Failed to deserialize the JSON body into the target type: "
HYBRID, SEMANTIC, KEYWORD = ({"type": word} for word in ("hybrid", "semantic", "keyword"))
UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
MODES = [HYBRID, SEMANTIC, KEYWORD]


@dataclass
class Library:
    """A team with collections of short documents."""

    rest: httpx.Client
    management: httpx.Client

    def collection(self, **body: Any) -> str:
        """A new collection."""
        reply = self.management.post("/v1/collections", json={"collection_name": "library", **body})
        return str(reply.raise_for_status().json()["collection_id"])

    def document(self, collection: str, text: str, name: str = "a.txt", **fields: str) -> str:
        """A new file with a text, as a document; the id of the file."""
        file = self.rest.post("/v1/files", files={"file": (name, text.encode())}).raise_for_status().json()["id"]
        path = f"/v1/collections/{collection}/documents/{file}"
        self.management.post(path, json={"fields": fields}).raise_for_status()
        return str(file)

    def search(self, *collections: str, query: str = "ash", **body: Any) -> httpx.Response:
        """The reply to a search."""
        source = {"collection_ids": list(collections)}
        return self.rest.post("/v1/documents/search", json={"query": query, "source": source, **body})

    def found(self, *collections: str, **body: Any) -> list[dict[str, Any]]:
        """The matches of a search."""
        matches: list[dict[str, Any]] = self.search(*collections, **body).raise_for_status().json()["matches"]
        return matches

    def files(self, *collections: str, **body: Any) -> list[str]:
        """The files of the matches of a search."""
        return [match["file_id"] for match in self.found(*collections, **body)]


@pytest.fixture
def library(rest: httpx.Client, management: httpx.Client) -> Library:
    """A team without anything."""
    return Library(rest, management)


@pytest.mark.parametrize("mode", [None, *MODES])
def test_match_has_documented_members(library: Library, mode: object) -> None:
    """Keys, types and content; the mode is hybrid when none is given."""
    collection = library.collection()
    file = library.document(collection, "An ash in the garden", author="Ada", year="1843")
    library.document(collection, "Nothing to see", name="b.txt")
    reply = library.search(collection, retrieval_mode=mode)
    match = reply.json()["matches"][0]
    assert reply.headers["content-type"] == "application/json"
    assert list(match) == ["file_id", "chunk_id", "chunk_content", "score", "collection_ids", "fields", "page_number"]
    assert match["file_id"] == file
    assert match["chunk_content"] == "An ash in the garden"
    assert match["collection_ids"] == [collection]
    title, uri = match["fields"].pop("title"), match["fields"].pop("chroma:uri")
    assert title == "a.txt"
    assert re.fullmatch(f"teams/{UUID}/files/{file}", uri)
    assert match["fields"] == {"author": "Ada", "year": "1843"}
    assert match["page_number"] == 0
    assert match["score"] > 0
    if mode in (None, HYBRID):
        assert match["score"] == pytest.approx(1 / 61)


def test_document_field_named_title_wins_over_the_file_name(library: Library) -> None:
    """Observed live: `fields` holds `title`, the name of the file; a field of the document is not overwritten."""
    collection = library.collection()
    library.document(collection, "An ash", title="Trees")
    assert library.found(collection)[0]["fields"]["title"] == "Trees"


def test_filter_on_service_field_matches_nothing(library: Library) -> None:
    """A filter over `title` sees the fields of documents only."""
    collection = library.collection()
    library.document(collection, "An ash", name="a.txt")
    declared = library.document(collection, "An ash", name="b.txt", title="a.txt")
    assert library.files(collection, filter='title = "a.txt"') == [declared]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("filter", [None, 'author = "Ada"'])
def test_file_ids_restrict_search_to_their_documents(library: Library, mode: object, filter: str | None) -> None:
    """Observed live, 2026-10: accepted beside collection_ids, although it is not documented."""
    collection = library.collection()
    files = [library.document(collection, "An ash", name=f"{number}.txt", author="Ada") for number in range(3)]
    for wanted in (files[:1], files[1:], ["file_unknown"]):
        source = {"collection_ids": [collection], "file_ids": wanted}
        body = {"query": "ash", "source": source, "retrieval_mode": mode, "filter": filter}
        matches = library.rest.post("/v1/documents/search", json=body).raise_for_status().json()["matches"]
        assert sorted(match["file_id"] for match in matches) == sorted(set(wanted) & set(files))


def test_file_ids_without_collection_ids_are_refused(library: Library) -> None:
    """Observed live, 2026-10: the list of collections must not be empty all the same."""
    body = {"query": "ash", "source": {"collection_ids": [], "file_ids": ["file_1"]}}
    reply = library.rest.post("/v1/documents/search", json=body)
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "collection_ids")


def test_empty_file_ids_restrict_nothing(library: Library) -> None:
    collection = library.collection()
    file = library.document(collection, "An ash")
    body = {"query": "ash", "source": {"collection_ids": [collection], "file_ids": []}}
    matches = library.rest.post("/v1/documents/search", json=body).raise_for_status().json()["matches"]
    assert [match["file_id"] for match in matches] == [file]


@pytest.mark.parametrize("mode", MODES)
def test_same_search_returns_same_bytes(library: Library, mode: object) -> None:
    """Chunk ids are those of the content, and equal scores have an order."""
    collection = library.collection()
    for number in range(12):
        library.document(collection, "ash and elm" if number % 2 else "elm and ash", name=f"{number}.txt")
    first = library.search(collection, retrieval_mode=mode).content
    assert library.search(collection, retrieval_mode=mode).content == first
    scores = [match["score"] for match in json.loads(first)["matches"]]
    assert len(scores) == 10
    assert scores == sorted(scores, reverse=True)


def test_same_seed_and_documents_return_same_bytes() -> None:
    """In two emulators that know nothing of each other."""

    def once() -> list[bytes]:
        with Emulator(random_seed="7") as emulator:
            headers = [{"authorization": f"Bearer {key}"} for key in (emulator.api_key, emulator.management_key)]
            with (
                httpx.Client(base_url=emulator.url, headers=headers[0]) as rest,
                httpx.Client(base_url=emulator.url, headers=headers[1]) as management,
            ):
                library = Library(rest, management)
                collection = library.collection()
                for text in ("ash", "ash elm", "elm elm", "oak", "ash oak"):
                    library.document(collection, text)
                return [library.search(collection, query="elm ash", retrieval_mode=mode).content for mode in MODES]

    assert once() == once()


def test_chunk_ids_are_stable(library: Library) -> None:
    """Indexing the same content again gives the same chunks."""
    collection = library.collection(
        chunk_configuration={"chars_configuration": {"max_chunk_size_chars": 20, "chunk_overlap_chars": 0}}
    )
    file = library.document(collection, "ash " * 30)
    before = {match["chunk_id"] for match in library.found(collection)}
    library.management.patch(f"/v1/collections/{collection}/documents/{file}").raise_for_status()
    assert {match["chunk_id"] for match in library.found(collection)} == before
    assert len(before) > 3


def test_removed_document_is_not_found_by_next_search(library: Library, emulator: Emulator) -> None:
    """Removed, replaced, deleted or expired, it is found no more in the very next search."""
    collection = library.collection()
    kept = library.document(collection, "ash kept")
    removed, deleted, changed = (library.document(collection, f"ash {word}") for word in ("one", "two", "three"))
    assert set(library.files(collection)) == {kept, removed, deleted, changed}
    library.management.delete(f"/v1/collections/{collection}/documents/{removed}").raise_for_status()
    assert set(library.files(collection)) == {kept, deleted, changed}
    library.rest.delete(f"/v1/files/{deleted}").raise_for_status()
    assert set(library.files(collection)) == {kept, changed}
    library.rest.put(f"/v1/files/{changed}", files={"file": ("c.txt", b"birch")}).raise_for_status()
    assert library.files(collection, retrieval_mode=KEYWORD) == [kept]
    assert library.files(collection, query="birch", retrieval_mode=KEYWORD) == [changed]

    upload = {"expires_after": (None, "3600"), "file": ("e.txt", b"ash that expires")}
    expiring = library.rest.post("/v1/files", files=upload).raise_for_status().json()["id"]
    library.management.post(f"/v1/collections/{collection}/documents/{expiring}").raise_for_status()
    emulator.advance(3500)
    assert set(library.files(collection, retrieval_mode=KEYWORD)) == {kept, expiring}
    emulator.advance(100)
    assert library.files(collection, retrieval_mode=KEYWORD) == [kept]

    library.management.delete(f"/v1/collections/{collection}").raise_for_status()
    assert library.search(collection).status_code == 404


def test_expired_file_is_not_found_before_its_job_runs(library: Library, emulator: Emulator) -> None:
    """Whether or not the job that removes it has run: here the clock is past it, and the job still to come."""
    collection = library.collection()
    files = {"expires_after": (None, "3600"), "file": ("e.txt", b"ash")}
    expiring = library.rest.post("/v1/files", files=files).raise_for_status().json()["id"]
    library.management.post(f"/v1/collections/{collection}/documents/{expiring}").raise_for_status()
    kept = library.document(collection, "ash and elm")
    services = emulator._running().services
    clock = services.teams.get("default").clock
    assert library.files(collection) == [expiring, kept]
    clock.offset += 3600 * 1_000_000  # without a word to the job loop
    for body in ({}, {"filter": "NOT a = 1"}, {"group_by": {"keys": ["a"]}}):
        assert library.files(collection, **body) == [kept]


def test_restored_team_searches_documents_of_snapshot(library: Library, emulator: Emulator) -> None:
    """Also where everything was searched, and changed, since the snapshot."""
    collection = library.collection()
    library.document(collection, "ash and elm")
    before = library.search(collection).content
    control = httpx.Client(base_url=f"{emulator.url}/_emulator")
    with control:
        control.post("/snapshots", json={"name": "kept"}).raise_for_status()
        library.document(collection, "ash")
        assert library.search(collection).content != before
        control.post("/snapshots/kept/restore").raise_for_status()
        assert library.search(collection).content == before


@pytest.mark.parametrize("speed", ["manual", "realistic"])
def test_document_is_found_only_when_processed(speed: str) -> None:
    """A document that is still processed, or that failed, is not there yet."""
    with Emulator(indexing=speed) as emulator:
        rest, management = (
            httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {key}"})
            for key in (emulator.api_key, emulator.management_key)
        )
        with rest, management, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
            control.post("/clock/freeze").raise_for_status()
            library = Library(rest, management)
            collection = library.collection()
            library.document(collection, "ash")
            assert library.found(collection) == []


FILTERS = [
    ('author="Sandra Kim"', "13"),
    ("year>=2020 AND year<2024", "2"),
    ('author="Sandra Kim" AND year = 2024 OR year = 1999', "13"),
    ("year:2019..2024", "123"),
    ('author != "Sandra Kim"', "2"),
    ('nobody_has_this = "x"', ""),
    ("nobody_has_this != x", ""),
    ('author="S*"', ""),
    ("  ", "1234"),
]


@pytest.mark.parametrize(("text", "expected"), FILTERS)
def test_filter_selects_documents_by_fields(library: Library, text: str, expected: str) -> None:
    """The operators of the Metadata guide; a field that no document has matches none."""
    collection = library.collection()
    names = {
        library.document(collection, "ash", author="Sandra Kim", year="2024"): "1",
        library.document(collection, "ash", author="John Doe", year="2020"): "2",
        library.document(collection, "ash", author="Sandra Kim", year="2019"): "3",
        library.document(collection, "ash"): "4",
    }
    if "1999" in text:
        library.document(collection, "ash", author="Sandra Kim", year="1998")
        library.document(collection, "ash", author="Sandra Kim", year="1999")
        expected = "1"
        names[library.files(collection, filter="year = 1999")[0]] = ""
    for mode in MODES:
        found = library.files(collection, filter=text, retrieval_mode=mode, limit=50)
        assert sorted(names[file] for file in found if names.get(file)) == list(expected)


def test_bad_filter_returns_400_with_caret(library: Library) -> None:
    """400 in the plane's dialect, with the place of the mistake."""
    reply = library.search(library.collection(), filter='author = "x" AND = 3')
    assert reply.status_code == 400
    assert reply.json()["code"] == "invalid-argument"
    lines = reply.json()["error"].splitlines()
    assert lines[1:3] == ['  author = "x" AND = 3', " " * 19 + "^"]
    assert reply.headers["x-emulator-rule"] == "filter"


def test_filter_keeps_scores_and_order(library: Library) -> None:
    """In every mode: what passes keeps its score and its order."""
    collection = library.collection()
    words = ["ash", "elm", "oak", "fir"]
    for number in range(40):
        text = " ".join(words[(number * step) % 4] for step in range(1, 2 + number % 5))
        library.document(collection, text, name=f"{number}.txt", parity=str(number % 2), third=str(number % 3))

    @settings(
        max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )
    @given(
        st.sampled_from(MODES),
        st.lists(st.sampled_from(words), min_size=1, max_size=3).map(" ".join),
        st.sampled_from(["parity=0", "third=1 AND parity=1", "third!=2", "NOT third=2", "parity=7"]),
    )
    def check(mode: dict[str, str], query: str, text: str) -> None:
        body = {"query": query, "retrieval_mode": mode, "limit": 1000}
        passes: Callable[[dict[str, str]], bool] = {
            "parity=0": lambda fields: fields["parity"] == "0",
            "third=1 AND parity=1": lambda fields: (fields["third"], fields["parity"]) == ("1", "1"),
            "third!=2": lambda fields: fields["third"] != "2",
            "NOT third=2": lambda fields: fields["third"] != "2",
            "parity=7": lambda fields: False,
        }[text]
        everything = library.found(collection, **body)
        expected = [match for match in everything if passes(match["fields"])]
        assert library.found(collection, filter=text, **body) == expected
        if mode != HYBRID:
            assert library.found(collection, filter=text, **{**body, "limit": 3}) == expected[:3]

    check()


def test_grouping_keeps_best_of_each_group_and_collection(library: Library) -> None:
    """After filtering, for each collection by itself, then cut to the limit."""
    first, second = library.collection(), library.collection()
    for collection in (first, second):
        for number, topic in enumerate(["tree", "tree", "wood", None, None]):
            fields = {} if topic is None else {"topic": topic, "year": str(2020 + number)}
            library.document(collection, "ash " * (5 - number) + "and elm " * number, **fields)

    def years(*collections: str, **group_by: Any) -> list[str | None]:
        matches = library.found(*collections, retrieval_mode=KEYWORD, group_by={"keys": ["topic"], **group_by})
        return [match["fields"].get("year") for match in matches]

    assert years(first) == ["2020", "2022", None]
    assert years(first, aggregate={"min_k": {"keys": ["#score"], "k": 2}}) == ["2020", "2021", "2022", None, None]
    assert years(first, aggregate={"max_k": {"keys": ["year"], "k": 1}}) == ["2021", "2022", None]
    assert years(first, second) == ["2020", "2020", "2022", "2022", None, None]
    everything = library.found(first, retrieval_mode=KEYWORD, group_by={"keys": ["topic"]}, limit=2)
    assert [match["fields"]["year"] for match in everything] == ["2020", "2022"]


def test_collections_are_fused_by_rank(library: Library) -> None:
    """Their scores mean nothing beside each other: the first of each comes before the second of any."""
    small, large, empty = (library.collection() for _ in range(3))
    library.document(small, "ash")
    library.document(small, "ash and a long sentence about anything but trees")
    for number in range(8):
        library.document(large, "ash " * (number + 1) + "elm")
        library.document(large, "oak")
    for mode in MODES:
        matches = library.found(small, large, empty, retrieval_mode=mode, limit=4)
        assert [match["collection_ids"] for match in matches] == [[small], [large]] * 2
        alone = library.found(large, retrieval_mode=mode, limit=2)
        assert [match["chunk_id"] for match in matches[1::2]] == [match["chunk_id"] for match in alone]
        assert library.found(large, large, retrieval_mode=mode, limit=2) == alone


def test_fusion_with_one_weight_orders_like_that_ranking(library: Library) -> None:
    """With all weight on one side, a hybrid search orders as that side alone."""
    collection = library.collection()
    for text in ("ashes and ashtrays, ashen", "ash", "mashed", "wash the ash", "elm"):
        library.document(collection, text)
    for mode, weights in ((KEYWORD, (0, 1)), (SEMANTIC, (1, 0))):
        reranker = {"type": "rrf", "k": 1, "embedding_weight": weights[0], "text_weight": weights[1]}
        fused = library.found(collection, retrieval_mode={**HYBRID, "reranker": reranker})
        alone = library.found(collection, retrieval_mode=mode)
        assert [match["chunk_id"] for match in fused][: len(alone)] == [match["chunk_id"] for match in alone]
        assert fused[0]["score"] == 0.5


def test_multiplier_adds_deeper_candidates(library: Library) -> None:
    """A chunk that is second in both rankings is a candidate only if each gives more than its first."""
    collection = library.collection()
    others = "the weather in the valley stayed mild while boats went out to fish for cod and herring near the island "
    library.document(collection, "quantum computer " * 9 + others * 4)
    library.document(collection, "quantums computers")
    second = library.document(collection, "one quantum computer hums in a basement")
    found = {
        multiplier: library.files(
            collection, query="quantum computer", limit=1, retrieval_mode={**HYBRID, "search_multiplier": multiplier}
        )
        for multiplier in (1, 2)
    }
    assert second not in found[1]
    assert found[2] == [second]


@pytest.mark.parametrize(
    "body",
    [
        {"instructions": "Prefer recent ones", "retrieval_mode": HYBRID},
        {"retrieval_mode": {**HYBRID, "reranker": {"type": "reranker_model", "model": "m", "instructions": "i"}}},
        {"retrieval_mode": {**SEMANTIC, "reranker": {"model": "m"}}},
        {"ranking_metric": "RANKING_METRIC_L2_DISTANCE"},
    ],
)
def test_parameter_without_effect_is_accepted_with_warning(library: Library, body: dict[str, Any]) -> None:
    """There is no model here that could follow instructions or rerank."""
    collection = library.collection()
    library.document(collection, "ash")
    reply = library.search(collection, **body)
    assert len(reply.json()["matches"]) == 1
    assert "without effect" in reply.headers["x-emulator-warning"]


@pytest.mark.parametrize("pipeline", ["chroma_db", "es", None])
def test_rag_pipeline_is_accepted(library: Library, pipeline: str | None) -> None:
    """rag_pipeline is accepted; null is as good as nothing, here as in every optional field."""
    collection = library.collection()
    library.document(collection, "ash")
    optional = ("limit", "filter", "instructions", "retrieval_mode", "group_by", "ranking_metric")
    source = {"collection_ids": [collection], "rag_pipeline": pipeline}
    body = {"query": "ash", "source": source, **dict.fromkeys(optional)}
    reply = library.rest.post("/v1/documents/search", json=body)
    assert len(reply.json()["matches"]) == 1
    assert "x-emulator-warning" not in reply.headers


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ("{}", "missing field `query` at line 1 column 2"),
        ('{\n  "query": "x"\n}', "missing field `source` at line 3 column 1"),
        ('{"query":"x","source":{}}', "source: missing field `collection_ids` at line 1 column 24"),
        (
            '{"query":"x","source":"c"}',
            'source: invalid type: string "c", expected struct DocumentsSource at line 1 column 25',
        ),
        ('{"query":1,"source":{}}', "query: invalid type: integer `1`, expected a string at line 1 column 10"),
        (
            '{"query":"x","source":{"collection_ids":[1]}}',
            "source.collection_ids[0]: invalid type: integer `1`, expected a string at line 1 column 42",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"limit":"3"}',
            'limit: invalid type: string "3", expected i32 at line 1 column 55',
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"limit":3000000000}',
            "limit: invalid value: integer `3000000000`, expected i32 at line 1 column 62",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"retrieval_mode":"hybrid"}',
            'retrieval_mode: invalid type: string "hybrid", expected internally tagged enum RetrievalMode '
            "at line 1 column 69",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"retrieval_mode":{}}',
            "retrieval_mode: missing field `type` at line 1 column 63",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"retrieval_mode":{"type":"magic"}}',
            "retrieval_mode.type: unknown variant `magic`, expected one of `hybrid`, `semantic`, `keyword` "
            "at line 1 column 76",
        ),
        (
            '{"query":"","source":{"collection_ids":[]},"retrieval_mode":{"type":"hybrid","reranker":{"type":"x"}}}',
            "retrieval_mode.reranker.type: unknown variant `x`, expected `reranker_model` or `rrf` at line 1 column 99",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},'
            '"retrieval_mode":{"type":"hybrid","reranker":{"type":"rrf","text_weight":"1"}}}',
            'retrieval_mode.reranker.text_weight: invalid type: string "1", expected f32 at line 1 column 120',
        ),
        (
            '{"query":"x","source":{"collection_ids":[],"rag_pipeline":"x"}}',
            "source.rag_pipeline: unknown variant `x`, expected `chroma_db` or `es` at line 1 column 61",
        ),
        (
            '{"query":"x","source":{"collection_ids":[]},"group_by":{"keys":["a"],"aggregate":{}}}',
            "group_by.aggregate: invalid type: map, expected struct GroupByAggregate at line 1 column 83",
        ),
    ],
)
@pytest.mark.parametrize("key", [True, False])
def test_misshapen_search_is_refused_before_key_is_checked(
    emulator: Emulator, body: str, sentence: str, key: bool
) -> None:
    """422 in serde's words with line and column, with or without a key (observed live)."""
    headers = {"content-type": "application/json"}
    if key:
        headers["authorization"] = f"Bearer {emulator.api_key}"
    reply = httpx.post(f"{emulator.base_url}/documents/search", content=body, headers=headers)
    assert (reply.status_code, reply.text) == (422, SHAPE + sentence)


@pytest.mark.parametrize("limit", [None, 0, 10_001])
def test_search_without_key_returns_401_after_shape_check(emulator: Emulator, limit: int | None) -> None:
    """401 after the body's shape and before its values, and 400 for a management key."""
    body = {"query": "x", "source": {"collection_ids": ["c"]}, "limit": limit}
    url = f"{emulator.base_url}/documents/search"
    wrong = {"authorization": f"Bearer {emulator.management_key}"}
    assert httpx.post(url, json=body).status_code == 401
    refused = httpx.post(url, json=body, headers=wrong)
    assert (refused.status_code, refused.headers["x-emulator-rule"]) == (400, "key")


@pytest.mark.parametrize(
    ("body", "rule"),
    [
        ({"query": ""}, "query"),
        ({"query": " \n"}, "query"),
        ({"query": "x" * 32_769}, "search_query_chars_max"),
        ({"limit": 0}, "search_limit_min"),
        ({"limit": -1}, "search_limit_min"),
        ({"limit": 10_001}, "search_limit_max"),
        ({"retrieval_mode": {**HYBRID, "search_multiplier": 0}}, "search_multiplier_min"),
        ({"retrieval_mode": {**HYBRID, "search_multiplier": 101}}, "search_multiplier_max"),
        ({"retrieval_mode": {**HYBRID, "reranker": {"type": "rrf", "k": -1}}}, "rrf"),
        ({"retrieval_mode": {**HYBRID, "reranker": {"type": "rrf", "text_weight": -0.5}}}, "rrf"),
        ({"group_by": {"keys": []}}, "group_by"),
        ({"group_by": {"keys": ["a"], "aggregate": {"min_k": {"keys": ["#score"], "k": 0}}}}, "group_by"),
        ({"filter": "a" * 8193}, "filter_chars_max"),
    ],
)
def test_value_beyond_bound_returns_400_with_rule(library: Library, body: dict[str, Any], rule: str) -> None:
    """400, naming the rule."""
    reply = library.search(library.collection(), **body)
    assert (reply.status_code, reply.json()["code"], reply.headers["x-emulator-rule"]) == (
        400,
        "invalid-argument",
        rule,
    )


@pytest.mark.parametrize(
    "body",
    [
        {"limit": 1},
        {"limit": 10_000},
        {"query": "x" * 32_768},
        {"retrieval_mode": {**HYBRID, "search_multiplier": 1}},
        {"retrieval_mode": {**HYBRID, "search_multiplier": 100}},
        {"retrieval_mode": {**HYBRID, "reranker": {"type": "rrf", "k": 0, "text_weight": 1.5}}},
    ],
)
def test_value_at_bound_is_accepted(library: Library, body: dict[str, Any]) -> None:
    """Bounds are inclusive."""
    assert library.search(library.collection(), **body).status_code == 200


def test_unlimited_search_returns_all_matches(library: Library, control: httpx.Client) -> None:
    """Without limits, and with a default limit above any number of matches, a search returns all of them."""
    collection = library.collection()
    library.document(collection, "a text with words")
    off = {"search_limit_max": None, "search_multiplier_max": None, "search_limit_default": 2**62}
    assert control.put("/limits", json=off).status_code == 200
    mode = {**HYBRID, "search_multiplier": 2**31 - 1}
    assert len(library.found(collection, retrieval_mode=mode, query="words")) == 1


def test_search_bounds_are_in_openapi_document(rest: httpx.Client) -> None:
    """Also that of the multiplier, which lies deeper in the body."""
    schemas = rest.get("/api-docs/openapi.json").json()["components"]["schemas"]
    limit = schemas["SearchRequest"]["properties"]["limit"]["anyOf"][0]
    multiplier = schemas["HybridRetrieval"]["properties"]["search_multiplier"]["anyOf"][0]
    assert (limit["minimum"], limit["maximum"]) == (1, 10_000)
    assert (multiplier["minimum"], multiplier["maximum"]) == (1, 100)
    assert schemas["SearchRequest"]["required"] == ["query", "source"]


def test_search_without_collection_is_refused(library: Library) -> None:
    """An empty list is no source."""
    assert library.search().status_code == 400


def test_search_in_unknown_collection_returns_404(library: Library, emulator: Emulator) -> None:
    """Unknown, of another team, or beside a known one: the inference plane's 404."""
    collection = library.collection()
    elsewhere = {"authorization": f"Bearer {emulator.api_key}@elsewhere"}
    body = {"query": "x", "source": {"collection_ids": [collection]}}
    replies = [
        library.search("collection_nope"),
        library.search(collection, "collection_nope"),
        httpx.post(f"{emulator.base_url}/documents/search", json=body, headers=elsewhere),
    ]
    for reply in replies:
        assert (reply.status_code, reply.json()) == (404, {"code": "not-found", "error": "Collection not found"})


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(query=st.text(min_size=1, max_size=40).filter(str.strip), mode=st.sampled_from(MODES))
def test_any_query_text_is_answered(library: Library, query: str, mode: dict[str, str]) -> None:
    """Whatever is typed is looked for."""
    collection = library.collection()
    library.document(collection, "ash")
    encodable = query.encode("utf-8", "replace").decode()
    assert library.search(collection, query=encodable, retrieval_mode=mode).status_code == 200
