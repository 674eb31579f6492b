"""Requests over gRPC, field by field: each does what the member of the same meaning does over REST."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import MODEL, Client, batch_input
from .clients.models import ApiError
from .clients.rest import RestClient
from .messages import disagreement
from .observation import Observer, State
from .target import Target

pytestmark = [pytest.mark.over_grpc, pytest.mark.one_client_per_protocol]
PROTO = "collections.proto, files.proto and batch.proto: the fields of requests"
OWN = ("collection_id", "created_at", "collection_name", "batch_id", "last_indexed_at")  # differ between twins
OWN_OF_UPLOADS = (*OWN, "file_metadata.file_id", "file_metadata.created_at", "file_metadata.file_path")


def check_twins(first: State | None, second: State | None, what: str) -> None:
    """Fail where two objects that were made alike differ in more than their ids, names and times."""
    assert first is not None, what
    assert second is not None, what
    kept = [{key: each for key, each in state.items() if key not in OWN} for state in (first, second)]
    assert kept[0] == kept[1], f"{what}: over gRPC {kept[0]!r}, over REST {kept[1]!r}"


SIZES = {
    "chars_configuration": {"max_chunk_size_chars": 300, "chunk_overlap_chars": 30},
    "tokens_configuration": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 20},
    "bytes_configuration": {"max_chunk_size_bytes": 100, "chunk_overlap_bytes": 10},
}
CREATED: tuple[dict[str, Any], ...] = (
    {},
    {"collection_description": "about ferns"},
    {"index_configuration": {"model_name": "grok-embedding-other"}},
    *({"chunk_configuration": {key: sizes}} for key, sizes in SIZES.items()),
    {"chunk_configuration": {"chars_configuration": SIZES["chars_configuration"], "strip_whitespace": False}},
    {"chunk_configuration": {"chars_configuration": SIZES["chars_configuration"], "inject_name_into_chunks": True}},
    *(
        {"field_definitions": [{"key": "author", word: True}, {"key": "year"}]}
        for word in ("required", "unique", "inject_into_chunk")
    ),
    {"field_definitions": [{"key": "author", "description": "who wrote it"}]},
)


@case(
    "collections.requests",
    *("collections.create", "collections.update", "collections.delete"),
    evidence="documented",
    source=PROTO,
)
def test_collections(client: Client, rest: RestClient, name: str) -> None:
    """Each field of CreateCollection and UpdateCollection has the effect of its REST member, and of no other."""
    observer = Observer(rest, client)
    for body in CREATED:
        message = body
        made = client.call_rpc("CreateCollection", collection_name=f"{name}grpc", **message)["collection_id"]
        twin = rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}rest", **body})
        check_twins(observer.collection(made), observer.collection(twin["collection_id"]), f"create with {body}")
    ids: list[str] = []
    for made, change in (
        (body, change)
        for body in (CREATED[1], CREATED[8])
        for change in (
            {"collection_name": f"{name}other"},
            {"collection_description": "about stones"},
            {"collection_description": ""},
            {"chunk_configuration": {"chars_configuration": SIZES["chars_configuration"], "strip_whitespace": True}},
            {"field_definition_updates": [{"field_definition": {"key": "place"}, "operation": "FIELD_DEFINITION_ADD"}]},
        )
    ):
        body = {"collection_name": f"{name}notes", **made}
        ids = [rest.json("POST", "/v1/collections", json_body=body)["collection_id"] for _ in range(2)]
        client.call_rpc("UpdateCollection", collection_id=ids[0], **change)
        rest.json("PUT", f"/v1/collections/{ids[1]}", json_body=change)
        check_twins(observer.collection(ids[0]), observer.collection(ids[1]), f"{body} updated with {change}")
    client.call_rpc("DeleteCollection", collection_id=ids[0])
    assert observer.collection(ids[0]) is None
    assert observer.collection(ids[1]) is not None


@case(
    "collections.documents.requests",
    *("documents.add", "documents.update", "documents.reindex", "documents.remove", "documents.list"),
    evidence="documented",
    source=PROTO,
)
def test_documents(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Each field of the requests about documents has the effect of its REST member, and of no other."""
    observer = Observer(rest, client)
    definitions = [{"key": "author"}, {"key": "year"}]
    first, second = (rest.create_collection(f"{name}{word}", fields=definitions).id for word in ("grpc", "rest"))
    file = rest.upload_file(b"The kettle.", f"{name}a.txt").id
    for fields in ({}, {"author": "Sappho"}, {"year": "1", "author": ""}):
        client.call_rpc("AddDocumentToCollection", collection_id=first, file_id=file, fields=fields)
        rest.add_document(second, file, fields)
        check_twins(observer.document(first, file), observer.document(second, file), f"added with {fields}")
    rest.remove_document(second, file)
    ids = {"collection_id": first, "file_id": file}
    for change, expected in (
        ({"fields": {"author": "Homer"}}, {"fields.author": "Homer", "fields.year": "1"}),
        ({"name": f"{name}b.md"}, {"file_metadata.name": f"{name}b.md", "file_metadata.content_type": "text/markdown"}),
        ({"content_type": "text/csv"}, {"file_metadata.content_type": "text/csv"}),
        ({"data": b"a,b\n1,2\n"}, {"file_metadata.size_bytes": "8", "fields.author": "Homer"}),
    ):
        before = observer.document(first, file) or {}
        client.call_rpc("UpdateDocument", **ids, **change)
        after = observer.document(first, file) or {}
        matchers.check({key: after.get(key, matchers.ABSENT) for key in expected}, expected, f"{change}")
        indexing = ("last_indexed_at", "file_metadata.hash")
        others = {key for key in {**before, **after} if key not in (*expected, *indexing)}
        assert {key: before.get(key) for key in others} == {key: after.get(key) for key in others}, change
    client.call_rpc("ReIndexDocument", **ids)
    other = rest.upload_file(b"The ferns.", f"{name}other.txt").id
    rest.add_document(first, other)

    def named(value: str) -> list[str]:
        found = client.call_rpc("ListDocuments", collection_id=first, name=value)["documents"]
        path = f"/v1/collections/{first}/documents"
        shown = rest.json("GET", path, query={"name": value})["documents"]
        ids = [each["file_metadata"]["file_id"] for each in found]
        assert ids == [each["file_metadata"]["file_id"] for each in shown]
        return ids

    assert named(f"{name}other.txt") == [other]
    assert named(f"{name}nothing.txt") == []
    client.call_rpc("RemoveDocumentFromCollection", **ids)
    assert observer.document(first, file) is None
    assert rest.get_file(file).id == file


