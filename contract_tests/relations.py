"""What holds between the members of one response: totals, the ends of lists, and the events of a stream.

`response_schemas` looks at each response of REST with it, whatever a case is about, and the cases over gRPC look at
each message.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from itertools import islice
from typing import Any

Json = Any


def usage_error(usage: Mapping[str, Any]) -> str | None:
    """Why the numbers of a usage do not add up, or None.

    Sources: OpenAPI: Usage and ModelUsage; usage.proto; recorded live, 2026-04 to 2026-09: reasoning tokens are no part
    of the completion tokens of chat, but a part of the output tokens of responses.
    """
    numbers = {key: int(each) for key, each in _numbers(usage)}
    for total, parts in _SUMS:
        known = [numbers[part] for part in parts if part in numbers]
        if total in numbers and parts[0] in numbers and numbers[total] != sum(known):
            return f"{total} is {numbers[total]}, the sum of {', '.join(parts)} is {sum(known)}"
    tools = usage.get("server_side_tool_usage_details")
    if isinstance(tools, dict) and sum(map(int, tools.values())) != usage.get("num_server_side_tools_used"):
        return f"num_server_side_tools_used is {usage.get('num_server_side_tools_used')}, the tools are {tools}"
    for part, whole in _PARTS:
        if numbers.get(part, 0) > numbers.get(whole, numbers.get(part, 0)):
            return f"{part} is {numbers[part]}, more than {whole}, which is {numbers[whole]}"
    return None


_REASONING = "completion_tokens_details.reasoning_tokens"
_SUMS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("total_tokens", ("prompt_tokens", "completion_tokens", _REASONING, "reasoning_tokens")),
    ("total_tokens", ("input_tokens", "output_tokens")),
    ("prompt_tokens", tuple(f"prompt_tokens_details.{each}_tokens" for each in ("text", "audio", "image"))),
    ("prompt_tokens", ("prompt_text_tokens", "prompt_image_tokens")),
)
_PARTS = (
    ("prompt_tokens_details.cached_tokens", "prompt_tokens"),
    ("cached_prompt_text_tokens", "prompt_text_tokens"),
    ("input_tokens_details.cached_tokens", "input_tokens"),
    ("output_tokens_details.reasoning_tokens", "output_tokens"),
)


def _numbers(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, int]]:
    for key, each in value.items():
        if isinstance(each, Mapping):
            yield from _numbers(each, f"{prefix}{key}.")
        elif isinstance(each, int) and not isinstance(each, bool):
            yield f"{prefix}{key}", each


def error(value: Json) -> str | None:
    """Why the members of a response do not fit each other, or None."""
    for where, each in _objects(value, ""):
        for check in (_usage, _list, _batch, _costs, _times, _media, _access, _response, _choices):
            reason = check(each)
            if reason is not None:
                return f"{where}{': ' if where else ''}{reason}"
    return None


def _objects(value: Json, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield where, value
        for key, each in value.items():
            yield from _objects(each, f"{where}.{key}".lstrip("."))
    elif isinstance(value, list):
        for number, each in enumerate(value):
            yield from _objects(each, f"{where}[{number}]")


def _usage(value: Mapping[str, Any]) -> str | None:
    usage = value.get("usage")
    return usage_error(usage) if isinstance(usage, dict) else None


def _list(value: Mapping[str, Any]) -> str | None:
    """A list names its first and last item, as OpenAI's lists do."""
    items = value.get("data")
    if not isinstance(items, list) or "first_id" not in value:
        return None
    ids = [each.get("id") for each in items]
    ends = (ids[0], ids[-1]) if ids else (None, None)
    named = (value["first_id"], value.get("last_id"))
    return None if named == ends else f"first_id and last_id are {named}, the items are {ids}"


