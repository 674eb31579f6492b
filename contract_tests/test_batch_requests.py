"""What a batch accepts as a request, and what each request ends as: lines of files, equal requests, and results."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, batch_input, chat_request
from .clients.http import Request, Transport
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.usefixtures("transport")

Json = dict[str, Any]
LINE = {
    "custom_id": "b",
    "method": "POST",
    "url": "/v1/chat/completions",
    "body": {"model": MODEL, "messages": [{"role": "user", "content": "Say b."}]},
}
UNSUPPORTED_MODEL = "grok-code-fast-1"
# What is wrong with a line: members that replace those above, or the whole line as text; and words of the reason.
BAD_LINES: tuple[tuple[Json | str, str], ...] = (
    ({"custom_id": ""}, "line 2: custom_id"),
    ({"custom_id": 7}, "line 2: custom_id"),
    ({"custom_id": None}, "custom_id"),
    ({"custom_id": "a"}, "line 2"),
    ({"method": "GET"}, "line 2: unsupported method"),
    ({"method": None}, "method"),
    ({"url": "/v1/audio"}, "line 2: unsupported url"),
    ({"url": None}, "url"),
    ({"body": None}, "body"),
    ({"body": "text"}, "line 2"),
    ({"body": {"messages": "text"}}, "line 2"),
    (
        {"body": {**LINE["body"], "model": UNSUPPORTED_MODEL}},  # type: ignore[dict-item]
        f"JSONL file validation failed: Model {UNSUPPORTED_MODEL} is not supported for batch processing.",
    ),
    ("[]", "line 2"),
    ("not JSON", "line 2: invalid JSON"),
)


def finished(rest: RestClient, target: Target, batch: str) -> Json:
    """The batch, once nothing of it is pending."""

    def ask() -> Json:
        found: Json = rest.json("GET", f"/v1/batches/{batch}")
        return found

    done = {"state": {"num_requests": {"$above": 0}, "num_pending": 0}}
    found: Json = matchers.wait_until(ask, done, within_seconds=target.wait_seconds_max, what=f"batch {batch}")
    return found


def results_of(rest: RestClient, target: Target, name: str, requests: dict[str, Json]) -> dict[str, Json]:
    """The results of requests by their ids, from a batch of their own."""
    batch = rest.create_batch(f"{name}batch").id
    entries = [{"batch_request_id": id, "batch_request": body} for id, body in requests.items()]
    rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": entries})
    finished(rest, target, batch)
    found = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
    return {each["batch_request_id"]: each["batch_result"] for each in found}


@case(
    "batches.file.lines",
    *("batches.create", "batches.get"),
    evidence="assumed",
    source="Batch guide: the four members of a line; three of the messages observed live, 2026-08",
    refusal="JSONL",
    refusing=("batches.create",),
    destructive=True,
)
def test_lines(rest: RestClient, target: Target, name: str) -> None:
    """Each member of a line is validated; one invalid line cancels the batch, with the reason, and adds no request."""
    made = {}
    for number, (change, words) in enumerate(BAD_LINES):
        line = change if isinstance(change, str) else json.dumps(LINE | change)
        file = rest.upload_file(batch_input({"a": "Say a."}) + line.encode() + b"\n", f"{name}{number}.jsonl")
        made[rest.create_batch(f"{name}{number}", input_file_id=file.id).id] = (change, words)
    for batch, (change, words) in made.items():
        expected = {"was_cancelled": True, "cancel_message": {"$contains": words}, "requests": 0, "pending": 0}
        matchers.wait_until(
            lambda batch=batch: vars(rest.get_batch(batch)),  # type: ignore[misc]
            expected,
            within_seconds=target.wait_seconds_max,
            what=f"the batch of {change!r}",
        )


@case(
    "batches.file.kinds",
    *("batches.create", "batches.list_requests", "batches.list_results"),
    evidence="documented",
    source="Batch guide: URLs of a line",
    destructive=True,
)
def test_kinds(rest: RestClient, target: Target, name: str) -> None:
    """A line has one of the URLs of the guide, and its request the endpoint, model and result of that kind."""
    kinds = (
        ("/v1/chat/completions", LINE["body"], "chat_get_completion"),
        ("/v1/responses", {"model": MODEL, "input": "Say a."}, "chat_get_completion"),
        ("/v1/images/generations", {"model": "grok-imagine-image", "prompt": "A kettle."}, "image_generation"),
        ("/v1/videos/generations", {"model": "grok-imagine-video", "prompt": "A stove."}, "video_generation"),
    )
    lines = [LINE | {"custom_id": str(n), "url": url, "body": body} for n, (url, body, _) in enumerate(kinds)]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    file = rest.upload_file(text.encode(), f"{name}in.jsonl")
    batch = rest.create_batch(f"{name}batch", input_file_id=file.id).id
    shown = finished(rest, target, batch)
    matchers.check(shown, {"input_file_id": file.id, "state": {"num_success": len(kinds), "num_error": 0}})
    rows = rest.json("GET", f"/v1/batches/{batch}/requests")["batch_request_metadata"]
    models = [str(body["model"]) for _, body, _ in kinds]  # type: ignore[index]
    assert [row["model"] for row in rows] == models
    results = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
    assert [list(each["batch_result"]["response"]) for each in results] == [[kind] for _, _, kind in kinds]
    with pytest.raises(ApiError) as error:
        rest.add_chats(batch, {"more": "Say more."})
    assert error.value.kind == "precondition"


@case(
    "batches.file.blank-lines",
    *("batches.create", "batches.list_requests", "auth.api_key"),
    evidence="assumed",
    source="JSON Lines: blank lines and a missing last line end are common in files that people write",
    destructive=True,
)
def test_blank_lines(rest: RestClient, target: Target, name: str) -> None:
    """Blank lines, Windows line ends and a missing last line end are no errors; the batch names its key."""
    lines = [json.dumps(LINE | {"custom_id": id}).encode() for id in "abc"]
    content = b"\n" + lines[0] + b"\r\n\n  \n" + lines[1] + b"\n\n\n" + lines[2]
    file = rest.upload_file(content, f"{name}in.jsonl")
    batch = rest.create_batch(f"{name}batch", input_file_id=file.id).id
    shown = finished(rest, target, batch)
    matchers.check(shown, {"state": {"num_requests": 3, "num_success": 3}})
    assert [row.id for row in rest.list_batch_requests(batch).items] == ["a", "b", "c"]
    assert shown["create_api_key_id"] == rest.json("GET", "/v1/api-key")["api_key_id"]


@case(
    "batches.requests.equal",
    *("batches.add_requests", "batches.get"),
    evidence="assumed",
    source="Batch guide: the same request may be added again; that JSON is compared by value is the nearest reading",
    refusal="content differs",
    destructive=True,
)
def test_equal(rest: RestClient, name: str) -> None:
    """A request is compared by value: the order and spelling of its members do not matter, their values do."""
    batch = rest.create_batch(f"{name}batch").id
    message = {"role": "user", "content": "Say a."}
    first = {"model": MODEL, "messages": [message], "temperature": 1, "max_tokens": 5}

    def add(body: Json, kind: str = "chat_get_completion") -> None:
        requests = [{"batch_request_id": "a", "batch_request": {kind: body}}]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})

    add(first)
    for same in (
        dict(reversed(first.items())),
        {**first, "temperature": 1.0},
        {**first, "user": None},
        {**first, "messages": [dict(reversed(message.items()))]},
    ):
        add(same)
    for other in (
        {**first, "temperature": 0.5},
        {**first, "user": "u"},
        {**first, "messages": [message, message]},
        {key: first[key] for key in ("model", "messages", "temperature")},
    ):
        with pytest.raises(ApiError) as error:
            add(other)
        assert error.value.kind == "precondition", other
    assert rest.get_batch(batch).requests == 1


@case(
    "batches.requests.failing",
    *("batches.add_requests", "batches.list_results"),
    evidence="assumed",
    source="Batch guide: a request that cannot be processed fails alone; two of the messages observed live, 2026-08",
    destructive=True,
)
def test_failing(rest: RestClient, target: Target, name: str) -> None:
    """A request that asks for what cannot be fails alone, and its error names what is wrong."""
    say = chat_request("Say a.")
    image = {"model": "grok-imagine-image", "prompt": "A kettle."}
    video = {"model": "grok-imagine-video", "prompt": "A stove."}
    missing = {"type": "file", "file": {"file_id": "file_00000000-0000-4000-8000-000000000000"}}
    failing: dict[str, tuple[Json, str]] = {
        "empty": ({"chat_get_completion": {**say, "messages": []}}, "essages"),
        "max-tokens": ({"chat_get_completion": {**say, "max_tokens": 0}}, "max_tokens"),
        "n-0": ({"chat_get_completion": {**say, "n": 0}}, "n must be"),
        "n-many": ({"chat_get_completion": {**say, "n": 129}}, "n must be"),
        "images-0": ({"image_generation": {**image, "n": 0}}, "n must be"),
        "file": ({"chat_get_completion": {"model": MODEL, "messages": [{"role": "user", "content": [missing]}]}}, ""),
        "long": ({"video_generation": {**video, "duration": 16}}, "duration"),
    }
    fine: dict[str, Json] = {
        "fine": {"chat_get_completion": say},
        "n-most": {"chat_get_completion": {**say, "n": 128}},
        "longest": {"video_generation": {**video, "duration": 15}},
    }
    results = results_of(rest, target, name, {id: body for id, (body, _) in failing.items()} | fine)
    for id, (body, words) in failing.items():
        matchers.check(results[id], {"error": {"$contains": words}, "response": "$absent"}, f"{body}")
    for id in fine:
        matchers.check(results[id], {"error": "$absent"}, id)


@case(
    "batches.results.members",
    *("batches.add_requests", "batches.list_results"),
    evidence="documented",
    source="OpenAPI: chat completions, image and video generation: n, usage, duration",
    destructive=True,
)
def test_members(rest: RestClient, target: Target, name: str) -> None:
    """Results have as many choices, images and seconds as were asked for, and usage and costs that follow from them."""
    short, long = (chat_request(text) for text in ("Say a.", "Say a. " * 40))
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}
    seen = {"model": MODEL, "messages": [{"role": "user", "content": [{"type": "text", "text": "Look."}, picture]}]}
    image = {"model": "grok-imagine-image", "prompt": "A kettle."}
    video = {"model": "grok-imagine-video", "prompt": "A stove."}
    results = results_of(
        rest,
        target,
        name,
        {
            "short": {"chat_get_completion": short},
            "long": {"chat_get_completion": long},
            "three": {"chat_get_completion": {**short, "n": 3}},
            "seen": {"chat_get_completion": seen},
            "image": {"image_generation": image},
            "images": {"image_generation": {**image, "n": 4}},
            "video": {"video_generation": {**video, "duration": 2}},
            "longer": {"video_generation": {**video, "duration": 8}},
            "seconds": {"video_generation": {**video, "seconds": "3"}},
        },
    )

    def response(id: str) -> Json:
        [(_, found)] = results[id]["response"].items()
        return dict(found)

    for id in ("short", "long", "three", "seen"):
        usage = response(id)["usage"]
        reasoning = usage["completion_tokens_details"]["reasoning_tokens"]
        assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"] + reasoning, usage
        details = usage["prompt_tokens_details"]
        parts = sum(details[f"{kind}_tokens"] for kind in ("text", "image", "audio"))
        assert parts == usage["prompt_tokens"], usage
        assert (details["image_tokens"] > 0) == (id == "seen"), usage
        assert usage["cost_in_usd_ticks"] > 0, usage
        matchers.check(response(id), {"model": MODEL, "created": "$unix_now", "object": "chat.completion"})
    assert response("long")["usage"]["prompt_tokens"] > response("short")["usage"]["prompt_tokens"]
    assert response("long")["usage"]["cost_in_usd_ticks"] > response("short")["usage"]["cost_in_usd_ticks"]
    choices = response("three")["choices"]
    assert [each["index"] for each in choices] == [0, 1, 2]
    assert all(each["message"]["role"] == "assistant" and each["finish_reason"] == "stop" for each in choices)
    assert [len(response(id)["data"]) for id in ("image", "images")] == [1, 4]
    assert len({each["url"] for each in response("images")["data"]}) == 4
    assert response("images")["usage"]["cost_in_usd_ticks"] == 4 * response("image")["usage"]["cost_in_usd_ticks"]
    assert [response(id)["video"]["duration"] for id in ("video", "longer", "seconds")] == [2, 8, 3]
    assert response("longer")["usage"]["cost_in_usd_ticks"] == 4 * response("video")["usage"]["cost_in_usd_ticks"]


@case(
    "batches.echo.forms",
    *("batches.add_requests", "batches.list_results"),
    evidence="emulator",
    source="docs/fidelity.md: the echo responder",
    control=True,
    destructive=True,
)
def test_forms(rest: RestClient, target: Target, name: str) -> None:
    """The emulator's own response repeats the last message of the user as text, JSON, a schema or a call."""
    schema = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
    function = {"name": "look_up", "parameters": schema}
    tool = {"tools": [{"type": "function", "function": function}]}
    say = chat_request("Say a.")
    named = {"type": "json_schema", "json_schema": {"name": "place", "schema": schema}}
    flat = {"type": "json_schema", "name": "place", "schema": schema}
    turns = [
        {"role": role, "content": f"Say {word}."}
        for role, word in zip(("user", "assistant", "user"), "abc", strict=True)
    ]
    results = results_of(
        rest,
        target,
        name,
        {
            "plain": {"chat_get_completion": say},
            "object": {"chat_get_completion": {**say, "response_format": {"type": "json_object"}}},
            "schema": {"chat_get_completion": {**say, "response_format": named}},
            "tool": {"chat_get_completion": {**say, **tool, "tool_choice": "required"}},
            "auto": {"chat_get_completion": {**say, **tool, "tool_choice": "auto"}},
            "responses": {"responses": {"model": MODEL, "input": "Say r.", "text": {"format": flat}}},
            "turns": {"chat_get_completion": {**say, "messages": turns}},
            "response turns": {"responses": {"model": MODEL, "input": turns}},
        },
    )
    messages = {id: each["response"]["chat_get_completion"]["choices"][0] for id, each in results.items()}
    texts = {id: each["message"]["content"] for id, each in messages.items()}
    assert (texts["plain"], texts["auto"]) == ("Say a.", "Say a.")
    assert (texts["turns"], texts["response turns"]) == ("Say c.", "Say c.")
    assert json.loads(texts["object"]) == {"echo": "Say a."}
    for id in ("schema", "responses"):
        matchers.check(json.loads(texts[id]), {"$keys": ["city"]}, id)
    [call] = messages["tool"]["message"]["tool_calls"]
    matchers.check(call, {"type": "function", "function": {"name": "look_up"}, "id": "$text"})
    matchers.check(json.loads(call["function"]["arguments"]), {"$keys": ["city"]})
    assert messages["tool"]["finish_reason"] == "tool_calls"


