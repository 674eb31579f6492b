"""What a batch reads: its input file as it was, the lines of that by their numbers, and what requests refer to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, Client, batch_input, chat_request
from .clients.http import FilePart
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target
from .test_batch_requests import finished
from .test_key_parameters import OTHER_MODEL

pytestmark = pytest.mark.over_both_protocols
Json = Any
UUID = "00000000-0000-4000-8000-000000000000"
# The kind of a request in a batch, and where the same is asked live.
PATHS: dict[str, tuple[str, Json]] = {
    "chat_get_completion": ("/v1/chat/completions", {"model": MODEL}),
    "responses": ("/v1/responses", {"model": MODEL, "store": False}),
    "image_generation": ("/v1/images/generations", {"model": "grok-imagine-image", "prompt": "A kettle."}),
    "image_edit": ("/v1/images/edits", {"model": "grok-imagine-image", "prompt": "A kettle."}),
    "video_generation": ("/v1/videos/generations", {"model": "grok-imagine-video"}),
    "video_extension": ("/v1/videos/extensions", {"model": "grok-imagine-video", "prompt": "A kettle."}),
}


def said(kind: str, **part: Json) -> Json:
    """A message of the user with a text and one more part."""
    word = "input_text" if kind.startswith("input") else "text"
    return [{"role": "user", "content": [{"type": word, "text": "Say a."}, {"type": kind, **part}]}]


def wrong_requests(gone: str, text: str, image: str) -> list[tuple[str, Json]]:
    """Requests with the shape of their kind that cannot be answered, given a deleted file, a text and an image."""
    search = {"type": "file_search", "vector_store_ids": [f"collection_{UUID}"]}
    ask = {"messages": [{"role": "user", "content": "Say a."}]}
    unknown = f"file_{UUID}"
    return [
        ("chat_get_completion", {"messages": []}),
        ("chat_get_completion", {**ask, "max_tokens": 0}),
        ("chat_get_completion", {**ask, "max_completion_tokens": -1}),
        ("chat_get_completion", {**ask, "presence_penalty": 0.5}),
        ("chat_get_completion", {**ask, "frequency_penalty": 0.5}),
        ("chat_get_completion", {**ask, "tool_choice": "auto"}),
        ("chat_get_completion", {**ask, "model": OTHER_MODEL, "reasoning_effort": "high"}),
        ("chat_get_completion", {**ask, "n": 0}),
        ("chat_get_completion", {**ask, "n": 129}),
        *(("chat_get_completion", {"messages": said("file", file={"file_id": id})}) for id in (gone, unknown)),
        ("chat_get_completion", {"messages": said("image_url", image_url={"file_id": text})}),
        ("responses", {"input": "Say a.", "max_output_tokens": 0}),
        ("responses", {"input": "Say a.", "previous_response_id": UUID}),
        ("responses", {"input": "Say a.", "previous_response_id": UUID, "instructions": "Be brief."}),
        ("responses", {"input": "Say a.", "tools": [search]}),
        ("responses", {"input": said("input_file", file_id=gone)}),
        ("responses", {"input": said("input_image", file_id=gone)}),
        ("responses", {"input": said("input_image", file_id=text)}),
        *(("image_generation", {"n": number}) for number in (0, 11)),
        *(("image_edit", {"image": {"file_id": id}}) for id in (gone, unknown, text)),
        ("image_edit", {"image": {"file_id": image, "url": "https://x.ai/a"}}),
        *(("video_generation", {"prompt": "A stove.", "duration": seconds}) for seconds in (0, -1, 16)),
        ("video_generation", {"prompt": ""}),
        *(("video_generation", {"prompt": "A stove.", "image": {"file_id": id}}) for id in (gone, unknown, text)),
        *(("video_extension", {"video": {"file_id": id}}) for id in (gone, unknown, image)),
        ("video_extension", {"video": {"url": "https://x.ai/a"}, "duration": 11}),
    ]


CODES = {"invalid": 3, "not_found": 5}  # google.rpc.Code


@case(
    "batches.requests.refused-as-live",
    *("batches.add_requests", "batches.list_results", "batches.list_requests", "batches.get"),
    evidence="assumed",
    source="Batch guide: a request of a batch is a request of its endpoint; two of the errors observed live, 2026-08",
    destructive=True,
    paid=True,
)
def test_refused(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A request of a batch that its endpoint refuses fails with the words and the kind of that refusal."""
    gone, image = (rest.upload_file(b"x", f"{name}{word}.png").id for word in "ab")
    text = rest.upload_file(b"The kettle.", f"{name}a.txt").id
    rest.delete_file(gone)
    batch = rest.create_batch(f"{name}batch").id
    refusals: dict[str, tuple[Json, ApiError]] = {}
    for number, (kind, members) in enumerate(wrong_requests(gone, text, image)):
        path, base = PATHS[kind]
        body = {**base, **members}
        with pytest.raises(ApiError) as refused:
            rest.call("POST", path, json_body=body)
        refusals[f"{number:02}"] = (body, refused.value)
        requests = [{"batch_request_id": f"{number:02}", "batch_request": {kind: body}}]
        rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})
    shown = finished(rest, target, batch)
    matchers.check(shown["state"], {"num_requests": len(refusals), "num_error": len(refusals)})
    assert {row.state for row in rest.list_batch_requests(batch).items} == {"failed"}
    if client.protocol == "grpc":
        results = client.call_rpc("ListBatchResults", batch_id=batch)["results"]
        found = {each["batch_request_id"]: (each["error"]["message"], each["error"]["code"]) for each in results}
    else:
        results = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
        found = {each["batch_request_id"]: (each["batch_result"]["error"], None) for each in results}
    for id, (body, error) in refusals.items():
        words, code = found[id]
        assert error.message.endswith(words), (body, words)
        assert code in (None, CODES[error.kind]), (body, code)