@case(
    "collections.documents.requests.upload",
    *("documents.upload", "documents.get"),
    evidence="documented",
    source="Collections guide: Uploading documents; xai-sdk 1.4.0: Collections/UploadDocument",
)
def test_upload_document(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """An upload into a collection over gRPC makes the document that the same upload over REST makes."""
    observer = Observer(rest, client)
    first, second = (rest.create_collection(f"{name}{word}", fields=[{"key": "a"}]).id for word in ("grpc", "rest"))
    filename, content = f"{name}a.txt", b"The kettle."
    text = {"name": filename, "data": content, "content_type": "text/plain"}
    for fields in ({}, {"a": "Sappho"}):
        made = client.call_rpc("UploadDocument", collection_id=first, **text, fields=fields)
        file = made["file_metadata"]["file_id"]
        twin = rest.upload_document(second, filename, content, fields).file_id
        shown = [
            {key: each for key, each in (observer.document(*ids) or {}).items() if key not in OWN_OF_UPLOADS}
            for ids in ((first, file), (second, twin))
        ]
        assert shown[0] == shown[1], f"{fields}: over gRPC {shown[0]!r}, over REST {shown[1]!r}"
        assert (rest.read_file(file), shown[0]["file_metadata.content_type"]) == (content, "text/plain")
    with pytest.raises(ApiError) as refused:
        client.call_rpc("UploadDocument", **text, collection_id="collection_00000000-0000-4000-8000-000000000000")
    assert refused.value.kind == "not_found"


@case(
    "files.requests",
    *("files.create_public_url", "files.revoke_public_url", "files.delete"),
    evidence="documented",
    source=PROTO,
)
def test_files(client: Client, rest: RestClient, name: str) -> None:
    """Each field of the requests about files has the effect of its REST member."""
    files = [rest.upload_file(b"PNG", f"{name}{word}.png", expires_after=86_400).id for word in "ab"]
    found: dict[str, Any] = {}
    for message in ({}, {"expires_after": 7200}):
        found = client.call_rpc("CreatePublicUrl", file_id=files[0], **message)
        twin = rest.create_public_url(files[1], **message)
        shown = rest.json("GET", f"/v1/files/{files[0]}")
        assert shown["public_url"] == found["public_url"]
        assert twin.expires_at is not None
        assert abs(shown["public_url_expires_at"] - twin.expires_at) <= 5, message
        reason = disagreement(found, {"public_url": shown["public_url"], "expires_at": shown["public_url_expires_at"]})
        assert reason is None, reason
    url = found["public_url"]
    revoked = [client.call_rpc("RevokePublicUrl", file_id=files[0]) for _ in range(2)]
    assert [each["revoked"] for each in revoked] == [True, False]
    assert revoked[0]["public_url"] == url
    assert revoked[1]["public_url"] in (None, "")
    assert "public_url" not in rest.json("GET", f"/v1/files/{files[0]}")
    assert client.call_rpc("DeleteFile", file_id=files[0]) == {"id": files[0], "deleted": True}
    with pytest.raises(ApiError):
        rest.get_file(files[0])
    assert rest.get_file(files[1]).id == files[1]


TOOL = {"name": "look_up", "description": "Look a word up.", "parameters": '{"type": "object", "properties": {}}'}
SCHEMA = '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}'
TEXT = {"role": "ROLE_USER", "content": [{"text": "Say a."}]}
JSON_TEXT = {"role": "user", "content": "Say a."}
# A request over gRPC, and the same over REST.
CHATS: tuple[tuple[dict[str, Any], dict[str, Any]], ...] = (
    ({}, {}),
    ({"n": 3}, {"n": 3}),
    ({"max_tokens": 100}, {"max_tokens": 100}),
    ({"temperature": 0.5, "top_p": 0.25}, {"temperature": 0.5, "top_p": 0.25}),
    ({"seed": 7, "user": "u", "stop": ["x", "y"]}, {"seed": 7, "user": "u", "stop": ["x", "y"]}),
    ({"frequency_penalty": 0.5, "presence_penalty": 0.25}, {"frequency_penalty": 0.5, "presence_penalty": 0.25}),
    ({"reasoning_effort": "EFFORT_LOW"}, {"reasoning_effort": "low"}),
    ({"response_format": {"format_type": "FORMAT_TYPE_JSON_OBJECT"}}, {"response_format": {"type": "json_object"}}),
    (
        {"response_format": {"format_type": "FORMAT_TYPE_JSON_SCHEMA", "schema": SCHEMA}},
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {
                    "schema": {
                        "type": "object",
                        "properties": {"city": {"type": "string"}},
                        "required": ["city"],
                    }
                },
            }
        },
    ),
    (
        {
            "messages": [
                {"role": "ROLE_SYSTEM", "content": [{"text": "Be short."}]},
                {"role": "ROLE_USER", "content": [{"text": "Look."}, {"image_url": {"image_url": "https://x/a.png"}}]},
                {"role": "ROLE_ASSISTANT", "content": [{"text": "I look."}]},
                {"role": "ROLE_TOOL", "content": [{"text": "42"}], "tool_call_id": "call_7"},
                {"role": "ROLE_USER", "content": [{"text": "And now?"}]},
            ]
        },
        {
            "messages": [
                {"role": "system", "content": "Be short."},
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Look."},
                        {"type": "image_url", "image_url": {"url": "https://x/a.png"}},
                    ],
                },
                {"role": "assistant", "content": "I look."},
                {"role": "tool", "content": "42", "tool_call_id": "call_7"},
                {"role": "user", "content": "And now?"},
            ]
        },
    ),
    (
        {"tools": [{"function": TOOL}], "tool_choice": {"mode": "TOOL_MODE_REQUIRED"}},
        {
            "tools": [
                {"type": "function", "function": {**TOOL, "parameters": {"type": "object", "properties": {}}}},
            ],
            "tool_choice": "required",
        },
    ),
)


