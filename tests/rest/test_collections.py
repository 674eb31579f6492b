"""Collections and documents over REST: the recorded exchanges, the rules, and what hangs on what."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import blake3
import httpx
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

ID = r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
COLLECTION_ID, FILE_ID = re.compile(f"collection_{ID}"), re.compile(f"file_{ID}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
INT64 = re.compile(r"\d+")

# What the live service answered in April 2026, with patterns where a value differs each time.
COLLECTION = {
    "collection_id": COLLECTION_ID,
    "collection_name": "SEC Filings",
    "created_at": TIME,
    "index_configuration": {"model_name": "grok-embedding-small"},
    "chunk_configuration": {
        "bytes_configuration": {"max_chunk_size_bytes": 4000, "chunk_overlap_bytes": 800},
        "strip_whitespace": True,
        "inject_name_into_chunks": False,
    },
    "documents_count": 0,
    "field_definitions": [],
    "total_file_size": "0",
    "disable_rag_lookup": False,
}
DOCUMENT = {
    "file_metadata": {
        "file_id": FILE_ID,
        "name": "test.txt",
        "size_bytes": "21",
        "content_type": "text/plain",
        "created_at": TIME,
        "expires_at": None,
        "hash": "acff4d18",  # its beginning
        "upload_status": "Complete",
        "processing_status": "Complete",
        "file_path": "",
    },
    "fields": {},
    "status": "DOCUMENT_STATUS_PROCESSED",
    "last_indexed_at": TIME,
    "chunk_count": 1,
    "chunks_processed_count": "1",
}
CONTENT = b"Test document content"
DOCUMENT["file_metadata"]["hash"] = blake3.blake3(CONTENT).hexdigest()  # type: ignore[index]


def check(actual: Any, expected: Any, where: str = "body") -> None:
    """Hold JSON against an expectation: the same keys, the same types, equal values or matching patterns."""
    if isinstance(expected, re.Pattern):
        assert isinstance(actual, str), where
        assert expected.fullmatch(actual), f"{where}: {actual!r}"
    elif isinstance(expected, Mapping):
        assert isinstance(actual, dict), where
        assert actual.keys() == expected.keys(), where
        for key, value in expected.items():
            check(actual[key], value, f"{where}.{key}")
    elif isinstance(expected, list):
        assert isinstance(actual, list), where
        assert len(actual) == len(expected), where
        for index, value in enumerate(expected):
            check(actual[index], value, f"{where}[{index}]")
    else:
        assert type(actual) is type(expected), where
        assert actual == expected, where


def exchange(reply: httpx.Response, expected: Any, status: int = 200) -> Any:
    """Check one exchange: status, content type, body."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/json"
    check(reply.json(), expected)
    return reply.json()


def refused(reply: httpx.Response, status: int, code: int, words: str) -> None:
    """Check a refusal in the dialect of the management plane."""
    body = exchange(reply, {"code": code, "message": re.compile(r"(?s).*"), "details": []}, status)
    assert words in body["message"]


def create(management: httpx.Client, name: str = "SEC Filings", **body: Any) -> str:
    """Create a collection and return its id."""
    reply = management.post("/v1/collections", json={"collection_name": name, **body})
    assert reply.status_code == 200, reply.text
    id: str = reply.json()["collection_id"]
    return id


def upload(rest: httpx.Client, name: str = "test.txt", content: bytes = CONTENT) -> str:
    """Upload a file and return its id."""
    id: str = rest.post("/v1/files", files={"file": (name, content)}).json()["id"]
    return id


def names(reply: httpx.Response) -> list[str]:
    """The names in a page of documents."""
    assert reply.status_code == 200, reply.text
    return [document["file_metadata"]["name"] for document in reply.json()["documents"]]


# --- the recorded exchanges


def test_collection_calls_answer_as_recorded(rest: httpx.Client, management: httpx.Client) -> None:
    """Create, get, list, change and delete answer with the recorded keys, types and absences."""
    made = exchange(management.post("/v1/collections", json={"collection_name": "SEC Filings"}), COLLECTION)
    path = f"/v1/collections/{made['collection_id']}"
    assert exchange(management.get(path), COLLECTION) == made
    exchange(management.get("/v1/collections"), {"collections": [COLLECTION]})
    renamed = {**COLLECTION, "collection_name": "New", "collection_description": "Annual reports"}
    body = {"collectionName": "New", "collectionDescription": "Annual reports"}
    exchange(management.put(path, json=body), renamed)
    exchange(management.delete(path), {})
    exchange(management.get("/v1/collections"), {"collections": []})
    for reply in (management.get(path), management.put(path, json={}), management.delete(path)):
        refused(reply, 404, 5, "Collection not found")


