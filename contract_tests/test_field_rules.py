"""Rules of fields hold for each way to write a document, and end when the collection changes its definitions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from .case import case
from .clients.client import Client
from .clients.models import refusal_kind
from .clients.rest import RestClient

pytestmark = pytest.mark.over_both_protocols
Json = Any
Write = Callable[[dict[str, str]], Any]
DEFINITIONS = ({"key": "isbn", "unique": True}, {"key": "author", "required": True}, {"key": "year"})


def ways(client: Client, rest: RestClient, collection: str, name: str) -> dict[str, Write]:
    """Each way to write the fields of a document that is not the one with the isbn 1, over one transport."""
    free, present = (rest.upload_file(b"The ferns.", f"{name}{word}.txt").id for word in ("free", "present"))
    rest.add_document(collection, present, {"isbn": "2", "author": "Homer", "year": "1"})
    found: dict[str, Write] = {"upload": lambda fields: rest.upload_document(collection, f"{name}c.txt", b"x", fields)}
    if client.protocol == "rest":
        found["add"] = partial(rest.add_document, collection, free)
        found["add again"] = partial(rest.add_document, collection, present)
        return found
    call = partial(client.call_rpc, collection_id=collection)
    found["add"] = lambda fields: call("AddDocumentToCollection", file_id=free, fields=fields)
    found["add again"] = lambda fields: call("AddDocumentToCollection", file_id=present, fields=fields)
    found["update"] = lambda fields: call("UpdateDocument", file_id=present, fields=fields)
    found["update with content"] = lambda fields: call("UpdateDocument", file_id=present, fields=fields, data=b"y")
    return found


@case(
    "collections.documents.rules-everywhere",
    *("documents.add", "documents.upload", "documents.list", "collections.update", "files.list"),
    evidence="documented",
    source="Collections guide: required and unique fields; xai-sdk: UpdateDocument keeps the fields it does not name",
    refusal="field rule",
    refusing=("documents.add",),
)
def test_rules(client: Client, rest: RestClient, name: str) -> None:
    """No way to write a document takes a value twice or misses a required field, until the definition says so."""
    collection = rest.create_collection(f"{name}notes", fields=DEFINITIONS).id
    rest.add_document(collection, rest.upload_file(b"x", f"{name}first.txt").id, {"isbn": "1", "author": "Sappho"})
    taken, authorless = {"isbn": "1", "author": "Alkaios"}, {"isbn": "3"}

    def shown() -> Json:
        path = f"/v1/collections/{collection}"
        documents = rest.json("GET", f"{path}/documents")["documents"]
        files = rest.list_files(filter=f'name:"{name}"').items
        return documents, rest.json("GET", path), [each.id for each in files]

    writes = ways(client, rest, collection, name)
    before = shown()
    for way, write in writes.items():
        for fields in (taken, authorless):
            if way.startswith("update") and fields == authorless:  # the author stays
                continue
            assert refusal_kind(partial(write, fields)) == "invalid", (way, fields)
            assert shown() == before, (way, fields)

    def change(**definition: Any) -> None:
        update = {"field_definition": definition, "operation": "FIELD_DEFINITION_ADD"}
        if client.protocol == "grpc":
            client.call_rpc("UpdateCollection", collection_id=collection, field_definition_updates=[update])
        else:
            rest.json("PUT", f"/v1/collections/{collection}", json_body={"field_definition_updates": [update]})

    change(key="isbn")
    for way, write in writes.items():
        assert refusal_kind(partial(write, taken)) == "", way
    assert refusal_kind(partial(change, key="isbn", unique=True)) == "invalid"
    change(key="author")
    for way, write in writes.items():
        assert refusal_kind(partial(write, authorless)) == "", way
    found = [each.fields for each in rest.list_documents(collection).items]
    values = sorted((fields.get("isbn", ""), fields.get("author", "")) for fields in found)
    assert values == [("1", "Alkaios"), ("1", "Sappho"), *[("3", "")] * 3], values
