"""The calls of search tools as gRPC shows them: their arguments, and the usage while they run."""

from __future__ import annotations

import json
from typing import Any

import pytest

from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.rest import RestClient
from .library import Library
from .target import Target
from .test_chat_over_grpc import used_tools

pytestmark = [pytest.mark.own_team, pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]
Json = Any
QUERY = "Which copper kettle?"
TEXTS = {"copper": "The copper kettle of the hall.", "ferns": "Ferns need water."}


@case(
    "chat.over-grpc.search-arguments",
    *("chat.create", "documents.add"),
    evidence=EMULATOR,
    source="the arguments are recorded by pydantic-ai, 2026-08; the emulator searches for the last text of the user",
    control=True,
    paid=True,
)
def test_arguments(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A call of a search names its query, limit and mode, whole and streamed, and is counted from its beginning on."""
    ids = [Library(rest, target, f"{name}{word}", TEXTS).collection for word in "ab"]
    tools = [
        {"collections_search": {"collection_ids": ids[:1], "limit": 1, "keyword_retrieval": {}}},
        {"collections_search": {"collection_ids": ids[1:], "limit": 2, "semantic_retrieval": {}}},
    ]
    message = {"role": "ROLE_USER", "content": [{"text": QUERY}]}
    request = {"model": MODEL, "messages": [message], "tools": tools}
    expected = [
        {"query": QUERY, "limit": 1, "retrieval_mode": "keyword"},
        {"query": QUERY, "limit": 2, "retrieval_mode": "semantic"},
    ]

    def asked(calls: list[Json]) -> list[Json]:
        return [json.loads(json.loads(call["function"]["arguments"])["search_request"]) for call in calls]

    whole = client.call_rpc("GetCompletion", **request)
    calls = [call for each in whole["outputs"] for call in each["message"]["tool_calls"]]
    assert asked(calls) == expected
    assert used_tools(whole) == ["SERVER_SIDE_TOOL_COLLECTIONS_SEARCH"] * 2
    chunks = client.stream_rpc("GetCompletionChunk", **request)
    calls = [call for chunk in chunks for each in chunk["outputs"] for call in each["delta"]["tool_calls"]]
    begun = {call["id"]: call for call in calls}
    assert asked([*begun.values()]) == expected
    counts = [len(used_tools(chunk)) for chunk in chunks]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (1, 2)
