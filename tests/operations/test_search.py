"""Searches, call by call: how deep they look, what a filter leaves, and what is gone before they end."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from typing import Any

import pytest

from emulator.domain.search import Fusion, GroupBy, Mode, RankingMetric
from emulator.jobs.runner import Runner
from emulator.operations import search as searching
from emulator.operations.collections import CreateCollection
from emulator.operations.documents import AddDocument, DocumentId
from emulator.operations.files.read import FileId
from emulator.operations.filters import MetadataFilter
from emulator.operations.search import Match, SearchDocuments
from emulator.runtime.app import build_services
from emulator.search.embedding.error import EmbedderError
from emulator.state.services import Services
from emulator.state.settings import Settings
from emulator.store.index.collection_index import IndexQuery
from tests.operations.client import advance, call_of, end_slices_after, refusal, run, turns, uploaded
from tests.search.extraction.test_documents import pdf

WORDS = ("fox", "hedge", "rain", "wind")
QUERY = "fox hedge rain"
MANY = 1000


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """A world in which documents can be found at once."""
    services = build_services(Settings(indexing="instant"))
    Runner(services)
    services.teams.get("default").clock.freeze()
    yield services
    services.store.close()


@pytest.fixture
async def library(services: Services) -> list[str]:
    """Two collections of twelve documents each; no two of them hold the same words equally often."""
    collections = []
    for collection in range(2):
        made = await run(services, "collections.create", CreateCollection("c"))
        collections.append(made.id)
        for number, (one, other) in enumerate(itertools.permutations(WORDS, 2)):
            text = f"{one} " * (number % 5 + 1) + f"{other} " * (number % 3 + collection + 1)
            file = await uploaded(services, f"{number}.txt", text.encode())
            fields = {"parity": f"{number % 2}"}
            await run(services, "documents.add", AddDocument(made.id, file, fields))
    return collections


async def search(services: Services, collections: list[str], **asked: Any) -> list[Match]:
    """The matches of a search."""
    matches: list[Match] = await run(
        services, "documents.search", SearchDocuments(asked.pop("query", QUERY), collections, **asked)
    )
    return matches


def files(matches: list[Match]) -> list[str]:
    """Which documents match, best first; each is one chunk."""
    return [match.document.file.id for match in matches]


# --- how deep


@pytest.mark.parametrize("asked", [None, 0, -1])
async def test_limit_of_zero_is_the_default(services: Services, library: list[str], asked: int | None) -> None:
    """Zero and less are none, for a message of gRPC has a zero where nothing was said."""
    services.teams.set_limits(services.teams.get("default"), {"search_limit_default": 3})
    assert len(await search(services, library, limit=asked)) == 3
    assert len(await search(services, library, limit=4)) == 4


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("multiplier", [None, 1, 3])
async def test_ranking_depth_is_limit_times_multiplier(
    services: Services,
    library: list[str],
    monkeypatch: pytest.MonkeyPatch,
    mode: Mode,
    count: int,
    multiplier: int | None,
) -> None:
    """As many chunks of each ranking as are wanted, times the multiplier, of those that are accepted.

    Where a filter has to wait for a fused ranking, at all of all chunks.
    """
    questions: list[IndexQuery] = []
    rank = services.store.indexes.search

    async def noting(team: str, collection_id: str, question: IndexQuery) -> Any:
        questions.append(question)
        return await rank(team, collection_id, question)

    monkeypatch.setattr(services.store.indexes, "search", noting)
    for filter in (None, "parity = 1"):
        questions.clear()
        await search(services, library[:count], mode=mode, limit=2, search_multiplier=multiplier, filter=filter)
        waits = filter is not None and mode is Mode.HYBRID and count == 2
        assert [question.depth for question in questions] == [None if waits else 2 * (multiplier or 1)] * count
        assert [question.accepts is None for question in questions] == [waits or filter is None] * count


async def test_scores_are_those_of_the_fusion(services: Services, library: list[str]) -> None:
    """In one collection those of the two ranks; beside others that of the place."""
    fusion = Fusion(k=7, embedding_weight=0.25, text_weight=0.75)
    for each in await search(services, library[:1], limit=MANY, fusion=fusion):
        ranks = (place and place.rank for place in (each.candidate.keyword, each.candidate.vector))
        assert each.candidate.score == fusion.score(*ranks)
    matches = await search(services, library, limit=MANY, fusion=fusion)
    for collection in range(2):
        places = [each.candidate.score for each in matches if each.candidate.collection == collection]
        assert places == [fusion.of_rank(place) for place in range(1, len(places) + 1)]


# --- filters


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("count", [1, 2])
async def test_filter_keeps_scores_and_order_of_matches(
    services: Services, library: list[str], mode: Mode, count: int
) -> None:
    """What stays has the scores and the order it had, and a page of it is as full as it can be."""
    everything = await search(services, library[:count], mode=mode, limit=MANY)
    expected = [(each.chunk.id, each.score) for each in everything if each.document.fields["parity"] == "1"]
    for limit in (1, 3, MANY):
        deep = None if count == 2 and mode is Mode.HYBRID else 50
        found = await search(
            services, library[:count], mode=mode, limit=limit, filter="parity = 1", search_multiplier=deep
        )
        assert [(each.chunk.id, each.score) for each in found] == expected[:limit]


async def test_others_have_their_turn_while_fields_are_read(
    services: Services, library: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each few documents that are read, and while they are looked at."""
    monkeypatch.setattr(searching, "_SLICE", 5)
    end_slices_after(2, monkeypatch)
    team = services.teams.get("default")
    at = team.clock.now()
    collection = services.store.collections.get("default", library[0], at)
    assert collection is not None
    grouped = SearchDocuments(QUERY, library, group_by=GroupBy(("parity",)))  # looks at the fields themselves
    calls = counted(services.store.documents, "fields", monkeypatch)
    with turns(lambda: len(calls)) as had:
        found, accepts = await searching._accepted(
            services, team, at, collection, grouped, MetadataFilter("parity = 1", team.limits)
        )
    assert had == [1, 1, 2, 2, 2, 3]
    assert accepts is not None
    assert {file_id for file_id in found if accepts(file_id)} == found.keys()
    assert len(found) == 6


