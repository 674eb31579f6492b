"""Search tools find what a search of documents with the same parameters finds, and attached files are searched."""

from __future__ import annotations

from typing import Any

import pytest

from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.rest import RestClient
from .library import Library
from .target import Target
from .test_answers import check_completion, check_completion_over_grpc

pytestmark = pytest.mark.own_team
Json = Any
QUERY = "copper kettle"
SOURCE = "OpenAPI: file_search; chat.proto: CollectionsSearch; the emulator searches for the last text of the user"
TEXTS = {
    "copper": "The copper kettle of the hall.",
    "iron": "An iron kettle, and another kettle.",
    "coins": "Copper coins and copper wire.",
    "ferns": "Ferns need water twice a week.",
}
# Parameters of the tool over REST and over gRPC, and those of a search of documents.
TOOLS: tuple[tuple[Json, Json, Json], ...] = (
    ({}, {}, {}),
    ({"max_num_results": 1}, {"limit": 1}, {"limit": 1}),
    ({"max_num_results": 3}, {"limit": 3}, {"limit": 3}),
    *(
        (
            {"retrieval_mode": {"type": mode}, "max_num_results": limit},
            {f"{mode}_retrieval": {}, "limit": limit},
            {"retrieval_mode": {"type": mode}, "limit": limit},
        )
        for mode in ("keyword", "semantic", "hybrid")
        for limit in (2, 4)
    ),
)
Found = list[tuple[str, str, float]]  # file id, text and score of each match


def searched(rest: RestClient, collections: list[str], body: Json) -> Found:
    """What a search of documents finds."""
    request = {"query": QUERY, "source": {"collection_ids": collections}, **body}
    matches = rest.json("POST", "/v1/documents/search", json_body=request)["matches"]
    return [(each["file_id"], each["chunk_content"], each["score"]) for each in matches]


@case(
    "responses.search-tools",
    *("responses.create", "documents.search"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.usefixtures("transport")
def test_responses(rest: RestClient, target: Target, name: str) -> None:
    """Limits and modes of a tool are those of a search, every tool runs, and none where no tool is chosen."""
    ids = [Library(rest, target, f"{name}{word}", TEXTS).collection for word in "ab"]

    def respond(*tools: Json, **more: Json) -> tuple[list[Found], Json]:
        """The results of each search, and the usage."""
        body = {"model": MODEL, "input": QUERY, "store": False, "include": ["file_search_call.results"], **more}
        answer = rest.json("POST", "/v1/responses", json_body={**body, "tools": tools})
        calls = [each["results"] for each in answer["output"] if each["type"] == "file_search_call"]
        found = [[(each["file_id"], each["text"], each["score"]) for each in results] for results in calls]
        return found, answer["usage"]

    for given, _, body in TOOLS:
        for collections in (ids[:1], ids):
            found, _ = respond({"type": "file_search", "vector_store_ids": collections, **given})
            assert found == [searched(rest, collections, body)], (given, len(collections))
    both = [{"type": "file_search", "vector_store_ids": [id], "max_num_results": 2} for id in ids]
    found, usage = respond(*both)
    assert found == [searched(rest, [id], {"limit": 2}) for id in ids]
    assert usage["server_side_tool_usage_details"]["file_search_calls"] == usage["num_server_side_tools_used"] == 2
    found, usage = respond(*both, tool_choice="none")
    assert (found, usage["num_server_side_tools_used"]) == ([], 0)


@case(
    "chat.over-grpc.search-tools",
    *("chat.create", "documents.search"),
    evidence=EMULATOR,
    source=SOURCE,
    control=True,
    paid=True,
)
@pytest.mark.over_grpc
@pytest.mark.one_client_per_protocol
def test_completions(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Over gRPC too limits and modes of a tool are those of a search, and every tool runs, or none."""
    ids = [Library(rest, target, f"{name}{word}", TEXTS).collection for word in "ab"]
    request = {
        "model": MODEL,
        "messages": [{"role": "ROLE_USER", "content": [{"text": QUERY}]}],
        "include": ["INCLUDE_OPTION_COLLECTIONS_SEARCH_CALL_OUTPUT"],
    }

    def complete(*tools: Json, **more: Json) -> list[Found]:
        """The results of each search."""
        given = [{"collections_search": each} for each in tools]
        outputs = client.call_rpc("GetCompletion", **request, **more, tools=given)["outputs"]
        messages = [each["message"] for each in outputs if each["message"]["role"] == "ROLE_TOOL"]
        cited = [[each["collections_citation"] for each in message["citations"]] for message in messages]
        return [[(each["file_id"], each["chunk_content"], each["score"]) for each in found] for found in cited]

    def check(found: list[Found], expected: list[Found], what: Json) -> None:
        """Fail where other chunks were found; the scores are 32-bit floats."""
        assert [[each[:2] for each in one] for one in found] == [[each[:2] for each in one] for one in expected], what
        for one, other in zip(found, expected, strict=True):
            assert [each[2] for each in one] == pytest.approx([each[2] for each in other], rel=1e-5), what

    for _, given, body in TOOLS:
        check(complete({"collection_ids": ids, **given}), [searched(rest, ids, body)], given)
    both = [{"collection_ids": [id], "limit": 2} for id in ids]
    check(complete(*both), [searched(rest, [id], {"limit": 2}) for id in ids], both)
    assert complete(*both, tool_choice={"mode": "TOOL_MODE_NONE"}) == []


@case(
    "chat.attachments",
    *("chat.create", "chat.get_deferred", "responses.create", "files.upload"),
    evidence=EMULATOR,
    source="OpenAPI: input_file; chat.proto: FileContent; the emulator quotes the passage that fits the question best",
    control=True,
    paid=True,
)
@pytest.mark.over_both_protocols
def test_attachments(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Attached files are searched for the question, in any order and everywhere alike, and are not cited."""
    files = {word: rest.upload_file(text.encode(), f"{name}{word}.txt").id for word, text in TEXTS.items()}
    for question, words, best in (
        ("Which copper wire?", ("copper", "coins"), "coins"),
        ("Which copper wire?", ("coins", "copper"), "coins"),
        ("Which iron kettle?", ("coins", "iron", "ferns"), "iron"),
        ("Water twice a week?", ("ferns",), "ferns"),
    ):
        ids = [files[word] for word in words]
        parts = [{"type": "text", "text": question}, *({"type": "file", "file": {"file_id": id}} for id in ids)]
        body = {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
        whole = check_completion(rest, target, body, question)
        assert TEXTS[best] in whole["choices"][0]["message"]["content"], (question, words)
        assert "citations" not in whole, question
        items = [{"type": "input_text", "text": question}, *({"type": "input_file", "file_id": id} for id in ids)]
        request = {"model": MODEL, "input": [{"role": "user", "content": items}], "store": False}
        answer = rest.json("POST", "/v1/responses", json_body=request)
        [part] = answer["output"][-1]["content"]
        assert part["text"] == whole["choices"][0]["message"]["content"], question
        usage = ("input_tokens", "output_tokens", "cost_in_usd_ticks")
        found = [answer["usage"][each] for each in usage]
        assert found == [whole["usage"][each] for each in ("prompt_tokens", "completion_tokens", usage[-1])], question
        assert answer["usage"]["server_side_tool_usage_details"]["document_search_calls"] == 1, question
        if client.protocol == "grpc":
            content = [{"text": question}, *({"file": {"file_id": id}} for id in ids)]
            message = {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": content}]}
            check_completion_over_grpc(client, rest, target, (message, body), question)
