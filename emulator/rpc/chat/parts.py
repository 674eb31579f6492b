"""Messages of both whole answers and chunks: outputs of search tools, calls, citations, usage.

Every call of a search tool is an output of its own, and so is its result (recorded, 2026-08). A whole answer omits the
result unless the request included it; its index stays unused.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from emulator.domain.chat.answers import Answer, FunctionCall, Usage
from emulator.domain.chat.completions import usage_json
from emulator.domain.chat.evidence import Passage, Search, SearchTool
from emulator.rpc.chat.messages import TOOL_CALL, USAGE
from emulator.rpc.messages import load
from emulator.rpc.requests import Message

OUTPUTS_PER_SEARCH = 2  # the call and its result
_CALL_TYPES = {SearchTool.COLLECTIONS: "file_search_call", SearchTool.ATTACHMENTS: "attachment_search_tool"}
_INCLUDED = {
    SearchTool.COLLECTIONS: "collections_search_call_output",
    SearchTool.ATTACHMENTS: "attachment_search_call_output",
}
_USED = {SearchTool.COLLECTIONS: "COLLECTIONS_SEARCH", SearchTool.ATTACHMENTS: "ATTACHMENT_SEARCH"}


def search_call(answer: Answer, number: int, search: Search, status: str) -> Message:
    """Return the call of a search tool; `status` is `in_progress` or `completed`."""
    function = {"name": search.tool.value, "arguments": search.arguments}
    whole = {"id": answer.search_call_id(number), "type": _CALL_TYPES[search.tool], "status": status}
    return TOOL_CALL.to_message({**whole, "function": function})


def function_call(call: FunctionCall) -> Message:
    """Return the call of a function of the client."""
    function = {"name": call.name, "arguments": call.arguments}
    return TOOL_CALL.to_message({"id": call.id, "type": call.type, "status": "completed", "function": function})


def is_included(answer: Answer, search: Search) -> bool:
    """Return whether the request includes the results of a search."""
    return _INCLUDED[search.tool] in answer.settings.get("include", ())


def found_citations(search: Search) -> list[Message]:
    """Return the passages of a search in collections, as its output cites them: without positions in a text."""
    cited = search.passages if search.tool is SearchTool.COLLECTIONS else ()
    return [_message("InlineCitation")(collections_citation=_collections_citation(each)) for each in cited]


def inline_citations(answer: Answer) -> Iterator[Message]:
    """Yield the citations with markers in the text of the first choice, in their order."""
    passages = {each.uri: each for search in reversed(answer.searches) for each in reversed(search.passages)}
    for each in answer.annotations:
        passage = passages.get(each.uri)
        if each.end and passage is not None:
            yield _message("InlineCitation")(
                id=each.title,
                start_index=each.start,
                end_index=each.end,
                collections_citation=_collections_citation(passage),
            )


def usage_message(usage: Usage) -> Message:
    """Return the usage, with an entry for each call of a server tool."""
    message = USAGE.to_message(usage_json(usage))
    tools = load().enum("xai_api.ServerSideTool").values_by_name
    message.server_side_tools_used.extend(tools[f"SERVER_SIDE_TOOL_{_USED[tool]}"].number for tool in usage.tools)
    return message


def _collections_citation(passage: Passage) -> Message:
    return _message("CollectionsCitation")(
        file_id=passage.file_id,
        chunk_id=passage.chunk_id,
        chunk_content=passage.text,
        score=passage.score,
        collection_ids=passage.collection_ids,
    )


@cache
def _message(name: str) -> type[Message]:
    return load().message(f"xai_api.{name}")