def _batch(value: Mapping[str, Any]) -> str | None:
    """Each request of a batch is counted once (Batch reference: state)."""
    state = value.get("state")
    if not isinstance(state, dict) or "num_requests" not in state:
        return None
    parts = [int(each) for key, each in state.items() if key != "num_requests"]
    return None if int(state["num_requests"]) == sum(parts) else f"the counters do not add up: {state}"


def _costs(value: Mapping[str, Any]) -> str | None:
    """The costs of a batch are those of its endpoints (batch.proto: BatchCostBreakdown)."""
    if "total_cost_usd_ticks" not in value or not isinstance(value.get("endpoint_costs"), list):
        return None
    total = sum(int(each["cost_usd_ticks"]) for each in value["endpoint_costs"])
    shown = int(value["total_cost_usd_ticks"])
    return None if shown == total else f"total_cost_usd_ticks is {shown}, those of the endpoints are {total}"


# Members with times of which the first is never after the others, in Unix seconds, RFC 3339 or dates.
_ORDERS = (
    ("created_at", "expires_at", "public_url_expires_at", "completed_at"),
    ("create_time", "expire_time", "cancel_time", "finish_time"),
    ("file_metadata.created_at", "last_indexed_at"),
)


def _times(value: Mapping[str, Any]) -> str | None:
    """What happens to an object happens after it was made."""
    for first, *others in _ORDERS:
        begin = _moment(_at(value, first))
        for other in others:
            end = _moment(_at(value, other))
            if begin is not None and end is not None and type(begin) is type(end) and end < begin:  # type: ignore[operator]
                return f"{other} is {_at(value, other)}, before {first}, which is {_at(value, first)}"
    return None


def _at(value: Json, path: str) -> Json:
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value


def _moment(value: Json) -> float | datetime | None:
    """A time in a form that compares with others of its kind, or None for what is no time."""
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            return None
        return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


_MEDIA_TYPE = re.compile(r"[a-z]+/[a-z0-9.+-]+")


def _media(value: Mapping[str, Any]) -> str | None:
    """An image or a video names its type as HTTP writes types, and the file as which it is stored (OpenAPI)."""
    found, stored = value.get("mime_type"), value.get("file_output")
    if found is not None and _MEDIA_TYPE.fullmatch(str(found)) is None:
        return f"mime_type is {found!r}"
    if isinstance(stored, dict) and not (stored.get("file_id") and stored.get("filename")):
        return f"file_output names no file: {stored}"
    return None


def _access(value: Mapping[str, Any]) -> str | None:
    """An access list names everything once (Management API guide: acls)."""
    found = value.get("acls")
    if not isinstance(found, list) or len({*map(str, found)}) == len(found):
        return None
    return f"acls name something twice: {found}"


def _response(value: Mapping[str, Any]) -> str | None:
    """The state of a response fits its output (OpenAPI: ModelResponse)."""
    if value.get("object") != "response" or "deleted" in value:
        return None
    status, output = value.get("status"), value.get("output")
    if (value.get("incomplete_details") is not None) != (status == "incomplete"):
        return f"the status is {status!r}, incomplete_details are {value.get('incomplete_details')!r}"
    if (value.get("completed_at") is None) != (status == "in_progress"):
        return f"the status is {status!r}, completed_at is {value.get('completed_at')!r}"
    if value.get("completed_at") is not None and value["completed_at"] < value["created_at"]:
        return "completed_at is before created_at"
    ids = [each["id"] for each in output or () if each.get("id")]
    if len(set(ids)) != len(ids):
        return f"two items have one id: {ids}"
    for item in output or ():
        for part in item.get("content") or () if item.get("type") == "message" else ():
            for note in part.get("annotations") or ():
                if (reason := _annotation(note, part["text"])) is not None:
                    return reason
    return None


