"""Rules of collections and documents as tables: spellings of bodies and queries, fields, counts, chunks and types."""

from __future__ import annotations

from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.http import FilePart, Request, Transport
from .clients.models import ApiError
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.usefixtures("transport")

CHARS = {"max_chunk_size_chars": 300, "chunk_overlap_chars": 30}
# Spellings of one chunk configuration and of null members, which the JSON of protobuf allows.
SPELLINGS: tuple[dict[str, Any], ...] = (
    {"chunk_configuration": {"chars_configuration": CHARS}},
    {"chunkConfiguration": {"charsConfiguration": {"maxChunkSizeChars": 300, "chunkOverlapChars": 30}}},
    {"chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": "300", "chunk_overlap_chars": "30"}}},
    {"chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": 3e2, "chunk_overlap_chars": 30.0}}},
    {"chunk_configuration": {"chars_configuration": CHARS, "tokens_configuration": None}, "field_definitions": None},
    {"chunk_configuration": {"chars_configuration": CHARS}, "metric_space": 0},
    {"chunk_configuration": {"chars_configuration": CHARS}, "metric_space": "HNSW_METRIC_UNKNOWN"},
)
WRONG_TYPES: tuple[dict[str, Any], ...] = (
    {"collection_name": 7},
    {"field_definitions": {}},
    {"field_definitions": ["author"]},
    {"field_definitions": [{"key": "a", "required": "true"}]},
    {"chunk_configuration": []},
    {"chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": 1.5}}},
    {"chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": 2**31}}},
    {"metric_space": "HNSW_METRIC_NONE"},
    {"metric_space": 99},
)


@case(
    "collections.spellings",
    *("collections.create", "collections.list", "documents.list", "documents.batch_get"),
    evidence="documented",
    source="protobuf: ProtoJSON; Collections reference: parameters of lists",
    refusal="wrong type",
)
def test_spellings(rest: RestClient, name: str) -> None:
    """Bodies and queries are read as ProtoJSON: names in both cases, enum numbers, numbers as strings, and nulls."""
    made = []
    for number, body in enumerate(SPELLINGS):
        found = rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}{number}", **body})
        matchers.check(found["chunk_configuration"], {"chars_configuration": {"$is": CHARS}}, f"{body}")
        made.append(found["collection_id"])
    for body in WRONG_TYPES:
        with pytest.raises(ApiError) as error:
            rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}wrong", **body})
        assert error.value.kind == "invalid", body
    filter = f'collection_name:"{name}"'

    def listed(**query: Any) -> list[str]:
        found = rest.json("GET", "/v1/collections", query={"filter": filter, **query})["collections"]
        return [each["collection_id"] for each in found]

    assert listed(sort_by="COLLECTIONS_SORT_BY_AGE", order="ORDERING_ASCENDING") == made
    for query in ({"sort_by": 1, "order": 1}, {"sortBy": 1, "order": "ORDERING_ASCENDING"}):
        assert listed(**query) == made, query
    page = rest.json("GET", "/v1/collections", query={"filter": filter, "sortBy": 1, "order": 1, "limit": 3})
    assert listed(sort_by=1, order=1, paginationToken=page["pagination_token"]) == made[3:]
    files = [rest.upload_file(b"x", f"{name}{word}.txt").id for word in "bca"]
    for file in files:
        rest.add_document(made[0], file)
    path = f"/v1/collections/{made[0]}/documents"
    for parameter in ("file_ids", "fileIds"):
        query_pairs = [(parameter, file) for file in files]
        shown = rest.json("GET", f"{path}:batchGet", query=query_pairs)["documents"]
        assert [each["file_metadata"]["file_id"] for each in shown] == files
    for value, expected in ((f"{name}b.txt", files[:1]), (f"{name}b", []), (f"{name}B.txt", [])):
        shown = rest.json("GET", path, query={"name": value})["documents"]
        assert [each["file_metadata"]["file_id"] for each in shown] == expected, value


