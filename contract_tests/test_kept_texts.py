"""What clients name and describe comes back as it was sent, in every response that repeats it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client, batch_input, chat_request
from .clients.rest import RestClient
from .observation import Observer
from .target import Target

pytestmark = pytest.mark.over_both_protocols

KEPT = "the client's own texts are data; nothing says that a server changes them"
# Texts that a server could be tempted to change: by letter case, blanks, normalization, escapes or a type of their own.
TEXTS = (
    "Lower and UPPER",
    "  blanks  around and  within ",
    "combined e\u0301 and composed \u00e9",
    "文書 🙂",
    "quotes \" ' ` and \\ backslash",
    "<b>&amp;</b> %20 + a/b?c#d",
    "two\nlines\tand a tab",
    "null",
    "007",
    "x" * 1000,
)


@case(
    "collections.texts",
    *("collections.create", "collections.get", "collections.list", "collections.update"),
    evidence="assumed",
    source=KEPT,
)
def test_collections(client: Client, rest: RestClient, name: str) -> None:
    """Names and descriptions of collections, and keys and descriptions of fields, are kept to the character."""
    observer = Observer(rest, client)
    definitions = [{"key": text, "description": text} for text in TEXTS]
    for text in TEXTS:
        body = {"collection_name": f"{name}{text}", "collection_description": text}
        if client.protocol == "grpc":
            id = client.call_rpc("CreateCollection", **body, field_definitions=definitions)["collection_id"]
        else:
            created = {**body, "field_definitions": definitions}
            id = rest.json("POST", "/v1/collections", json_body=created)["collection_id"]
        expected = {**body, "field_definitions": definitions}
        matchers.check(observer.collection(id), expected, repr(text))
        body = {"collection_name": f"{name}{text}{text}", "collection_description": f"{text}."}
        if client.protocol == "grpc":
            client.call_rpc("UpdateCollection", collection_id=id, **body)
        else:
            rest.json("PUT", f"/v1/collections/{id}", json_body=body)
        matchers.check(observer.collection(id), {**expected, **body}, repr(text))


@case(
    "collections.documents.texts",
    *("documents.add", "documents.upload", "documents.get", "documents.list", "documents.search"),
    evidence="assumed",
    source=KEPT,
)
def test_documents(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Keys and values of fields are kept to the character, for documents and for matches of a search."""
    fields = {text: text for text in TEXTS} | {"empty": "", "Key": "1", "key": "2"}
    collection = rest.create_collection(f"{name}notes", fields=[{"key": key} for key in fields]).id
    added, file = (rest.upload_file(b"The kettle.", f"{name}{word}.txt").id for word in "ab")
    if client.protocol == "grpc":
        client.call_rpc("AddDocumentToCollection", collection_id=collection, file_id=added, fields=fields)
    else:
        rest.add_document(collection, added, fields)
    uploaded = rest.upload_document(collection, f"{name}c.txt", b"The kettle.", fields).file_id
    rest.add_document(collection, file)
    for id, expected in ((added, fields), (uploaded, fields), (file, {})):
        assert rest.get_document(collection, id).fields == expected
        listed = {each.file_id: each.fields for each in rest.list_documents(collection).items}
        assert listed[id] == expected
        if client.protocol == "grpc":
            found = client.call_rpc("GetDocumentMetadata", collection_id=collection, file_id=id)
            assert found["fields"] == expected
        matchers.wait_until(
            lambda id=id: rest.get_document(collection, id).status,  # type: ignore[misc]
            "PROCESSED",
            within_seconds=target.wait_seconds_max,
        )
    body = {"query": "kettle", "source": {"collection_ids": [collection]}, "retrieval_mode": {"type": "keyword"}}
    matches = rest.json("POST", "/v1/documents/search", json_body=body)["matches"]
    shown = {match["file_id"]: match["fields"] for match in matches}
    assert {key: shown[added].get(key) for key in fields} == fields


@case(
    "batches.texts",
    *("batches.create", "batches.add_requests", "batches.list_requests", "batches.list_results"),
    evidence="assumed",
    source=KEPT,
    destructive=True,
)
def test_batches(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Names of batches, ids of requests and what requests ask for are kept to the character, also those of a file."""
    prompts = {f"{text}": f"Say {text}." for text in TEXTS} | {"Id": "Say 1.", "id": "Say 2."}
    file = rest.upload_file(batch_input(prompts), f"{name}in.jsonl").id
    title = f"{name}{TEXTS[5]}{TEXTS[3]}"
    inline, of_file = rest.create_batch(title).id, rest.create_batch(title, input_file_id=file).id
    entries = [
        {"batch_request_id": id, "batch_request": {"chat_get_completion": chat_request(prompt)}}
        for id, prompt in prompts.items()
    ]
    rest.call("POST", f"/v1/batches/{inline}/requests", json_body={"batch_requests": entries})
    for batch in (inline, of_file):
        matchers.wait_until(
            lambda batch=batch: vars(rest.get_batch(batch)),  # type: ignore[misc]
            {"pending": 0, "requests": len(prompts), "name": title},
            within_seconds=target.wait_seconds_max,
        )
        rows = rest.json("GET", f"/v1/batches/{batch}/requests")["batch_request_metadata"]
        results = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
        for found in (rows, results):
            assert sorted(each["batch_request_id"] for each in found) == sorted(prompts)
        if client.protocol == "grpc":
            assert client.call_rpc("GetBatch", batch_id=batch)["name"] == title
            for id, prompt in prompts.items():
                kept = client.call_rpc("GetBatchRequestResult", batch_id=batch, batch_request_id=id)["request"]
                [message] = kept["completion_request"]["messages"]
                matchers.check(message["content"], [{"text": prompt}], repr(id))


FILENAMES = tuple(text for text in TEXTS if not set(text) & set('"\\\n\t;') and len(text) < 200)


@case("files.texts", "files.upload", "files.get", "files.list", "files.content", evidence="assumed", source=KEPT)
def test_files(client: Client, rest: RestClient, name: str) -> None:
    """Names and bytes of files are kept as they were uploaded: no letter case, blank or line end is changed."""
    contents = (b"", b" \r\n a \n\n", b"\xff\xfe\x00\x01", json.dumps({"b": 1, "a": [None]}).encode(), b"\xef\xbb\xbfx")
    made: dict[str, Any] = {}
    for number, text in enumerate(FILENAMES):
        content = contents[number % len(contents)]
        file = client.upload_file(content, f"{name}{text}.bin")
        made[file.id] = f"{name}{text}.bin"
        assert (file.name, file.size) == (made[file.id], len(content)), repr(text)
        assert (client.get_file(file.id), client.read_file(file.id)) == (file, content), repr(text)
        assert rest.read_file(file.id) == content, repr(text)
    listed = {file.id: file.name for file in client.list_files(filter=f'name:"{name}"').items}
    assert listed == made