def _annotation(note: Mapping[str, Any], text: str) -> str | None:
    """An annotation is at its mark, `[[1]](url)` (recorded live, 2026-04)."""
    start, end = note.get("start_index"), note.get("end_index")
    if start == end:  # without inline citations the text has no marks
        return None
    title = note.get("title")
    marked = text[start:end] if isinstance(start, int) and isinstance(end, int) else None
    wanted = f"[[{title}]]({note.get('url')})"
    return None if marked == wanted else f"the annotation is at {marked!r}, not at {wanted!r}"


def _choices(value: Mapping[str, Any]) -> str | None:
    """Choices are numbered from 0, and called functions are the reason for their end (OpenAPI: Choice)."""
    choices = value.get("choices")
    if value.get("object") != "chat.completion" or not isinstance(choices, list):
        return None
    if [each["index"] for each in choices] != list(range(len(choices))):
        return f"the choices have the numbers {[each['index'] for each in choices]}"
    for choice in choices:
        reason, calls = choice.get("finish_reason"), choice["message"].get("tool_calls")
        if reason is None or (reason == "tool_calls") != bool(calls):
            return f"finish_reason is {reason!r}, tool_calls are {calls!r}"
    return None


# --- streams


def stream_error(body: str) -> str | None:
    """Why the server-sent events of a model's answer do not fit each other, or None."""
    names, events = [], []
    for block in body.split("\n\n"):
        lines = dict(line.partition(": ")[::2] for line in block.splitlines() if ": " in line)
        data = lines.get("data", "")
        if data.startswith("{"):
            names.append(lines.get("event"))
            events.append(json.loads(data))
    if not events:
        return None
    if "sequence_number" in events[0] or names[0] is not None:
        return _events_error(names, events)
    return _chunks_error(events) if events[0].get("object") == "chat.completion.chunk" else None


def _events_error(names: list[str | None], events: list[dict[str, Any]]) -> str | None:
    """Events of a response (recorded by the AI SDK, 2026-02 to 2026-08; live, 2026-09)."""
    if any(name != event.get("type") for name, event in zip(names, events, strict=True)):
        return f"the events {names} have the types {[each.get('type') for each in events]}"
    numbers = [each.get("sequence_number") for each in events]
    if numbers != list(range(len(events))):
        return f"the sequence numbers are {numbers}"
    states = [(each["type"], each["response"]["status"]) for each in events if "response" in each]
    for word, status in states:
        if status not in _STATUSES.get(word, ()):
            return f"{word} has a response that is {status}"
    if states[-1][1] in _STATUSES["response.created"] or "response" not in events[-1]:
        return f"the stream ends with {events[-1]['type']}"
    responses = [each["response"] for each in events if "response" in each]
    last = responses[-1]
    for early in responses[:-1]:
        changed = [key for key in last if key not in _LATE and early.get(key) != last[key]]
        if changed:
            return f"{changed[0]} of the response is {early[changed[0]]!r} first and {last.get(changed[0])!r} last"
    for response in responses:
        if (reason := error(response)) is not None:
            return reason
    for event in events:
        reason = _event_error(event, last["output"])
        if reason is not None:
            return f"{event['type']}: {reason}"
    return _deltas_error(events, last["output"])


# The events with a response, and the status that it has then (OpenAPI: ModelResponse.status).
_STATUSES = {
    "response.created": ("queued", "in_progress"),
    "response.in_progress": ("in_progress",),
    "response.completed": ("completed",),
    "response.incomplete": ("incomplete",),
    "response.failed": ("failed",),
}
_LATE = {"status", "output", "usage", "completed_at", "incomplete_details", "error"}