def without_ids(message: dict[str, Any]) -> dict[str, Any]:
    """A message without the ids of its tool calls, which are new for each."""
    calls = [{key: each for key, each in call.items() if key != "id"} for call in message.get("tool_calls") or ()]
    return {**message, "tool_calls": calls}


@case(
    "batches.requests-over-grpc",
    *("batches.create", "batches.add_requests", "batches.get_request", "batches.list_results"),
    evidence="documented",
    source="batch.proto and chat.proto: BatchRequest, GetCompletionsRequest",
    destructive=True,
)
def test_batches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A chat request is kept and answered alike over gRPC and REST, with each of its fields, and responses too."""
    batch = client.call_rpc("CreateBatch", name=f"{name}grpc")["batch_id"]
    twin = rest.create_batch(f"{name}rest").id
    messages, bodies = [], []
    for number, (message, body) in enumerate(CHATS):
        request = {"model": MODEL, "messages": [TEXT], **message}
        messages.append({"batch_request_id": str(number), "completion_request": request})
        chat = {"model": MODEL, "messages": [JSON_TEXT], **body}
        bodies.append({"batch_request_id": str(number), "batch_request": {"chat_get_completion": chat}})
    responses = {
        "model": MODEL,
        "instructions": "Be short.",
        "input": [
            {"role": "user", "content": "Say a."},
            {"role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
            {"type": "function_call", "call_id": "call_7", "name": "look_up", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "call_7", "output": "42"},
            {
                "role": "user",
                "content": [
                    {"type": "input_text", "text": "Say b."},
                    {"type": "input_image", "image_url": "https://x/a.png"},
                ],
            },
        ],
        "max_output_tokens": 77,
        "temperature": 0.5,
        "reasoning": {"effort": "low"},
        "text": {"format": {"type": "json_object"}},
        "tools": [{"type": "function", "name": "look_up", "parameters": {"type": "object"}}],
    }
    bodies.append({"batch_request_id": "responses", "batch_request": {"responses": responses}})
    client.call_rpc("AddBatchRequests", batch_id=batch, batch_requests=messages)
    rest.call("POST", f"/v1/batches/{twin}/requests", json_body={"batch_requests": bodies})
    for id in (batch, twin):
        matchers.wait_until(
            lambda id=id: vars(rest.get_batch(id)),  # type: ignore[misc]
            {"pending": 0, "requests": {"$above": 0}},
            within_seconds=target.wait_seconds_max,
        )
    shown = [rest.json("GET", f"/v1/batches/{id}/results")["results"] for id in (batch, twin)]
    for number, (message, _) in enumerate(CHATS):
        details = [
            client.call_rpc("GetBatchRequestResult", batch_id=id, batch_request_id=str(number)) for id in (batch, twin)
        ]
        assert details[0]["request"] == details[1]["request"], message
        matchers.check(details[0]["request"]["completion_request"], message, f"{message}")
        results = [
            next(each["batch_result"] for each in found if each["batch_request_id"] == str(number)) for found in shown
        ]
        if "frequency_penalty" in message and any("error" in each for each in results):  # as models refuse it live
            assert results[0]["error"] == results[1]["error"], message
            continue
        completions = [each["response"]["chat_get_completion"] for each in results]
        texts = [[without_ids(each["message"]) for each in found["choices"]] for found in completions]
        assert texts[0] == texts[1] or target.team is None, message
        assert [each["index"] for each in completions[0]["choices"]] == list(range(message.get("n", 1))), message
    detail = client.call_rpc("GetBatchRequestResult", batch_id=twin, batch_request_id="responses")
    kept = detail["request"]["completion_request"]
    expected_messages = [
        {"role": "ROLE_SYSTEM", "content": [{"text": "Be short."}]},
        {"role": "ROLE_USER", "content": [{"text": "Say a."}]},
        {"role": "ROLE_ASSISTANT", "content": [{"text": "a"}]},
        {
            "role": "ROLE_ASSISTANT",
            "tool_calls": [{"id": "call_7", "function": {"name": "look_up", "arguments": "{}"}}],
        },
        {"role": "ROLE_TOOL", "content": [{"text": "42"}], "tool_call_id": "call_7"},
        {
            "role": "ROLE_USER",
            "content": [{"text": "Say b."}, {"image_url": {"image_url": "https://x/a.png"}}],
        },
    ]
    matchers.check(kept["messages"], expected_messages)
    expected = {
        "model": MODEL,
        "max_tokens": 77,
        "temperature": 0.5,
        "reasoning_effort": "EFFORT_LOW",
        "response_format": {"format_type": "FORMAT_TYPE_JSON_OBJECT"},
        "tools": [{"function": {"name": "look_up"}}],
    }
    matchers.check(kept, expected)
    assert detail["result"]["response"] is not None


@case(
    "batches.requests-over-grpc.file",
    *("batches.create", "batches.get"),
    evidence="documented",
    source="batch.proto: CreateBatchRequest, Batch",
    destructive=True,
)
def test_batch_of_file(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A batch that is created over gRPC with an input file names it, and has its requests."""
    file = rest.upload_file(batch_input({"a": "Say a."}), f"{name}in.jsonl").id
    made = client.call_rpc("CreateBatch", name=f"{name}batch", input_file_id=file)
    matchers.check(made, {"input_file_id": file, "name": f"{name}batch"})
    matchers.wait_until(
        lambda: vars(rest.get_batch(made["batch_id"])),
        {"pending": 0, "requests": 1},
        within_seconds=target.wait_seconds_max,
    )
    rows = client.call_rpc("ListBatchRequestMetadata", batch_id=made["batch_id"])["batch_request_metadata"]
    assert [row["batch_request_id"] for row in rows] == ["a"]