def test_document_calls_answer_as_recorded(rest: httpx.Client, management: httpx.Client) -> None:
    """Add, get, list, batchGet, re-index and remove answer with the recorded keys, types and absences."""
    path = f"/v1/collections/{create(management)}/documents"
    exchange(management.get(path), {"documents": []})
    id = upload(rest)
    added = management.post(f"{path}/{id}")
    assert (added.content, added.headers["content-length"]) == (b"{}", "2")
    found = exchange(management.get(f"{path}/{id}"), DOCUMENT)
    assert found["file_metadata"]["file_id"] == id
    exchange(management.get(path), {"documents": [DOCUMENT]})
    exchange(management.get(f"{path}:batchGet", params={"file_ids": ["file_x", id]}), {"documents": [DOCUMENT]})
    exchange(management.patch(f"{path}/{id}"), {})
    exchange(management.delete(f"{path}/{id}"), {})
    exchange(management.get(path), {"documents": []})
    for reply in (management.get(f"{path}/{id}"), management.patch(f"{path}/{id}"), management.delete(f"{path}/{id}")):
        refused(reply, 404, 5, "Document not found")
    refused(management.post(f"{path}/file_x"), 404, 5, "File not found")
    assert rest.get(f"/v1/files/{id}").status_code == 200, "removing a document keeps its file"


def test_document_upload_answers_as_recorded(rest: httpx.Client, management: httpx.Client) -> None:
    """The form of the guide, with its fields behind the bytes, makes a file and a document at once."""
    path = f"/v1/collections/{create(management)}/documents"
    form = {"name": (None, "test.txt"), "data": ("elsewhere.bin", CONTENT), "content_type": (None, "text/plain")}
    reply = management.post(path, files={**form, "fields": (None, '{"author": "Sandra Kim", "year": "2024"}')})
    body = exchange(reply, {**DOCUMENT, "fields": {"author": "Sandra Kim", "year": "2024"}})
    assert rest.get(f"/v1/files/{body['file_metadata']['file_id']}/content").content == CONTENT


def test_file_times_are_equal_on_both_planes(rest: httpx.Client, management: httpx.Client) -> None:
    """A document's created_at is that of the file, with the fraction of a second kept; so is expires_at."""
    path = f"/v1/collections/{create(management)}/documents"
    file = rest.post("/v1/files", data={"expires_after": "3600"}, files={"file": ("a.txt", b"x")}).json()
    management.post(f"{path}/{file['id']}")
    metadata = management.get(f"{path}/{file['id']}").json()["file_metadata"]
    check(metadata["expires_at"], TIME)
    assert metadata["expires_at"][-8:] == metadata["created_at"][-8:]


# --- what a collection may be


@pytest.mark.parametrize("body", [{}, {"name": "x"}, {"collection_name": ""}, {"collection_name": None}])
def test_collection_without_name_is_refused(rest: httpx.Client, management: httpx.Client, body: dict[str, Any]) -> None:
    """Without a name the refusal is the recorded one, with the line break inside of its message."""
    reply = management.post("/v1/collections", json=body)
    message = "collection_name: Field is empty but must not be empty. [WKE=form-invalid:not-empty:collection_name]\n"
    exchange(reply, {"code": 3, "message": message, "details": []}, 400)
    if "collection_name" in body and body["collection_name"] is not None:
        refused(management.put(f"/v1/collections/{create(management)}", json=body), 400, 3, message)


SIZES: dict[str, dict[str, Any]] = {
    "chars": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 99},
    "tokens": {"max_chunk_size_tokens": 1024, "chunk_overlap_tokens": 200, "encoding_name": "o200k_base"},
    "bytes": {"max_chunk_size_bytes": 1, "chunk_overlap_bytes": 0},
    "markdown_tokens": {"max_chunk_size_tokens": 9, "chunk_overlap_tokens": 0, "encoding_name": "cl100k_base"},
    "markdown_chars": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 1},
    "code_tokens": {"max_chunk_size_tokens": 100, "chunk_overlap_tokens": 1, "encoding_name": "gpt2"},
    "code_chars": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 1},
    "table": {"max_chunk_size_tokens": 100, "encoding_name": "o200k_base"},
    "ast": {"max_chunk_size_tokens": 100, "encoding_name": "o200k_base"},
}