@case(
    "collections.documents.field-rules",
    *("documents.add", "documents.upload", "collections.update"),
    evidence="documented",
    source="Collections guide: metadata fields; Collections reference",
    refusal="required field",
)
def test_field_rules(rest: RestClient, name: str) -> None:
    """Required and unique fields hold for every way to add a document, and a definition that goes frees its values."""
    definitions: list[dict[str, Any]] = [{"key": "isbn", "required": True, "unique": True}, {"key": "author"}]
    collection = rest.create_collection(f"{name}notes", fields=definitions).id
    files = [rest.upload_file(b"x", f"{name}{word}.txt").id for word in "abc"]
    for fields in (None, {}, {"author": "Sappho"}):
        with pytest.raises(ApiError) as error:
            rest.add_document(collection, files[0], fields)
        assert error.value.kind == "invalid", fields
        with pytest.raises(ApiError):
            rest.upload_document(collection, f"{name}u.txt", b"x", fields)
    rest.add_document(collection, files[0], {"isbn": "1", "author": "Sappho"})
    with pytest.raises(ApiError):
        rest.add_document(collection, files[1], {"isbn": "1"})
    with pytest.raises(ApiError):
        rest.upload_document(collection, f"{name}u.txt", b"x", {"isbn": "1"})
    rest.add_document(collection, files[1], {"isbn": "2"})
    rest.add_document(collection, files[0], {"isbn": "1"})  # its own value
    matchers.check(rest.get_document(collection, files[0]).fields, {"$is": {"isbn": "1"}})
    assert rest.get_collection(collection).documents == 2

    def update(operation: str, **definition: Any) -> None:
        change = {"field_definition": {"key": "isbn", **definition}, "operation": f"FIELD_DEFINITION_{operation}"}
        rest.json("PUT", f"/v1/collections/{collection}", json_body={"field_definition_updates": [change]})

    update("DELETE")
    rest.add_document(collection, files[2])
    update("ADD", unique=True)
    rest.add_document(collection, files[0], {"isbn": "2"})  # which no document has any more
    with pytest.raises(ApiError):
        rest.add_document(collection, files[1], {"isbn": "2"})
    update("DELETE")
    update("ADD")
    for file in files[:2]:
        rest.add_document(collection, file, {"isbn": "3"})
    with pytest.raises(ApiError):
        update("ADD", unique=True)


BLAKE3 = {b"The kettle.": "5fd5ac8bb1ac3f3e18cded6ab1190661001713f1320a31b07b3326e089f073ce"}


@case(
    "collections.documents.members",
    *("documents.upload", "documents.get", "documents.add"),
    evidence="documented",
    source="Collections reference: file_metadata; REST reference: the hash is BLAKE3",
)
def test_members(rest: RestClient, name: str) -> None:
    """Equal contents have equal hashes and others have others; names, types and sizes are those of the file."""
    collection = rest.create_collection(f"{name}notes").id
    contents = {"a.txt": b"The kettle.", "b.md": b"The kettle.", "c.csv": b"a,b\n1,2\n", "d.txt": b"x" * 5000}
    types = {"a.txt": "text/plain", "b.md": "text/markdown", "c.csv": "text/csv", "d.txt": "text/plain"}
    hashes: dict[str, set[bytes]] = {}
    for word, content in contents.items():
        file = rest.upload_file(content, f"{name}{word}").id
        rest.add_document(collection, file)
        shown = rest.json("GET", f"/v1/collections/{collection}/documents/{file}")["file_metadata"]
        expected = {"name": f"{name}{word}", "content_type": types[word], "size_bytes": str(len(content))}
        matchers.check(shown, expected, word)
        assert shown["hash"] == BLAKE3.get(content, shown["hash"])
        hashes.setdefault(shown["hash"], set()).add(content)
    assert sorted(map(len, hashes.values())) == [1, 1, 1]
    form = [("name", f"{name}e.bin"), ("content_type", "text/plain"), ("data", FilePart("e.bin", b"The stove."))]
    uploaded = rest.json("POST", f"/v1/collections/{collection}/documents", form=form)
    matchers.check(uploaded["file_metadata"], {"name": f"{name}e.bin", "content_type": "text/plain"})