async def test_others_have_their_turn_while_matches_are_read(
    services: Services, library: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each few of them."""
    matches = await search(services, library, limit=MANY)
    end_slices_after(5, monkeypatch)
    team = services.teams.get("default")
    at = team.clock.now()
    collections = [services.store.collections.get("default", id, at) for id in library]
    calls = counted(services.store.documents, "get", monkeypatch)
    with turns(lambda: len(calls)) as had:
        again = await searching._matches(
            services, team, at, [each for each in collections if each], [each.candidate for each in matches], 18
        )
    assert again == matches[:18]
    assert had == [5, 10, 15]


def counted(store: Any, method: str, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What a method of a store has been called with, call by call."""
    calls, call = list[Any](), getattr(store, method)
    monkeypatch.setattr(store, method, lambda *what: (calls.append(what), call(*what))[1])
    return calls


# --- pages


@pytest.mark.parametrize(("profile", "pages"), [("documented", [0, 1]), ("relaxed", [0, 1]), ("strict", [0, 0])])
async def test_page_number_is_the_page_of_a_pdf_and_0_elsewhere(
    services: Services, profile: str, pages: list[int]
) -> None:
    """The real service was seen to send 0 for a PDF of two pages too; the strict profile does so."""
    collection = (await run(services, "collections.create", CreateCollection("c"))).id
    for name, data in (("a.txt", b"fox"), ("b.pdf", pdf("The fox ran", ""))):
        await run(services, "documents.add", AddDocument(collection, await uploaded(services, name, data)))
    services.teams.configure(services.teams.get("default"), {"profile": profile})
    matches = await search(services, [collection], query="fox", mode=Mode.KEYWORD)
    assert sorted(match.page_number for match in matches) == pages


# --- what is gone


async def test_expired_document_is_replaced_by_next_match(services: Services) -> None:
    """The next best answers instead, although the document is not removed yet."""
    collection = (await run(services, "collections.create", CreateCollection("c"))).id
    best = await uploaded(services, "a.txt", b"fox", expires_after=3600)
    other = await uploaded(services, "b.txt", b"fox and hedge")
    for file in (best, other):
        await run(services, "documents.add", AddDocument(collection, file))
    assert files(await search(services, [collection], query="fox", limit=1)) == [best]
    advance(services, 3600)
    for mode in Mode:
        assert files(await search(services, [collection], query="fox", limit=1, mode=mode)) == [other]


@pytest.mark.parametrize(
    ("happens", "speed"),
    [
        ("documents.remove", "instant"),
        ("documents.reindex", "manual"),
        ("documents.reindex", "instant"),  # by the end it can be found again, but in other chunks
        ("files.delete", "instant"),
    ],
)
async def test_document_deleted_during_ranking_is_left_out(
    services: Services, library: list[str], happens: str, speed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is no answer any more, and no mistake."""
    before = await search(services, library[:1], limit=MANY)
    gone = before[0].document.file.id
    rank = services.store.indexes.search

    async def search_and_lose(team: str, collection_id: str, question: Any) -> Any:
        answer = await rank(team, collection_id, question)
        services.teams.get("default").configure(services.settings, {"indexing": speed})
        request: Any = FileId(gone) if happens == "files.delete" else DocumentId(library[0], gone)
        await run(services, happens, request)
        return answer

    monkeypatch.setattr(services.store.indexes, "search", search_and_lose)
    assert files(await search(services, library[:1], limit=MANY)) == files(before)[1:]


# --- what is refused or without effect


async def test_failing_embedder_is_unavailable_except_for_keyword_search(
    services: Services, library: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search by words does without it."""

    async def fail(team: Any, texts: Any) -> Any:
        raise EmbedderError("it is ill")

    monkeypatch.setattr("emulator.operations.search.embed_texts", fail)
    for mode in (Mode.HYBRID, Mode.SEMANTIC):
        assert await refusal(search(services, library, mode=mode)) == ("embedder", None)
    assert await search(services, library, mode=Mode.KEYWORD)


@pytest.mark.parametrize(
    ("asked", "named"),
    [
        ({}, None),
        ({"instructions": ""}, None),
        ({"ranking_metric": RankingMetric.UNKNOWN}, None),
        ({"instructions": "please"}, "instructions"),
        ({"reranker_model": True}, "reranker_model"),
        ({"ranking_metric": RankingMetric.L2_DISTANCE}, "ranking_metric"),
        (
            {"instructions": "a", "reranker_model": True, "ranking_metric": RankingMetric.COSINE_SIMILARITY},
            "instructions, reranker_model, ranking_metric",
        ),
    ],
)
@pytest.mark.parametrize("profile", ["documented", "relaxed"])
async def test_search_warns_of_parameters_without_effect(
    services: Services, library: list[str], profile: str, asked: dict[str, Any], named: str | None
) -> None:
    """The profile warns of unknown fields."""
    services.teams.get("default").configure(services.settings, {"profile": profile})
    call = call_of(services, "documents.search")
    await call.operation.run(services, call, SearchDocuments(QUERY, library, **asked))
    warned = named is not None and profile == "documented"
    assert call.warnings == ([f"accepted, but without effect on the ranking: {named}"] if warned else [])
