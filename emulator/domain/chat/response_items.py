"""The output of a response as items: reasoning, searches, messages and calls of functions. Key order as recorded.

The same functions write the items of a whole response and those of the events of a stream, so the two cannot differ.
A search of attached files has no item (recorded over gRPC, 2026-08); the usage counts it.
"""

from __future__ import annotations

from collections.abc import Iterator

from emulator.domain.chat.answers import Annotation, Answer, Choice, FunctionCall
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.evidence import Search, SearchTool

FILE_SEARCH_RESULTS = "collections_search_call_output"


def output_items(answer: Answer, *, with_reasoning: bool = True) -> list[Json]:
    """Render the whole output. Reasoning comes first, then the searches, then the messages and calls (recorded)."""
    return list(_items(answer, with_reasoning=with_reasoning))


def _items(answer: Answer, *, with_reasoning: bool) -> Iterator[Json]:
    for index, choice in enumerate(answer.choices):
        if choice.reasoning and with_reasoning:
            yield reasoning_item(answer, index, choice, "completed")
        if index == 0:
            for number, search in enumerate(answer.searches):
                if shows(search):
                    yield search_item(answer, number, search, "completed")
        if has_message(choice):
            yield message_item(answer, index, content_parts(answer, index, choice), "completed")
        for number, call in enumerate(choice.calls):
            yield call_item(answer, index, number, call, "completed")


def shows(search: Search) -> bool:
    """Return whether a search is an item of the output."""
    return search.tool is SearchTool.COLLECTIONS


def has_message(choice: Choice) -> bool:
    """Return whether a choice has a message: one that only calls functions has none (recorded, 2026-04)."""
    return bool(choice.text or choice.refusal is not None or not choice.calls)


def _id(prefix: str, answer: Answer, index: int) -> str:
    """Return the id of an item of a choice; only a custom responder returns several choices."""
    return f"{prefix}_{answer.id}_{index}" if index else f"{prefix}_{answer.id}"


def reasoning_item(answer: Answer, index: int, choice: Choice, status: str) -> Json:
    """Render reasoning, without a summary while it is in progress."""
    is_done = status == "completed"
    item: Json = {
        "id": _id("rs", answer, index),
        "summary": [{"text": choice.reasoning, "type": "summary_text"}] if is_done else [],
        "type": "reasoning",
        "status": status,
    }
    if choice.encrypted_reasoning and is_done:
        item["encrypted_content"] = choice.encrypted_reasoning
    return item


def search_item(answer: Answer, number: int, search: Search, status: str) -> Json:
    """Render a search of collections. `results` is null unless the request includes it.

    The service leaves `filename` empty (recorded, 2026-10).
    """
    is_done = status == "completed"
    is_included = is_done and FILE_SEARCH_RESULTS in answer.settings.get("include", ())
    found = [
        {"file_id": each.file_id, "filename": "", "score": each.score, "text": each.text} for each in search.passages
    ]
    return {
        "type": "file_search_call",
        "id": f"fs_{answer.id}_{answer.search_call_id(number)}",
        "status": status,
        "queries": [search.query] if is_done else [],
        "results": found if is_included else None,
    }


def message_item(answer: Answer, index: int, content: list[Json], status: str) -> Json:
    """Render a message."""
    return {
        "content": content,
        "id": _id("msg", answer, index),
        "role": "assistant",
        "type": "message",
        "status": status,
    }


def content_parts(answer: Answer, index: int, choice: Choice) -> list[Json]:
    """Render the content of a message: its text with citations, and a refusal if the responder returned one."""
    annotations = list(map(annotation_json, answer.annotations)) if index == 0 else []
    parts = [text_part(choice.text, annotations)] if choice.text or choice.refusal is None else []
    return parts + ([refusal_part(choice.refusal)] if choice.refusal is not None else [])


def text_part(text: str, annotations: list[Json]) -> Json:
    """Render text; models since grok-4.20 return no logprobs (recorded, 2026-09)."""
    return {"type": "output_text", "text": text, "logprobs": [], "annotations": annotations}


def refusal_part(refusal: str) -> Json:
    """Render a refusal (OpenAPI: OutputMessageContent)."""
    return {"type": "refusal", "refusal": refusal}


def annotation_json(annotation: Annotation) -> Json:
    """Render a citation; the two indices are 0 if the text has no marker for it (recorded)."""
    return {
        "type": "url_citation",
        "url": annotation.uri,
        "start_index": annotation.start,
        "end_index": annotation.end,
        "title": annotation.title,
    }


def call_item(answer: Answer, index: int, number: int, call: FunctionCall, status: str) -> Json:
    """Render the call of a function of the client, without arguments while it is in progress."""
    return {
        "arguments": call.arguments if status == "completed" else "",
        "call_id": call.id,
        "name": call.name,
        "type": "function_call",
        "id": f"{_id('fc', answer, index)}_{number}",
        "status": status,
    }