@pytest.mark.parametrize("strategy", SIZES)
def test_chunk_configuration_is_returned_as_given(rest: httpx.Client, management: httpx.Client, strategy: str) -> None:
    """Each documented strategy comes back as it was given, on creation and after a change."""
    flags = {"strip_whitespace": strategy != "bytes", "inject_name_into_chunks": True}
    configuration = {f"{strategy}_configuration": SIZES[strategy], **flags}
    body = {"collection_name": "a", "chunk_configuration": configuration}
    made = exchange(
        management.post("/v1/collections", json=body),
        {**COLLECTION, "collection_name": "a", "chunk_configuration": configuration},
    )
    other = management.post("/v1/collections", json={"collection_name": "b"}).json()["collection_id"]
    changed = management.put(f"/v1/collections/{other}", json={"chunk_configuration": configuration})
    assert changed.json()["chunk_configuration"] == made["chunk_configuration"]


@pytest.mark.parametrize(
    ("configuration", "words"),
    [
        ({}, "Exactly one strategy must be given"),
        ({"strip_whitespace": True}, "Exactly one strategy must be given"),
        ({"chars_configuration": SIZES["chars"], "table_configuration": SIZES["table"]}, "Exactly one strategy"),
        ({"bytes_configuration": {}}, "max_chunk_size_bytes must be at least 1"),
        ({"bytes_configuration": {"max_chunk_size_bytes": -1}}, "max_chunk_size_bytes must be at least 1"),
        ({"chars_configuration": {"max_chunk_size_chars": 9, "chunk_overlap_chars": 9}}, "must be smaller than"),
        ({"chars_configuration": {"max_chunk_size_chars": 9, "chunk_overlap_chars": -1}}, "must not be negative"),
        ({"table_configuration": {**SIZES["table"], "encoding_name": "klingon"}}, "encoding_name must be one of"),
        ({"bytes_configuration": {"max_chunk_size_bytes": "many"}}, "invalid value for int32 field maxChunkSizeBytes"),
    ],
)
def test_chunk_configurations_that_cut_nothing_are_refused(
    rest: httpx.Client, management: httpx.Client, configuration: dict[str, Any], words: str
) -> None:
    """No strategy, two, a size below one, an overlap that is not smaller, an unknown encoding: 400 with code 3."""
    body = {"collection_name": "a", "chunk_configuration": configuration}
    refused(management.post("/v1/collections", json=body), 400, 3, words)
    path = f"/v1/collections/{create(management)}"
    refused(management.put(path, json=body), 400, 3, words)
    check(management.get(path).json(), COLLECTION)


def test_collection_is_returned_as_given(rest: httpx.Client, management: httpx.Client) -> None:
    """Model, description and field definitions are kept; a metric is taken and not shown; names need not differ."""
    body = {
        "collection_name": "SEC Filings",
        "collection_description": "d",
        "index_configuration": {"modelName": "grok-embedding-large"},
        "metric_space": "HNSW_METRIC_COSINE",
        "field_definitions": [
            {"key": "a", "required": True, "description": "e"},
            {"key": "b", "injectIntoChunk": True},
        ],
        "version": 2,
    }
    flags = {"required": False, "inject_into_chunk": False, "unique": False}
    expected = {
        **COLLECTION,
        "collection_description": "d",
        "index_configuration": {"model_name": "grok-embedding-large"},
        "field_definitions": [
            {**flags, "key": "a", "required": True, "description": "e"},
            {**flags, "key": "b", "inject_into_chunk": True},
        ],
    }
    for _ in range(2):
        exchange(management.post("/v1/collections", json=body), expected)


# --- who may


def test_collections_refuse_other_keys_and_teams(emulator: Emulator, rest: httpx.Client) -> None:
    """An inference key, no key, and a team that is not the key's are refused in the words of this plane."""
    words = "Invalid bearer token. Please ensure you use a valid management key."
    reply = rest.get("/v1/collections")
    refused(reply, 401, 16, words)
    assert reply.headers["www-authenticate"] == words
    refused(httpx.get(f"{emulator.url}/v1/collections"), 401, 16, words)


CONTRACT = {"collection_name": "a", "field_definitions": []}


@pytest.mark.parametrize("left_out", [None, "collection_name", "field_definitions"])
def test_inference_key_creates_a_collection_under_the_stricter_contract(
    rest: httpx.Client, management: httpx.Client, left_out: str | None
) -> None:
    """Observed live by three clients: the name and the field definitions are both demanded then."""
    reply = rest.post("/v1/collections", json={name: value for name, value in CONTRACT.items() if name != left_out})
    if left_out is None:
        assert reply.status_code == 200
        assert "undocumented" in reply.headers["x-emulator-warning"]
        assert management.get(f"/v1/collections/{reply.json()['collection_id']}").status_code == 200
    else:
        refused(reply, 401, 16, "valid management key")
        assert management.get("/v1/collections").json()["collections"] == []