def _event_error(event: Mapping[str, Any], output: list[Json]) -> str | None:
    """An event names an item of the response by its place and id, and shows what is there in the end."""
    if "response" in event:
        return None
    place = event.get("output_index")
    if not isinstance(place, int) or not 0 <= place < len(output):
        return f"output_index is {place!r}, the response has {len(output)} items"
    item, word = output[place], event["type"].removeprefix("response.")
    shown = event.get("item")
    if shown is not None:
        late = () if word.endswith("done") else ("status", "content", "summary", "arguments", "queries", "results")
        begun, ended = ({key: each for key, each in whole.items() if key not in late} for whole in (shown, item))
        return None if begun == ended else f"the item is {begun!r}, in the response it is {ended!r}"
    if event.get("item_id") != item.get("id"):
        return f"item_id is {event.get('item_id')!r}, in the response it is {item.get('id')!r}"
    if "arguments" in event and event["arguments"] != item.get("arguments"):
        return f"the arguments are {event['arguments']!r}, in the response they are {item.get('arguments')!r}"
    parts = item.get("content")
    if not isinstance(parts, list) or not word.startswith(("content_part", "output_text")):
        return None
    number = event.get("content_index")
    if not isinstance(number, int) or not 0 <= number < len(parts):
        return f"content_index is {number!r}, the item has {len(parts)} parts"
    part = parts[number]
    pairs = {
        "content_part.done": (event.get("part"), part),
        "output_text.done": (event.get("text"), part.get("text")),
        "output_text.annotation.added": (
            event.get("annotation"),
            next(islice(part.get("annotations") or (), int(event.get("annotation_index", 0)), None), None),
        ),
    }
    one, other = pairs.get(word, (None, None))
    return None if one == other else f"it shows {one!r}, in the response it is {other!r}"


def _deltas_error(events: list[dict[str, Any]], output: list[Json]) -> str | None:
    """The deltas of an item add up to it, and each item is added once and done once, in the order of the output."""
    for word in ("added", "done"):
        places = [each["output_index"] for each in events if each["type"] == f"response.output_item.{word}"]
        if sorted(set(places)) != list(range(len(output))) or len(places) != len(output):
            return f"the items {places} are {word}, the response has {len(output)}"
    for place, item in enumerate(output):
        for name, whole in (("output_text", _text(item)), ("function_call_arguments", item.get("arguments"))):
            mine = [each for each in events if each.get("output_index") == place]
            deltas = [each["delta"] for each in mine if each["type"] == f"response.{name}.delta"]
            if deltas and "".join(deltas) != whole:
                return f"the deltas of {name} are {''.join(deltas)!r}, in the response it is {whole!r}"
    return None


def _text(item: Mapping[str, Any]) -> str | None:
    parts = item.get("content")
    return "".join(each.get("text", "") for each in parts) if isinstance(parts, list) else None


def _chunks_error(chunks: list[dict[str, Any]]) -> str | None:
    """Chunks of a completion (OpenAPI: ChatResponse; recorded live, 2026-04)."""
    for name in ("id", "object", "created", "model", "system_fingerprint"):
        if len(values := {json.dumps(each.get(name)) for each in chunks}) != 1:
            return f"{name} of the chunks is {', '.join(sorted(values))}"
    for chunk in chunks:
        if (reason := error(chunk)) is not None:
            return reason
    ends: dict[int, list[str]] = {}
    for choice in (each for chunk in chunks for each in chunk["choices"]):
        if choice["index"] in ends and ends[choice["index"]]:
            return f"a delta of choice {choice['index']} follows its finish_reason"
        if choice.get("delta", {}).get("role") not in (None, "assistant"):
            return f"the role is {choice['delta']['role']!r}"
        ends.setdefault(choice["index"], []).extend(filter(None, [choice.get("finish_reason")]))
    if sorted(ends) != list(range(len(ends))) or any(len(reasons) != 1 for reasons in ends.values()):
        return f"the choices end with {ends}"
    return None


def messages_error(messages: list[dict[str, Any]]) -> str | None:
    """Why the messages of a gRPC stream do not fit each other, or None (chat.proto: GetChatCompletionChunk)."""
    for name in ("id", "created", "model", "system_fingerprint"):
        if len(values := {str(each[name]) for each in messages if name in each}) > 1:
            return f"{name} of the chunks is {', '.join(sorted(values))}"
    return error(messages[-1]) if messages else None