@case(
    "batches.requests.continued",
    *("batches.add_requests", "batches.list_results", "responses.create"),
    evidence="assumed",
    source="OpenAPI: previous_response_id; a request of a batch is a request of its endpoint",
    destructive=True,
    paid=True,
)
def test_continued(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A response in a batch continues a stored one, and counts its messages, as the same request does live."""
    first = {"model": MODEL, "input": "Remember the copper kettle and the green ferns.", "store": True}
    previous = rest.json("POST", "/v1/responses", json_body=first)["id"]
    bodies = {
        "alone": {"model": MODEL, "input": "Which kettle?", "store": False},
        "continued": {"model": MODEL, "input": "Which kettle?", "store": False, "previous_response_id": previous},
    }
    batch = rest.create_batch(f"{name}batch").id
    requests = [{"batch_request_id": id, "batch_request": {"responses": body}} for id, body in bodies.items()]
    rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})
    finished(rest, target, batch)
    counts = {}
    if client.protocol == "grpc":
        for each in client.call_rpc("ListBatchResults", batch_id=batch)["results"]:
            counts[each["batch_request_id"]] = each["response"]["completion_response"]["usage"]["prompt_tokens"]
    else:
        for each in rest.json("GET", f"/v1/batches/{batch}/results")["results"]:
            answer = each["batch_result"]["response"]["chat_get_completion"]
            counts[each["batch_request_id"]] = answer["usage"]["prompt_tokens"]
    live = {
        id: rest.json("POST", "/v1/responses", json_body=body)["usage"]["input_tokens"] for id, body in bodies.items()
    }
    assert counts["continued"] > counts["alone"] + 5
    assert counts == live or target.team is None


@case(
    "batches.file.as-it-was",
    *("batches.create", "batches.get", "batches.list_requests", "files.update", "files.delete"),
    evidence="assumed",
    source="Batch guide: the file becomes the requests of the batch; what later changes of the file do is not said",
    control=True,
    destructive=True,
)
@pytest.mark.own_team
def test_changed_file(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A batch has the lines that its input file had when it was created, whatever happens to the file then."""
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    content = batch_input({"a": "Say a.", "b": "Say b."})
    other = FilePart(f"{name}in.jsonl", batch_input({"c": "Say c."}))
    changes: dict[str, Callable[[str], object]] = {
        "nothing": lambda file: None,
        "new content": lambda file: rest.json("PUT", f"/v1/files/{file}", form=[("file", other)]),
        "another name": lambda file: rest.json("PUT", f"/v1/files/{file}", json_body={"filename": f"{name}a.txt"}),
        "deletion": rest.delete_file,
        "end": lambda file: target.control("POST", "/clock/advance", {"seconds": 7200}),
    }
    for what, change in changes.items():
        file = rest.upload_file(content, f"{name}in.jsonl", expires_after=3600).id
        if client.protocol == "grpc":
            batch = client.call_rpc("CreateBatch", name=f"{name}{what}", input_file_id=file)["batch_id"]
        else:
            batch = rest.create_batch(f"{name}{what}", input_file_id=file).id
        change(file)
        for _ in range(2):
            target.control("POST", "/jobs/run")
        shown = rest.json("GET", f"/v1/batches/{batch}")
        matchers.check(shown, {"input_file_id": file, "state": {"num_requests": 2, "num_success": 2}}, what)
        assert [row.id for row in rest.list_batch_requests(batch).items] == ["a", "b"], what
        results = {each.id: each.text for each in rest.list_batch_results(batch).items}
        assert all(id in str(text) for id, text in results.items()), (what, results)


GOOD = batch_input({"a": "Say a."})
# What precedes a bad line, and its number; and files without any request.
BEFORE: tuple[tuple[bytes, int], ...] = (
    (b"", 1),
    (b"\n", 2),
    (b"\r\n\r\n", 3),
    (GOOD, 2),
    (GOOD.strip() + b"\r\n", 2),
    (GOOD + b"\n\n  \n", 5),
    (b"\n" + GOOD + b"\n" + batch_input({"b": "Say b."}) + b"\n", 6),
)
EMPTY = (b"", b"\n", b"\n \r\n\n")


@case(
    "batches.file.line-numbers",
    *("batches.create", "batches.get", "batches.list_requests"),
    evidence="assumed",
    source='observed live, 2026-08: "line 2: invalid JSON"; that blank lines count, and a file needs one request',
    refusal="JSONL",
    refusing=("batches.create",),
    destructive=True,
)
def test_line_numbers(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """The reason of a cancelled batch names the line as an editor numbers it; a file without requests is no batch."""
    files = [(before + b"{\n" + GOOD, f"line {number}: ") for before, number in BEFORE]
    files += [(content, "") for content in EMPTY]
    made = {}
    for number, (content, words) in enumerate(files):
        file = rest.upload_file(content, f"{name}{number}.jsonl").id
        made[rest.create_batch(f"{name}{number}", input_file_id=file).id] = (content, words)
    for batch, (content, words) in made.items():
        ended = {"cancel_by_xai_message": "$text", "cancel_time": "$date"}
        shown = matchers.wait_until(
            partial(rest.json, "GET", f"/v1/batches/{batch}"),
            ended,
            within_seconds=target.wait_seconds_max,
            what=f"the batch of {content!r}",
        )
        assert shown["cancel_by_xai_message"].startswith(f"JSONL file validation failed: {words}"), content
        assert set(shown["state"].values()) == {0}, content
        if client.protocol == "grpc":
            found = client.call_rpc("GetBatch", batch_id=batch)
            assert found["cancel_by_xai_message"] == shown["cancel_by_xai_message"]
            assert found["cancel_time"] is not None
        assert rest.list_batch_requests(batch).items == []


@case(
    "batches.rows.days",
    *("batches.list_requests", "batches.cancel", "batches.add_requests"),
    evidence="documented",
    source="Batch reference: create_time and finish_time of a request; batch.proto: BatchRequestMetadata",
    control=True,
    destructive=True,
)
@pytest.mark.own_team
def test_times(rest: RestClient, client: Client, target: Target, name: str) -> None:
    """A request keeps the days of its addition and its end; the end of its batch is that of unfinished ones alone."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    batches = [rest.create_batch(f"{name}{word}").id for word in ("cancelled", "expired", "open")]

    def add(id: str, **more: Json) -> None:
        for batch in batches:
            body = {**chat_request(f"Say {id}."), **more}
            requests = [{"batch_request_id": id, "batch_request": {"chat_get_completion": body}}]
            rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})

    def days(number: int) -> None:
        target.control("POST", "/clock/advance", {"seconds": 86_400 * number})

    add("a")
    add("b", max_tokens=-1)
    days(1)
    target.control("POST", "/jobs/run")
    days(1)
    add("c")
    days(1)
    rest.cancel_batch(batches[0])
    days(30)
    early = {"a": ("2031-05-06", "2031-05-07"), "b": ("2031-05-06", "2031-05-07")}
    for batch, end in zip(batches, ("2031-05-09", "2031-06-05", "2031-06-05"), strict=True):
        rows = rest.json("GET", f"/v1/batches/{batch}/requests")["batch_request_metadata"]
        found = {row["batch_request_id"]: (row["create_time"], row["finish_time"]) for row in rows}
        assert found == {**early, "c": ("2031-05-08", end)}, batch
        states = {row["batch_request_id"]: row["state"] for row in rows}
        assert states == {"a": "succeeded", "b": "failed", "c": "cancelled"}
    if client.protocol == "grpc":
        rows = client.call_rpc("ListBatchRequestMetadata", batch_id=batches[0])["batch_request_metadata"]
        found = {row["batch_request_id"]: (row["create_time"], row["finish_time"]) for row in rows}
        dates = {**early, "c": ("2031-05-08", "2031-05-09")}
        clock = "T07:08:09+00:00"
        assert found == {id: (f"{begin}{clock}", f"{end}{clock}") for id, (begin, end) in dates.items()}
        shown = client.call_rpc("GetBatch", batch_id=batches[0])
        assert [shown[f"{word}_time"][:10] for word in ("create", "expire", "cancel")] == [
            *("2031-05-06", "2031-06-05", "2031-05-09")
        ]