@case(
    "collections.documents.incomplete",
    *("documents.add",),
    evidence="assumed",
    source="a file that is announced has no content yet",
    refusal="not complete",
)
def test_incomplete(rest: RestClient, transport: Transport, target: Target, name: str) -> None:
    """A file whose upload is not complete cannot become a document."""
    collection = rest.create_collection(f"{name}notes").id
    body = {"name": f"{name}a.txt", "content_type": "text/plain"}
    url = f"{target.base_url}/v1/files:initialize"
    head = {"authorization": f"Bearer {target.api_key}", "content-type": "application/json"}
    target.budget.spend()
    found = transport.send(Request("POST", url, head, RestClient.encode(body))).json()
    file = found.get("file_id") or found["id"]
    with pytest.raises(ApiError) as error:
        rest.add_document(collection, file)
    assert error.value.kind in ("precondition", "invalid")
    assert rest.get_collection(collection).documents == 0


@case(
    "collections.counts.expiry",
    *("collections.get", "collections.list", "documents.list"),
    evidence="assumed",
    source="a file that has expired is gone from its collections",
    control=True,
)
def test_expiry(rest: RestClient, target: Target, name: str) -> None:
    """At the second of a file's expiry its document is gone from lists and counts of each of its collections."""
    target.control("POST", "/clock/freeze", {"at": "2031-05-06T07:08:09Z"})
    ids = [rest.create_collection(f"{name}{word}").id for word in "ab"]
    short = rest.upload_file(b"The kettle.", f"{name}a.txt", expires_after=3600).id
    kept = rest.upload_file(b"The ferns.", f"{name}b.txt").id
    for id in ids:
        rest.add_document(id, short)
        rest.add_document(id, kept)
    for seconds, documents, size in ((3599, 2, "21"), (1, 1, "10"), (100, 1, "10")):
        target.control("POST", "/clock/advance", {"seconds": seconds})
        for id in ids:
            shown = rest.json("GET", f"/v1/collections/{id}")
            matchers.check(shown, {"documents_count": documents, "total_file_size": size})
            assert len(rest.list_documents(id).items) == documents
            listed = rest.json("GET", "/v1/collections", query={"filter": f'collection_id = "{id}"'})["collections"]
            assert listed == [shown]


ROWS = "name,colour\n" + "".join(f"thing-{number:02},colour-{number:02}\n" for number in range(30))


@case(
    "collections.chunks.tables",
    *("documents.get", "documents.search"),
    evidence="assumed",
    source="Collections reference: table_configuration; that rows stay whole is its purpose",
)
def test_tables(rest: RestClient, target: Target, name: str) -> None:
    """A table is cut between its rows, and every chunk begins with the header row."""
    sizes = {"max_chunk_size_tokens": 60}
    body = {"collection_name": f"{name}notes", "chunk_configuration": {"table_configuration": sizes}}
    collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
    file = rest.upload_file(ROWS.encode(), f"{name}a.csv").id
    rest.add_document(collection, file)
    matchers.wait_until(
        lambda: rest.get_document(collection, file).status, "PROCESSED", within_seconds=target.wait_seconds_max
    )
    matches = rest.search("thing colour", [collection], limit=50, mode="semantic")
    assert len(matches) > 1
    whole = set(ROWS.splitlines())
    for match in matches:
        lines = [line for line in match.content.splitlines() if line.strip()]
        assert set(lines) <= whole, match.content
        assert lines[0] == "name,colour", match.content