@case(
    "batches.results.media",
    *("batches.add_requests", "batches.list_results", "batches.media", "files.get"),
    evidence="documented",
    source="OpenAPI: image and video generation: response_format, storage_options; Batch guide: media URLs",
    destructive=True,
)
def test_media(rest: RestClient, transport: Transport, target: Target, name: str) -> None:
    """Media come as a URL or in base64, each image its own, and are stored as files of the team where that is asked."""
    image = {"model": "grok-imagine-image", "prompt": "A kettle."}
    video = {"model": "grok-imagine-video", "prompt": "A stove.", "duration": 1}
    stored = {"storage_options": {"filename": f"{name}a.png", "expires_after": 7200, "public_url": True}}
    kept = {"storage_options": {"filename": f"{name}a.mp4"}}
    results = results_of(
        rest,
        target,
        name,
        {
            "inline": {"image_generation": {**image, "n": 2, "response_format": "b64_json"}},
            "url": {"image_generation": {**image, "n": 2}},
            "stored": {"image_generation": {**image, **stored}},
            "kept": {"video_generation": {**video, **kept}},
            "bad": {"image_generation": {**image, "storage_options": {"filename": "a;b.png"}}},
        },
    )
    inline = results["inline"]["response"]["image_generation"]["data"]
    bytes_of = [base64.b64decode(each["b64_json"]) for each in inline]
    urls = [each["url"] for each in results["url"]["response"]["image_generation"]["data"]]
    served = [transport.send(Request("GET", url)) for url in urls]
    assert all("url" not in each for each in inline)
    assert all(found.startswith(b"\x89PNG") for found in bytes_of)
    assert [each.body[:4] for each in served] == [b"\x89PNG"] * 2
    assert [each.headers["content-type"] for each in served] == ["image/png"] * 2
    assert len(set(bytes_of)) == 2
    assert len({each.body for each in served}) == 2
    [shown] = results["stored"]["response"]["image_generation"]["data"]
    file = rest.json("GET", f"/v1/files/{shown['file_output']['file_id']}")
    matchers.check(file, {"filename": f"{name}a.png", "public_url": shown["file_output"]["public_url"]})
    assert file["expires_at"] - file["created_at"] == 7200
    film = results["kept"]["response"]["video_generation"]["video"]
    file = rest.json("GET", f"/v1/files/{film['file_output']['file_id']}")
    matchers.check(file, {"filename": f"{name}a.mp4", "expires_at": "$null", "public_url": "$absent"})
    assert rest.read_file(file["id"]) == transport.send(Request("GET", film["url"])).body
    [refused] = results["bad"]["response"]["image_generation"]["data"]
    matchers.check(refused, {"storage_error": "$text", "file_output": "$absent"})