# A media request over gRPC, its kind, and the same over REST.
MEDIA: tuple[tuple[str, dict[str, Any], str, dict[str, Any]], ...] = (
    ("image_request", {}, "image_generation", {}),
    ("image_request", {"n": 2}, "image_generation", {"n": 2}),
    ("image_request", {"format": "IMG_FORMAT_BASE64"}, "image_generation", {"response_format": "b64_json"}),
    ("image_request", {"aspect_ratio": "IMG_ASPECT_RATIO_16_9"}, "image_generation", {"aspect_ratio": "16:9"}),
    ("video_request", {"duration": 3}, "video_generation", {"duration": 3}),
    ("video_request", {"duration": 4}, "video_generation", {"seconds": "4"}),
)
MODELS = {"image_request": "grok-imagine-image", "video_request": "grok-imagine-video"}


@case(
    "batches.requests-over-grpc.media",
    *("batches.add_requests", "batches.get_request", "batches.get"),
    evidence="documented",
    source="batch.proto, image.proto and video.proto; BatchCostBreakdown",
    destructive=True,
)
def test_media(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Image and video requests are kept and answered alike over gRPC and REST, and their costs add up by endpoint."""
    ids = [rest.create_batch(f"{name}{word}").id for word in ("grpc", "rest")]
    messages, bodies = [], []
    for number, (kind, message, key, body) in enumerate(MEDIA):
        common = {"model": MODELS[kind], "prompt": "A kettle."}
        messages.append({"batch_request_id": str(number), kind: {**common, **message}})
        bodies.append({"batch_request_id": str(number), "batch_request": {key: {**common, **body}}})
    client.call_rpc("AddBatchRequests", batch_id=ids[0], batch_requests=messages)
    rest.call("POST", f"/v1/batches/{ids[1]}/requests", json_body={"batch_requests": bodies})
    bad = {"batch_request_id": "bad", "batch_request": {"image_generation": {"prompt": "x", "n": 0}}}
    rest.call("POST", f"/v1/batches/{ids[1]}/requests", json_body={"batch_requests": [bad]})
    costs = []
    for id in ids:
        matchers.wait_until(
            lambda id=id: vars(rest.get_batch(id)),  # type: ignore[misc]
            {"pending": 0, "requests": {"$above": len(MEDIA) - 1}},
            within_seconds=target.wait_seconds_max,
        )
        found = client.call_rpc("GetBatch", batch_id=id)["cost_breakdown"]
        endpoints = {
            each["endpoint"]: (each["request_count"], each["cost_usd_ticks"]) for each in found["endpoint_costs"]
        }
        assert sorted(count for count, _ in endpoints.values()) == [2, 4]
        assert sum(ticks for _, ticks in endpoints.values()) == found["total_cost_usd_ticks"]
        costs.append(endpoints)
        rows = client.call_rpc("ListBatchRequestMetadata", batch_id=id)["batch_request_metadata"]
        shown = rest.json("GET", f"/v1/batches/{id}/requests")["batch_request_metadata"]
        reason = disagreement(rows, shown)
        assert reason is None, reason
        assert {row["endpoint"] for row in rows} >= set(endpoints)
    assert costs[0] == costs[1]
    for number, (kind, message, _, _) in enumerate(MEDIA):
        details = [client.call_rpc("GetBatchRequestResult", batch_id=id, batch_request_id=str(number)) for id in ids]
        assert details[0]["request"] == details[1]["request"], message
        matchers.check(details[0]["request"][kind], message, f"{message}")
        [member] = {key for key, each in details[0]["result"]["response"].items() if each is not None}
        first, second = (each["result"]["response"][member] for each in details)
        assert first.keys() == second.keys(), message
        if kind == "image_request":
            images = [
                [{key for key, each in image.items() if each} for image in found["images"]] for found in (first, second)
            ]
            assert images[0] == images[1], message
            assert len(images[0]) == message.get("n", 1), message
        else:
            assert first["video"]["duration"] == second["video"]["duration"] == message["duration"]