PARAGRAPHS = "\n\n".join(f"# Chapter {number}\n\n" + f"Word{number} " * 30 for number in range(6))
CODE = "\n\n".join(f"def function_{number}():\n" + "    value = 1\n" * 6 for number in range(6))
LETTERS = "abcdefghij" * 30
WIDE = "äöü" * 60
# A chunk configuration, a text that it cuts, and what holds for its chunks: their largest number of units and overlap,
# the unit, and how each of them begins.
CUTS: tuple[tuple[str, dict[str, int], str, str, str], ...] = (
    ("chars", {"max_chunk_size_chars": 100, "chunk_overlap_chars": 0}, LETTERS, "chars", ""),
    ("chars", {"max_chunk_size_chars": 100, "chunk_overlap_chars": 20}, LETTERS, "chars", ""),
    ("bytes", {"max_chunk_size_bytes": 100, "chunk_overlap_bytes": 0}, WIDE, "bytes", ""),
    ("bytes", {"max_chunk_size_bytes": 100, "chunk_overlap_bytes": 20}, WIDE, "bytes", ""),
    ("tokens", {"max_chunk_size_tokens": 20, "chunk_overlap_tokens": 0}, PARAGRAPHS, "tokens", ""),
    ("markdown_chars", {"max_chunk_size_chars": 260, "chunk_overlap_chars": 0}, PARAGRAPHS, "chars", "# Chapter"),
    ("markdown_tokens", {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 0}, PARAGRAPHS, "tokens", "# Chapter"),
    ("code_chars", {"max_chunk_size_chars": 130, "chunk_overlap_chars": 0}, CODE, "chars", "def function_"),
    ("code_tokens", {"max_chunk_size_tokens": 60, "chunk_overlap_tokens": 0}, CODE, "tokens", "def function_"),
)


@case(
    "collections.chunks.strategies",
    *("documents.get", "documents.search", "collections.create"),
    evidence="assumed",
    source="Collections reference: chunk_configuration; where each strategy cuts is not documented in detail",
)
def test_strategies(rest: RestClient, target: Target, name: str) -> None:
    """Each strategy counts in its own unit, cuts at its own boundaries, and loses nothing of the text."""
    for number, (strategy, sizes, text, unit, start) in enumerate(CUTS):
        configuration = {f"{strategy}_configuration": sizes}
        body = {"collection_name": f"{name}{number}", "chunk_configuration": configuration}
        collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
        file = rest.upload_file(text.encode(), f"{name}a.md").id
        rest.add_document(collection, file)
        matchers.wait_until(
            lambda collection=collection, file=file: rest.get_document(collection, file).status,  # type: ignore[misc]
            "PROCESSED",
            within_seconds=target.wait_seconds_max,
        )
        count = rest.json("GET", f"/v1/collections/{collection}/documents/{file}")["chunk_count"]
        chunks = [match.content for match in rest.search(text[:50], [collection], limit=100, mode="semantic")]
        assert len(chunks) == count > 1, configuration
        most = sizes[f"max_chunk_size_{unit}"]
        lengths = [len(chunk.encode() if unit == "bytes" else chunk) for chunk in chunks]
        if unit == "tokens":  # of one to some characters each
            assert most < max(lengths) <= 8 * most, configuration
        else:
            assert most - 3 <= max(lengths) <= most or start, configuration
            repeated = sum(lengths) - len(text.encode() if unit == "bytes" else text)
            overlap = sizes[f"chunk_overlap_{unit}"] * (count - 1)
            assert abs(repeated - overlap) <= count or start, f"{configuration}: {repeated} {unit} are repeated"
            assert max(lengths) <= most, configuration
        assert all(chunk.startswith(start) for chunk in chunks), (configuration, chunks)
        total = sum(len(chunk.replace(" ", "").replace("\n", "")) for chunk in chunks)
        whole = len(text.replace(" ", "").replace("\n", ""))
        assert (total > whole) == bool(sizes[f"chunk_overlap_{unit}"]), configuration
        assert total >= whole, configuration


# Chunk configurations that cannot be.
IMPOSSIBLE: tuple[dict[str, Any], ...] = (
    {"chars_configuration": {"max_chunk_size_chars": 0}},
    {"chars_configuration": {"max_chunk_size_chars": -5}},
    {"chars_configuration": {"max_chunk_size_chars": 10, "chunk_overlap_chars": -1}},
    {"chars_configuration": {"max_chunk_size_chars": 10, "chunk_overlap_chars": 10}},
    {"tokens_configuration": {"max_chunk_size_tokens": 10, "encoding_name": "none_base"}},
    {"chars_configuration": {"max_chunk_size_chars": 10}, "bytes_configuration": {"max_chunk_size_bytes": 10}},
    {"strip_whitespace": True},
)


