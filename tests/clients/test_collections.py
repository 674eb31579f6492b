"""Collections under the unmodified xai-sdk, sync and aio, and under the curl commands of the guides."""

from __future__ import annotations

import datetime
import json
import shlex
import shutil
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import xai_sdk
from xai_sdk.proto import collections_pb2, types_pb2

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

PROCESSED = collections_pb2.DOCUMENT_STATUS_PROCESSED
FAILED = collections_pb2.DOCUMENT_STATUS_FAILED
STRATEGIES: dict[str, dict[str, Any]] = {
    "chars_configuration": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 10},
    "tokens_configuration": {"max_chunk_size_tokens": 64, "chunk_overlap_tokens": 8, "encoding_name": "o200k_base"},
    "bytes_configuration": {"max_chunk_size_bytes": 200, "chunk_overlap_bytes": 0},
}


def arguments(emulator: Emulator) -> dict[str, Any]:
    """What both clients are made with."""
    return {
        "api_key": emulator.api_key,
        "management_api_key": emulator.management_key,
        "api_host": emulator.grpc_target,
        "management_api_host": emulator.grpc_target,
    }


@pytest.fixture
def client(emulator: Emulator) -> Iterator[xai_sdk.Client]:
    emulator.reset()
    client = xai_sdk.Client(**arguments(emulator))
    yield client
    client.close()


@pytest.fixture
async def aio(emulator: Emulator) -> AsyncIterator[xai_sdk.AsyncClient]:
    emulator.reset()
    client = xai_sdk.AsyncClient(**arguments(emulator))
    yield client
    await client.close()


def test_collections_calls_of_xai_client(client: xai_sdk.Client) -> None:
    """Create, get, list, update, add, upload, list and batch documents, update, re-index, describe, remove, delete."""
    collections = client.collections
    definitions = [{"key": "title", "required": True, "inject_into_chunk": True, "unique": False, "description": "t"}]
    made = collections.create("reports", field_definitions=definitions, metric_space="cosine", description="yearly")
    id = made.collection_id
    assert collections.get(id) == made
    assert (made.collection_description, made.field_definitions[0].description) == ("yearly", "t")
    assert made.chunk_configuration.bytes_configuration.max_chunk_size_bytes == 4000

    existing = client.files.upload(b"Revenue grew in the third quarter.", filename="q3.txt")
    collections.add_existing_document(id, existing.id, {"title": "Q3"})
    uploaded = collections.upload_document(id, "q4.txt", b"Revenue fell.", {"title": "Q4"}, wait_for_indexing=True)
    assert (uploaded.status, uploaded.chunk_count, uploaded.chunks_processed_count) == (PROCESSED, 1, 1)
    assert uploaded.last_indexed_at.seconds > 0
    assert collections.get(id).documents_count == 2
    assert collections.get(id).total_file_size == existing.size + 13

    listed = collections.list_documents(id, sort_by="name", order="asc").documents
    assert [document.file_metadata.name for document in listed] == ["q3.txt", "q4.txt"]
    ids = [document.file_metadata.file_id for document in reversed(listed)]
    assert [d.file_metadata.file_id for d in collections.batch_get_documents(id, ids).documents] == ids

    changed = collections.update_document(id, ids[0], name="q5.md", data=b"# Loss", fields={"year": "2026"})
    assert (changed.file_metadata.name, changed.file_metadata.size_bytes) == ("q5.md", 6)
    assert (changed.file_metadata.content_type, changed.fields) == ("text/markdown", {"title": "Q4", "year": "2026"})
    assert changed.file_metadata.hash != uploaded.file_metadata.hash
    assert client.files.content(ids[0]) == b"# Loss"
    assert changed.status == PROCESSED

    collections.reindex_document(id, ids[0])
    assert "q3.txt" in collections.generate_description(id)
    collections.remove_document(id, ids[0])
    assert client.files.get(ids[0]).filename == "q5.md"
    collections.delete(id)
    for call in (collections.get, collections.delete, collections.generate_description, collections.list_documents):
        with pytest.raises(grpc.RpcError) as caught:
            call(id)
        assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.NOT_FOUND, "Collection not found")