def test_inference_key_adds_a_document_under_the_stricter_contract(
    rest: httpx.Client, management: httpx.Client
) -> None:
    """Observed live: the ids of the path and the fields have to be in the body too."""
    id, file = create(management), upload(rest)
    path = f"/v1/collections/{id}/documents/{file}"
    for body in ({}, {"fields": {}}, {"file_id": file, "collection_id": id}):
        refused(rest.post(path, json=body), 401, 16, "valid management key")
    refused(rest.post(path), 401, 16, "valid management key")
    exchange(rest.post(path, json={"file_id": file, "collection_id": id, "fields": {}}), {})
    assert management.get(path).status_code == 200


@pytest.mark.parametrize("settings", [{"profile": "strict"}, {"auth": "strict"}])
def test_inference_key_for_collections_is_refused_where_strict(settings: dict[str, Any]) -> None:
    with Emulator(**settings) as strict:
        headers = {"authorization": f"Bearer {strict.api_key}"}
        reply = httpx.post(f"{strict.url}/v1/collections", headers=headers, json=CONTRACT)
        refused(reply, 401, 16, "valid management key")


def test_team_id_of_another_team_is_refused(emulator: Emulator, rest: httpx.Client, management: httpx.Client) -> None:
    """The id and the name of the key's team are accepted on every call, those of another one are refused."""
    own = rest.get("/v1/api-key").json()["team_id"]
    headers = {"authorization": f"Bearer {emulator.api_key}@other"}
    other = httpx.get(f"{emulator.url}/v1/api-key", headers=headers).json()["team_id"]
    id = create(management, team_id=own)
    for team, status in ((own, 200), ("default", 200), ("", 200), (other, 403), ("other", 403)):
        path, query = f"/v1/collections/{id}", {"team_id": team}
        replies = [
            management.get("/v1/collections", params=query),
            management.get(path, params=query),
            management.put(path, json=query),
            management.post("/v1/collections", json={"collection_name": "a", "teamId": team}),
            management.get(f"{path}/documents", params=query),
            management.get(f"{path}/documents:batchGet", params={**query, "file_ids": ["x"]}),
        ]
        assert {reply.status_code for reply in replies} == {status}, team


def test_collection_of_another_team_is_not_found(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client
) -> None:
    """A collection of another team is missing, and a file of another team cannot be added."""
    id, file = create(management), upload(rest)
    with httpx.Client(base_url=emulator.url, headers={"authorization": f"Bearer {emulator.management_key}@b"}) as other:
        assert other.get("/v1/collections").json() == {"collections": []}
        refused(other.get(f"/v1/collections/{id}"), 404, 5, "Collection not found")
        refused(other.post(f"/v1/collections/{create(other)}/documents/{file}"), 404, 5, "File not found")


def test_key_without_permission_cannot_add_documents() -> None:
    """A management key that was given without AddFileToCollection may do all but add documents, in either way."""
    keys = ("api=inference", "all=management", "few=management:ReadCollections", "add=management:AddFileToCollection")
    with Emulator(auth="strict", keys=keys) as emulator, httpx.Client(base_url=emulator.url) as client:

        def post(key: str, path: str, **body: Any) -> httpx.Response:
            return client.post(path, headers={"authorization": f"Bearer {key}"}, **body)

        id = post("few", "/v1/collections", json={"collection_name": "a"}).json()["collection_id"]
        file = post("api", "/v1/files", files={"file": ("a.txt", b"a")}).json()["id"]
        for key, status in (("few", 403), ("add", 200), ("all", 200)):
            added = post(key, f"/v1/collections/{id}/documents/{file}")
            uploaded = post(key, f"/v1/collections/{id}/documents", files={"data": ("b.txt", b"b")})
            assert (added.status_code, uploaded.status_code) == (status, status), key
            if status == 403:
                refused(added, 403, 7, "AddFileToCollection")


# --- lists