@case(
    "collections.chunks.impossible",
    *("collections.create", "collections.update"),
    evidence="assumed",
    source="Collections reference: chunk_configuration; no text can be cut by these",
    refusal="configuration",
)
def test_impossible(rest: RestClient, name: str) -> None:
    """A chunk configuration that cannot be is 400 for create and for update, and so is an empty name."""
    made = rest.create_collection(f"{name}notes").id
    before = rest.json("GET", f"/v1/collections/{made}")
    model = {"collection_name": f"{name}model", "index_configuration": {"model_name": "grok-embedding-other"}}
    matchers.check(
        rest.json("POST", "/v1/collections", json_body=model), {"index_configuration": model["index_configuration"]}
    )
    for configuration in IMPOSSIBLE:
        for method, path, body in (
            ("POST", "/v1/collections", {"collection_name": f"{name}x", "chunk_configuration": configuration}),
            ("PUT", f"/v1/collections/{made}", {"chunk_configuration": configuration}),
        ):
            with pytest.raises(ApiError) as error:
                rest.json(method, path, json_body=body)
            assert error.value.kind == "invalid", (method, configuration)
    for method, path in (("POST", "/v1/collections"), ("PUT", f"/v1/collections/{made}")):
        with pytest.raises(ApiError):
            rest.json(method, path, json_body={"collection_name": ""})
    assert rest.json("GET", f"/v1/collections/{made}") == before
    for description in ("about", ""):
        change = {"collection_description": description}
        changed = rest.json("PUT", f"/v1/collections/{made}", json_body=change)
        assert changed.get("collection_description") == (description or None)
    definitions = [{"key": key} for key in ("author", "year", "place")]
    ordered = rest.create_collection(f"{name}ordered", fields=definitions).id
    update = {"field_definition": {"key": "author", "description": "who"}, "operation": "FIELD_DEFINITION_ADD"}
    changed = rest.json("PUT", f"/v1/collections/{ordered}", json_body={"field_definition_updates": [update]})
    matchers.check(
        changed["field_definitions"], [{"key": "author", "description": "who"}, {"key": "year"}, {"key": "place"}]
    )


@case(
    "collections.documents.reindexed-content",
    *("documents.reindex", "files.update", "documents.search"),
    evidence="assumed",
    source="files.update has no published contract; a document is found by the content and name of its file",
)
def test_reindexed(rest: RestClient, target: Target, name: str) -> None:
    """A renamed file is found by its new name where names are injected, and a re-indexed one by its new chunks."""
    body = {
        "collection_name": f"{name}notes",
        "chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": 50}, "inject_name_into_chunks": True},
    }
    collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
    file = rest.upload_file(b"The kettle is warm. " * 10, f"{name}lighthouse.txt").id
    rest.add_document(collection, file)

    def found(query: str) -> int:
        return len(rest.search(query, [collection], mode="keyword", limit=50))

    matchers.wait_until(lambda: found("lighthouse") > 1, expected=True, within_seconds=target.wait_seconds_max)
    chunks = found("kettle")
    rest.json("PUT", f"/v1/files/{file}", json_body={"filename": f"{name}harbour.txt"})
    matchers.wait_until(lambda: found("harbour"), chunks, within_seconds=target.wait_seconds_max)
    assert found("lighthouse") == 0
    sizes = {"chars_configuration": {"max_chunk_size_chars": 1000}}
    rest.json("PUT", f"/v1/collections/{collection}", json_body={"chunk_configuration": sizes})
    assert found("kettle") == chunks
    rest.reindex_document(collection, file)
    matchers.wait_until(lambda: found("kettle"), 1, within_seconds=target.wait_seconds_max)
    assert found("harbour") == 0  # the name is not injected any more