async def test_collections_calls_of_async_xai_client(aio: xai_sdk.AsyncClient) -> None:
    """The asynchronous client does the same."""
    collections = aio.collections
    id = (await collections.create("notes")).collection_id
    document = await collections.upload_document(
        id, "a.txt", b"Alpha beta gamma.", wait_for_indexing=True, timeout=datetime.timedelta(seconds=PATIENCE_SECONDS)
    )
    file_id = document.file_metadata.file_id
    assert document.status == PROCESSED
    existing = await aio.files.upload(b"delta", filename="b.txt")
    await collections.add_existing_document(id, existing.id)
    assert len((await collections.list_documents(id, filter="status:DOCUMENT_STATUS_PROCESSED")).documents) == 2
    assert (await collections.update(id, name="news")).collection_name == "news"
    assert [each.collection_name for each in (await collections.list(filter='collection_name:"new"')).collections] == [
        "news"
    ]
    assert (await collections.update_document(id, file_id, fields={"a": "b"})).fields == {"a": "b"}
    assert len((await collections.batch_get_documents(id, [file_id])).documents) == 1
    await collections.reindex_document(id, file_id)
    assert await collections.generate_description(id)
    await collections.remove_document(id, file_id)
    await collections.delete(id)
    assert (await collections.list()).collections == []


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_collection_accepts_every_chunk_strategy(client: xai_sdk.Client, strategy: str) -> None:
    """Each chunk strategy of the client is kept, and cuts what is indexed after the change."""
    id = client.collections.create("a").collection_id
    text = "\n".join(f"Sentence number {number} of a longer text." for number in range(60)).encode()
    before = client.collections.upload_document(id, "a.txt", text)
    configuration = {strategy: STRATEGIES[strategy], "strip_whitespace": True, "inject_name_into_chunks": True}
    updated = client.collections.update(id, chunk_configuration=configuration)
    assert updated.chunk_configuration == types_pb2.ChunkConfiguration(**configuration)
    file_id = before.file_metadata.file_id
    assert client.collections.get_document(file_id, id).chunk_count == 1
    client.collections.reindex_document(id, file_id)
    assert client.collections.get_document(file_id, id).chunk_count > 9


def test_field_definitions_are_updated(client: xai_sdk.Client) -> None:
    """The client adds and deletes field definitions; what they forbid is INVALID_ARGUMENT in the words of REST."""
    id = client.collections.create("a").collection_id
    isbn = {"key": "isbn", "required": False, "inject_into_chunk": False, "unique": True}
    added = client.collections.update(id, field_definitions=[{"field_definition": isbn, "operation": "add"}])
    assert [each.key for each in added.field_definitions] == ["isbn"]
    client.collections.upload_document(id, "1.txt", b"1", {"isbn": "5"})
    with pytest.raises(grpc.RpcError) as caught:
        client.collections.upload_document(id, "2.txt", b"2", {"isbn": "5"})
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "[WKE=form-invalid:unique:fields.isbn]" in caught.value.details()
    deleted = client.collections.update(id, field_definitions=[{"key": "isbn", "operation": "delete"}])
    assert list(deleted.field_definitions) == []
    assert client.collections.list_documents(id).documents[0].fields == {}


def test_documents_are_filtered(client: xai_sdk.Client) -> None:
    """The filters of the client's own examples select documents; a bad one shows where it is bad."""
    id = client.collections.create("a").collection_id
    client.collections.upload_document(id, "quarterly report.txt", b"text", {"isbn": "978-1-234567-89-0"})
    client.collections.upload_document(id, "picture.png", b"\x89PNG\xff")

    def found(filter: str) -> list[str]:
        return [d.file_metadata.name for d in client.collections.list_documents(id, filter=filter).documents]

    assert found("status:DOCUMENT_STATUS_PROCESSED") == ["quarterly report.txt"]
    assert found('name:"quarterly" AND status:!DOCUMENT_STATUS_FAILED') == ["quarterly report.txt"]
    assert found('fields.isbn:"978-1-234567-89-0"') == ["quarterly report.txt"]
    assert found("status = DOCUMENT_STATUS_FAILED") == ["picture.png"]
    with pytest.raises(grpc.RpcError) as caught:
        found("size_bytes > big")
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert "size_bytes > big\n               ^" in caught.value.details()


def test_failed_document_has_error_message(client: xai_sdk.Client) -> None:
    """Waiting for a document that cannot be indexed ends at once, with the reason; new data can make it good."""
    id = client.collections.create("a").collection_id
    with pytest.raises(ValueError, match=r"Document indexing failed: .+"):
        client.collections.upload_document(id, "a.txt", b"\xff\xfe\xfd", wait_for_indexing=True)
    [document] = client.collections.list_documents(id).documents
    assert (document.status, document.chunk_count) == (FAILED, 0)
    repaired = client.collections.update_document(id, document.file_metadata.file_id, data=b"plain text")
    assert (repaired.status, repaired.HasField("error_message")) == (PROCESSED, False)