def test_collections_are_sorted_by_name_or_age(rest: httpx.Client, management: httpx.Client) -> None:
    """By name and descending unless asked otherwise; a page has a token exactly while something follows."""
    for name in ("b", "d", "a", "c"):
        create(management, name)

    def walk(**query: Any) -> str:
        found, token = "", None
        while True:
            page = management.get("/v1/collections", params={"limit": 1, **query, "pagination_token": token or ""})
            body = page.json()
            found += "".join(each["collection_name"] for each in body["collections"])
            token = body.get("pagination_token")
            if token is None:
                return found

    assert walk() == "dcba"
    assert walk(order="ORDERING_ASCENDING", limit=3) == "abcd"
    assert walk(order=1, sortBy="COLLECTIONS_SORT_BY_AGE", limit=4) == "bdac"
    assert walk(sort_by=1, limit=2) == "cadb"
    assert walk(filter='collection_name = "B" OR collection_name = c') == "cb"


def test_documents_are_sorted_by_name_size_or_age(rest: httpx.Client, management: httpx.Client) -> None:
    """By name and descending unless asked otherwise; `name` is an exact match."""
    path = f"/v1/collections/{create(management)}/documents"
    for name, size in (("b", 3), ("c", 1), ("a", 2)):
        management.post(f"{path}/{upload(rest, name, b'x' * size)}")
    assert names(management.get(path)) == ["c", "b", "a"]
    for by, order in (("NAME", "abc"), ("SIZE", "cab"), ("AGE", "bca")):
        query = {"sort_by": f"DOCUMENTS_SORT_BY_{by}", "order": "ORDERING_ASCENDING"}
        assert "".join(names(management.get(path, params=query))) == order
    assert names(management.get(path, params={"name": "b"})) == ["b"]
    first = management.get(path, params={"limit": 2}).json()
    rest_of_it = management.get(path, params={"limit": 2, "paginationToken": first["pagination_token"]})
    assert names(rest_of_it) == ["a"]
    wrong = management.get(path, params={"limit": 2, "filter": "name:a", "pagination_token": first["pagination_token"]})
    refused(wrong, 400, 3, "Invalid pagination_token")


def test_page_limit_over_100_is_clamped_with_warning(rest: httpx.Client, management: httpx.Client) -> None:
    """More than a hundred is clamped with a warning, none or less is a hundred."""
    for number in range(101):
        create(management, f"{number:03}")
    for limit in (0, -1, 100, 101):
        reply = management.get("/v1/collections", params={"limit": limit})
        assert len(reply.json()["collections"]) == 100
        assert ("x-emulator-warning" in reply.headers) is (limit > 100)


def test_batch_get_keeps_order_of_ids(rest: httpx.Client, management: httpx.Client) -> None:
    """batchGet keeps the order of the request and leaves out what the collection does not have."""
    path = f"/v1/collections/{create(management)}/documents"
    ids = [upload(rest, name) for name in "abc"]
    for id in ids[:2]:
        management.post(f"{path}/{id}")
    assert names(management.get(f"{path}:batchGet", params={"fileIds": [*reversed(ids), "no"]})) == ["b", "a"]
    assert management.get(f"{path}:batchGet").json() == {"documents": []}


# --- fields


def test_document_breaking_field_rules_is_refused(rest: httpx.Client, management: httpx.Client) -> None:
    """A required field must be there, a unique value must not, and what is refused leaves nothing behind."""
    definitions = [{"key": "author", "required": True}, {"key": "isbn", "unique": True}]
    path = f"/v1/collections/{create(management, field_definitions=definitions)}/documents"
    one, two = upload(rest, "1.txt"), upload(rest, "2.txt")

    def add(id: str, **fields: str) -> httpx.Response:
        return management.post(f"{path}/{id}", json={"fields": fields})

    refused(add(one, isbn="1"), 400, 3, "fields.author: Field is missing but required. [WKE=form-invalid:required:")
    exchange(add(one, author="a", isbn="1"), {})
    refused(add(two, author="b", isbn="1"), 400, 3, "[WKE=form-invalid:unique:fields.isbn]\n")
    refused(management.post(path, files={"data": ("3.txt", b"3")}), 400, 3, "fields.author: Field is missing")
    assert names(management.get(path)) == ["1.txt"]
    assert len(rest.get("/v1/files").json()["data"]) == 2, "a refused upload leaves no file"
    exchange(add(one, author="c", isbn="1"), {})  # a document may keep its own value
    exchange(add(one, author="a", isbn="2"), {})  # adding again overwrites, and frees the value
    exchange(add(two, author="b", isbn="1"), {})
    management.delete(f"{path}/{one}")
    exchange(add(two, author="b", isbn="2"), {})  # so does removing
    assert management.get(f"{path}/{two}").json()["fields"] == {"author": "b", "isbn": "2"}