@case(
    "collections.team-id",
    *("collections.create", "collections.list", "collections.get", "documents.list"),
    evidence="assumed",
    source="Collections reference: team_id is optional; that it has to be that of the key is the nearest reading",
    refusal="team_id",
)
def test_team_id(rest: RestClient, name: str) -> None:
    """A team_id is that of the key, or the call is rejected and changes nothing."""
    own, other = rest.team_of_key(), "00000000-0000-4000-8000-000000000000"
    made = rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}a", "team_id": own})
    path = f"/v1/collections/{made['collection_id']}"
    for read in (path, f"{path}/documents", "/v1/collections"):
        assert rest.json("GET", read, query={"team_id": own}) == rest.json("GET", read)
        with pytest.raises(ApiError):
            rest.json("GET", read, query={"team_id": other})
    with pytest.raises(ApiError):
        rest.json("POST", "/v1/collections", json_body={"collection_name": f"{name}b", "team_id": other})
    with pytest.raises(ApiError):
        rest.json("PUT", path, json_body={"collection_name": f"{name}c", "team_id": other})
    names = [each.name for each in rest.list_collections(filter=f'collection_name:"{name}"').items]
    assert names == [f"{name}a"]


@case(
    "collections.documents.file-deleted-everywhere",
    *("files.delete", "documents.list", "documents.get", "documents.search", "collections.get"),
    evidence="documented",
    source="Files guide: a deleted file is gone; Collections guide: documents are files",
)
def test_deleted_everywhere(rest: RestClient, target: Target, name: str) -> None:
    """A deleted file is no document of any of its collections any more, and no search finds it."""
    collections = [rest.create_collection(f"{name}{word}").id for word in "abc"]
    file, other = (rest.upload_file(b"The kettle is copper.", f"{name}{word}.txt").id for word in "de")
    for collection in collections:
        for each in (file, other):
            rest.add_document(collection, each)
            matchers.wait_until(
                lambda collection=collection, each=each: rest.get_document(collection, each).status,  # type: ignore[misc]
                "PROCESSED",
                within_seconds=target.wait_seconds_max,
            )
    rest.delete_file(file)
    for collection in collections:
        assert [each.file_id for each in rest.list_documents(collection).items] == [other]
        assert rest.get_collection(collection).documents == 1
        assert [match.file_id for match in rest.search("kettle", [collection], mode="keyword")] == [other]
        with pytest.raises(ApiError) as refused:
            rest.get_document(collection, file)
        assert refused.value.kind == "not_found"


@case(
    "collections.apart",
    *("collections.update", "documents.add", "documents.remove", "collections.get", "documents.get", "documents.list"),
    evidence="documented",
    source="Collections reference: fields and definitions belong to one collection",
)
def test_apart(rest: RestClient, name: str) -> None:
    """A file in two collections: what changes in one of them, fields, definitions or documents, stays in the other."""
    fields = {"author": "Sappho", "year": "600"}
    one, other = (rest.create_collection(f"{name}{word}", fields=[{"key": key} for key in fields]).id for word in "ab")
    files = [rest.upload_file(b"The kettle is copper.", f"{name}{word}.txt").id for word in "cd"]
    for collection in (one, other):
        for file in files:
            rest.add_document(collection, file, fields)

    def kept() -> Any:
        found = rest.json("GET", f"/v1/collections/{other}")
        documents = {file: dict(rest.get_document(other, file).fields) for file in files}
        filtered = rest.json("GET", f"/v1/collections/{other}/documents", query={"filter": 'fields.author = "Sappho"'})
        return found["field_definitions"], found["documents_count"], documents, len(filtered["documents"])

    before = kept()
    assert before[2:] == (dict.fromkeys(files, fields), 2)
    definitions = f"/v1/collections/{one}"
    for word, definition in (
        ("DELETE", {"key": "author"}),
        ("ADD", {"key": "author"}),
        ("ADD", {"key": "place"}),
        ("DELETE", {"key": "year"}),
    ):
        change = {"field_definition": definition, "operation": f"FIELD_DEFINITION_{word}"}
        rest.json("PUT", definitions, json_body={"field_definition_updates": [change]})
        assert kept() == before, word
    rest.add_document(one, files[0], {"author": "Homer"})
    assert kept() == before, "fields"
    rest.remove_document(one, files[1])
    assert kept() == before, "removed"
    rest.delete_collection(one)
    assert kept() == before, "deleted"