@case(
    "batches.requests.null-id",
    *("batches.create", "batches.add_requests", "batches.list_requests"),
    evidence="documented",
    source="Batch reference: batch_request_id and input_file_id are strings or null",
    destructive=True,
)
def test_null_id(rest: RestClient, name: str) -> None:
    """An id that is null is as one that is left out: the request is given one, the batch has no input file."""
    batch = rest.json("POST", "/v1/batches", json_body={"name": f"{name}batch", "input_file_id": None})
    matchers.check(batch, {"input_file_id": "$absent"})
    request = {"batch_request_id": None, "batch_request": {"chat_get_completion": chat_request("Say a.")}}
    path = f"/v1/batches/{batch['batch_id']}/requests"
    rest.call("POST", path, json_body={"batch_requests": [request, request]})
    rows = rest.json("GET", path)["batch_request_metadata"]
    assert len({row["batch_request_id"] for row in rows}) == 2
    matchers.check(rows, [{"batch_request_id": "$batch_request_id"}] * 2)


@case(
    "batches.requests.ids",
    *("batches.add_requests", "batches.get"),
    evidence="assumed",
    source="Batch guide: an id names one request; how one call is validated as a whole is not documented",
    refusal="content differs",
    destructive=True,
)
def test_ids(rest: RestClient, name: str) -> None:
    """One call adds all of its requests or none: an invalid one, or one id with two contents, adds nothing."""
    batch = rest.create_batch(f"{name}batch").id
    a, b = ({"chat_get_completion": chat_request(f"Say {word}.")} for word in "ab")
    image = {"image_generation": {"prompt": "A kettle."}}
    unsupported = {"chat_get_completion": {**a["chat_get_completion"], "model": UNSUPPORTED_MODEL}}

    def add(*requests: tuple[str, Json]) -> None:
        entries = [{"batch_request_id": id, "batch_request": body} for id, body in requests]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": entries})

    for kind, requests in (
        ("precondition", (("a", a), ("a", b))),
        ("precondition", (("a", a), ("a", image))),
        ("invalid", (("a", a), ("b", unsupported))),
        ("invalid", (("a", a), ("b", {**a, **image}))),
        ("invalid", (("a", a), ("b", {}))),
        ("invalid", (("a", a), ("b", {"chat": a["chat_get_completion"]}))),
        ("invalid", (("a", a), ("b", {"chat_get_completion": []}))),
    ):
        with pytest.raises(ApiError) as error:
            add(*requests)
        assert error.value.kind == kind, requests
        assert rest.get_batch(batch).requests == 0, requests
    add(("a", a), ("a", a), ("b", b))
    assert rest.get_batch(batch).requests == 2
    add(("b", b), ("c", b))
    assert rest.get_batch(batch).requests == 3