def test_concurrent_adds_of_unique_value_accept_one(rest: httpx.Client, management: httpx.Client) -> None:
    """Of many documents that are added at the same moment with one value, exactly one is accepted."""
    path = f"/v1/collections/{create(management, field_definitions=[{'key': 'isbn', 'unique': True}])}/documents"
    files = [upload(rest, f"{number}.txt") for number in range(12)]
    form = {"data": ("a.txt", CONTENT), "fields": (None, '{"isbn": "1"}')}

    def add(number: int) -> int:
        if number % 2:
            return management.post(path, files=form).status_code
        return management.post(f"{path}/{files[number]}", json={"fields": {"isbn": "1"}}).status_code

    with ThreadPoolExecutor(len(files)) as pool:
        assert sorted(pool.map(add, range(len(files)))) == [200] + [400] * (len(files) - 1)
    assert len(management.get(path).json()["documents"]) == 1


def test_undefined_field_is_stored_with_warning(rest: httpx.Client, management: httpx.Client) -> None:
    """A field the collection does not define is kept and warned of; the strict profile refuses it."""
    path = f"/v1/collections/{create(management)}/documents"
    reply = management.post(f"{path}/{upload(rest)}", json={"fields": {"colour": "red"}})
    assert (reply.status_code, "colour" in reply.headers["x-emulator-warning"]) == (200, True)
    with Emulator(profile="strict") as strict:
        headers = {"authorization": f"Bearer {strict.management_key}"}
        with httpx.Client(base_url=strict.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            path = f"/v1/collections/{create(client)}/documents"
            reply = client.post(path, files={"data": ("a.txt", b"a"), "fields": (None, '{"colour": "red"}')})
            refused(reply, 400, 3, "fields.colour: The collection does not define this field")


def test_required_field_is_accepted_while_there_is_no_document(rest: httpx.Client, management: httpx.Client) -> None:
    """xai-sdk's docstring and tests add one to an empty collection; the reference forbids it."""
    path = f"/v1/collections/{create(management)}"
    added = {"field_definition_updates": [{"field_definition": {"key": "a", "required": True}}]}
    assert management.put(path, json=added).json()["field_definitions"][0]["required"] is True
    refused(management.post(f"{path}/documents/{upload(rest)}"), 400, 3, "fields.a: Field is missing")
    exchange(management.post(f"{path}/documents/{upload(rest)}", json={"fields": {"a": "x"}}), {})
    more = {"field_definition_updates": [{"field_definition": {"key": "b", "required": True}}]}
    refused(management.put(path, json=more), 400, 3, "must not be required")


def test_field_definitions_change_with_their_documents(rest: httpx.Client, management: httpx.Client) -> None:
    """Added, overwritten and deleted definitions are enforced at once; deleting takes the values away as well."""
    id = create(management, field_definitions=[{"key": "a", "unique": True}, {"key": "b"}])
    path = f"/v1/collections/{id}"
    files = [upload(rest, name) for name in ("1", "2")]
    for file, fields in zip(files, ({"a": "x", "b": "y"}, {"b": "y", "c": "z"}), strict=True):
        management.post(f"{path}/documents/{file}", json={"fields": fields})

    def change(key: str, operation: Any = None, **flags: bool) -> httpx.Response:
        update: dict[str, Any] = {"field_definition": {"key": key, **flags}}
        if operation is not None:
            update["operation"] = operation
        return management.put(path, json={"field_definition_updates": [update]})

    refused(change("new", required=True), 400, 3, "must not be required")
    refused(change("b", unique=True), 400, 3, "must be unique")
    refused(change("a", required=True), 400, 3, "cannot be required")
    refused(change("nothing", "FIELD_DEFINITION_DELETE"), 400, 3, "no field 'nothing'")
    assert change("b", required=True).json()["field_definitions"][1]["required"] is True
    refused(management.post(f"{path}/documents/{upload(rest)}"), 400, 3, "fields.b: Field is missing")
    assert change("c", "FIELD_DEFINITION_ADD", unique=True).status_code == 200
    refused(
        management.post(f"{path}/documents/{files[0]}", json={"fields": {"b": "", "c": "z"}}), 400, 3, "must be unique"
    )
    assert change("a", unique=False).status_code == 200
    exchange(management.post(f"{path}/documents/{files[1]}", json={"fields": {"a": "x", "b": "y"}}), {})
    after = change("b", 1).json()
    assert [each["key"] for each in after["field_definitions"]] == ["a", "c"]
    assert [management.get(f"{path}/documents/{file}").json()["fields"] for file in files] == [{"a": "x"}, {"a": "x"}]


def test_field_deleted_and_defined_again_has_no_values(rest: httpx.Client, management: httpx.Client) -> None:
    """One update may delete and add the same key: the values of the old field are gone."""
    id = create(management, field_definitions=[{"key": 'quo"te', "unique": True}])
    file = upload(rest)
    management.post(f"/v1/collections/{id}/documents/{file}", json={"fields": {'quo"te': "1", "b": "2"}})
    delete = {"fieldDefinition": {"key": 'quo"te'}, "operation": "FIELD_DEFINITION_DELETE"}
    add = {"fieldDefinition": {"key": 'quo"te'}}
    assert management.put(f"/v1/collections/{id}", json={"fieldDefinitionUpdates": [delete, add]}).status_code == 200
    assert management.get(f"/v1/collections/{id}/documents/{file}").json()["fields"] == {"b": "2"}


# --- bodies


def test_document_is_added_with_or_without_body(rest: httpx.Client, management: httpx.Client) -> None:
    """No body, an empty object and one with keys that are already in the path are all accepted."""
    id = create(management)
    file = upload(rest)
    path = f"/v1/collections/{id}/documents/{file}"
    exchange(management.post(path), {})
    exchange(management.post(path, json={}), {})
    exchange(management.post(path, content=b"{}"), {})  # a gateway does not look at the content type
    repeated = management.post(path, json={"collection_id": id, "file_id": file})
    exchange(repeated, {})
    assert "x-emulator-warning" not in repeated.headers
    refused(management.post(path, json={"fields": {"year": 2024}}), 400, 3, "string field fields.year: 2024")
    refused(management.post(path, content=b"{"), 400, 3, "proto: syntax error")


@pytest.mark.parametrize(
    ("form", "words"),
    [
        ({"name": (None, "a.txt")}, "no part named `data`"),
        ({"data": ("a.txt", b"1"), "fields": (None, "{")}, "proto: syntax error"),
        ({"data": ("a.txt", b"1"), "fields": (None, '["a"]')}, "map field fields"),
        ({"data": ("a.txt", b"1"), "fields": (None, '{"year": 2024}')}, "string field fields.year"),
        ({"data": ("a;b.txt", b"1")}, "Invalid filename"),
        ({"data": ("x" * 256, b"1")}, "at most 255 characters"),
    ],
)
def test_bad_document_form_is_refused_and_stores_nothing(
    rest: httpx.Client, management: httpx.Client, form: Any, words: str
) -> None:
    """No bytes, fields that are no object of texts, a bad name: the form is refused and leaves nothing behind."""
    refused(management.post(f"/v1/collections/{create(management)}/documents", files=form), 400, 3, words)
    assert rest.get("/v1/files").json()["data"] == []


def test_upload_body_that_is_no_form_returns_400(rest: httpx.Client, management: httpx.Client) -> None:
    """JSON, nothing, and a form that is cut off are 400 with code 3."""
    path = f"/v1/collections/{create(management)}/documents"
    refused(management.post(path, json={}), 400, 3, "boundary")
    refused(management.post(path), 400, 3, "boundary")
    cut = b'--b\r\ncontent-disposition: form-data; name="data"; filename="a"\r\n\r\nabc'
    headers = {"content-type": "multipart/form-data; boundary=b"}
    refused(management.post(path, content=cut, headers=headers), 400, 3, "before the closing boundary")
    assert rest.get("/v1/files").json()["data"] == []


def test_name_and_type_field_override_those_of_the_part(rest: httpx.Client, management: httpx.Client) -> None:
    """A field beats the part, the part beats the extension."""
    path = f"/v1/collections/{create(management)}/documents"

    def made(**form: Any) -> tuple[str, str]:
        metadata = management.post(path, files=form).json()["file_metadata"]
        return metadata["name"], metadata["content_type"]

    assert made(data=("a.csv", b"1")) == ("a.csv", "text/csv")
    assert made(data=("a.csv", b"1", "text/plain")) == ("a.csv", "text/plain")
    assert made(data=("a.csv", b"1", "text/plain"), name=(None, "b.md")) == ("b.md", "text/plain")
    assert made(content_type=(None, "text/html"), data=("a.csv", b"1")) == ("a.csv", "text/html")


def test_document_over_size_limit_is_refused_while_it_arrives(rest: httpx.Client) -> None:
    """A document may be larger than a file: N-1 and N bytes of its own row pass, N+1 are refused on the way."""
    limits = {"file_bytes_max": 10, "collection_document_bytes_max": 20}
    with Emulator(limits=limits) as emulator:
        headers = {"authorization": f"Bearer {emulator.management_key}"}
        with httpx.Client(base_url=emulator.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            id = create(client)
            path = f"/v1/collections/{id}/documents"
            for size, status in ((19, 200), (20, 200), (21, 413)):
                reply = client.post(path, files={"data": ("a.txt", b"x" * size)})
                assert reply.status_code == status
            assert reply.headers["x-emulator-rule"] == "collection_document_bytes_max"
            assert client.get(f"/v1/collections/{id}").json()["total_file_size"] == "39"


# --- what hangs on what


def test_collection_counts_follow_changes_of_documents(rest: httpx.Client, management: httpx.Client) -> None:
    """A collection counts its documents and their bytes, through adding, new content, removal and deletion."""
    id = create(management)
    path = f"/v1/collections/{id}"
    files = [upload(rest, f"{size}.txt", b"x" * size) for size in (3, 5, 7)]

    def counts() -> tuple[int, str]:
        body = management.get(path).json()
        assert management.get("/v1/collections").json()["collections"] == [body]
        return body["documents_count"], body["total_file_size"]

    for file in files:
        management.post(f"{path}/documents/{file}")
    management.post(f"{path}/documents/{files[0]}")  # again
    assert counts() == (3, "15")
    rest.put(f"/v1/files/{files[0]}", files={"file": ("new.txt", b"x" * 10)})
    assert counts() == (3, "22")
    management.delete(f"{path}/documents/{files[1]}")
    assert counts() == (2, "17")
    rest.delete(f"/v1/files/{files[2]}")
    assert counts() == (1, "10")
    assert names(management.get(f"{path}/documents")) == ["new.txt"]


def test_deleted_collection_keeps_files_and_other_collections(rest: httpx.Client, management: httpx.Client) -> None:
    """A file may be in several collections, and outlives each of them."""
    file, ids = upload(rest), [create(management, name) for name in "ab"]
    for id in ids:
        management.post(f"/v1/collections/{id}/documents/{file}")
    exchange(management.delete(f"/v1/collections/{ids[0]}"), {})
    refused(management.get(f"/v1/collections/{ids[0]}/documents/{file}"), 404, 5, "Collection not found")
    exchange(management.get(f"/v1/collections/{ids[1]}/documents/{file}"), DOCUMENT)
    assert rest.get(f"/v1/files/{file}/content").content == CONTENT


def test_document_is_removed_when_its_file_expires(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client
) -> None:
    """At the very second a file expires its documents are gone, are counted no more, and their values are free."""
    id = create(management, field_definitions=[{"key": "isbn", "unique": True}])
    path = f"/v1/collections/{id}"
    file = rest.post("/v1/files", data={"expires_after": "3600"}, files={"file": ("a.txt", b"x")}).json()["id"]
    other = upload(rest)
    management.post(f"{path}/documents/{file}", json={"fields": {"isbn": "1"}})
    emulator.advance(3000)
    assert management.get(path).json()["documents_count"] == 1
    emulator.advance(600)
    assert management.get(path).json()["documents_count"] == 0
    assert management.get(f"{path}/documents").json() == {"documents": []}
    refused(management.get(f"{path}/documents/{file}"), 404, 5, "Document not found")
    exchange(management.post(f"{path}/documents/{other}", json={"fields": {"isbn": "1"}}), {})


def test_unfinished_upload_cannot_be_added(rest: httpx.Client, management: httpx.Client) -> None:
    """A file that waits for its chunks cannot be added yet."""
    file = rest.post("/v1/files:initialize", json={"name": "a.txt", "content_type": "text/plain"}).json()["file_id"]
    path = f"/v1/collections/{create(management)}/documents/{file}"
    refused(management.post(path), 400, 9, "not complete")
    rest.post("/v1/files:uploadChunks", json={"file_id": file, "chunk": "aGk="})
    exchange(management.post(path), {})


def test_encoded_slash_in_id_does_not_split_path(rest: httpx.Client, management: httpx.Client) -> None:
    """An id may hold anything: here one that does not exist, whatever it looks like."""
    for id in ("documents:batchGet", "a%2Fdocuments%2Fb", "%00", "collection_x%3AbatchGet"):
        refused(management.get(f"/v1/collections/{id}"), 404, 5, "Collection not found")
    assert management.post("/v1/collections/x/documents:batchGet").status_code == 405
    assert json.loads(management.post("/v1/collections/x/documents:batchGet").text)["code"] == 12