def test_new_data_is_indexed_in_every_collection(client: xai_sdk.Client) -> None:
    """A file that is in several collections is reindexed in all of them when its content changes."""
    ids = [client.collections.create(name).collection_id for name in "ab"]
    file = client.files.upload(b"one", filename="a.txt")
    for id in ids:
        client.collections.add_existing_document(id, file.id)
    before = [client.collections.get_document(file.id, id).last_indexed_at for id in ids]
    client.collections.update_document(ids[0], file.id, data=b"two")
    for id, indexed in zip(ids, before, strict=True):
        document = client.collections.get_document(file.id, id)
        assert (document.status, document.file_metadata.size_bytes) == (PROCESSED, 3)
        assert document.last_indexed_at.ToNanoseconds() > indexed.ToNanoseconds()


# --- the commands of the guides ("Using Collections via API", "Metadata Fields"), verbatim but for host and ids

GUIDE = {
    "create": """curl https://management-api.x.ai/v1/collections \\
        -X POST -H "Content-Type: application/json" -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" \\
        -d '{"collection_name": "SEC Filings"}'""",
    "create with fields": """curl -X POST "https://management-api.x.ai/v1/collections" \\
        -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" -H "Content-Type: application/json" \\
        -d '{ "collection_name": "research_papers", "field_definitions": [
            { "key": "author", "required": true },
            { "key": "year", "required": true, "unique": true },
            { "key": "title", "inject_into_chunk": true } ] }'""",
    "list": """curl https://management-api.x.ai/v1/collections \\
        -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" """,
    "get": """curl https://management-api.x.ai/v1/collections/$COLLECTION_ID \\
        -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" """,
    "update": """curl https://management-api.x.ai/v1/collections/$COLLECTION_ID \\
        -X PUT -H "Content-Type: application/json" -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" \\
        -d '{"collection_name": "SEC Filings (New)"}'""",
    "upload a file": """curl https://api.x.ai/v1/files \\
        -H "Authorization: Bearer $XAI_API_KEY" -F file=@tesla-20241231.html""",
    "add the file": """curl -X POST https://management-api.x.ai/v1/collections/$COLLECTION_ID/documents/$FILE_ID \\
        -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" """,
    "upload a document": """curl https://management-api.x.ai/v1/collections/$COLLECTION_ID/documents \\
        -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" \\
        -F "name=paper.pdf" -F "data=@paper.pdf" -F "content_type=application/pdf" \\
        -F 'fields={"author": "Sandra Kim", "year": "2024", "title": "Q3 Revenue Analysis"}'""",
    "delete the document": """curl https://management-api.x.ai/v1/collections/$COLLECTION_ID/documents/$FILE_ID \\
        -X DELETE -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" """,
    "delete the collection": """curl https://management-api.x.ai/v1/collections/$COLLECTION_ID \\
        -X DELETE -H "Authorization: Bearer $XAI_MANAGEMENT_API_KEY" """,
}


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl_commands_of_collections_guides(emulator: Emulator, tmp_path: Path) -> None:
    """Every curl command of the guides does what the guides say."""
    emulator.reset()
    (tmp_path / "tesla-20241231.html").write_text("<html><body><h1>Revenue</h1></body></html>")
    (tmp_path / "paper.pdf").write_bytes(b"%PDF-1.4")
    variables = {"XAI_API_KEY": emulator.api_key, "XAI_MANAGEMENT_API_KEY": emulator.management_key}

    def run(name: str) -> dict[str, Any]:
        command = GUIDE[name].replace("https://management-api.x.ai", emulator.url)
        command = command.replace("https://api.x.ai", emulator.url).replace("\\\n", " ")
        for variable, value in variables.items():
            command = command.replace(f"${variable}", value)
        done = subprocess.run([*shlex.split(command), "-sS", "-f"], capture_output=True, cwd=tmp_path, check=False)
        assert done.returncode == 0, (name, done.stdout, done.stderr)
        reply: dict[str, Any] = json.loads(done.stdout)
        return reply

    variables["COLLECTION_ID"] = run("create")["collection_id"]
    assert len(run("list")["collections"]) == 1
    assert run("get")["collection_name"] == "SEC Filings"
    assert run("update")["collection_name"] == "SEC Filings (New)"
    variables["FILE_ID"] = run("upload a file")["id"]
    assert run("add the file") == {}
    assert run("get")["documents_count"] == 1
    assert run("delete the document") == {}
    assert run("delete the collection") == {}
    variables["COLLECTION_ID"] = run("create with fields")["collection_id"]
    document = run("upload a document")
    assert document["fields"] == {"author": "Sandra Kim", "year": "2024", "title": "Q3 Revenue Analysis"}
    assert document["file_metadata"]["name"] == "paper.pdf"
