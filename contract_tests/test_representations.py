"""Every call that shows an object shows the same one: alone, in lists, over REST and gRPC, and after each change.

What is shown is compared by `observed_objects`: a case here makes objects that differ in every member, and reads them
through every call there is, before and after each change.
"""

from __future__ import annotations

import base64
from typing import Any

import pytest

from . import matchers
from .case import case
from .clients.client import Client, batch_input, chat_request
from .clients.http import FilePart
from .clients.rest import RestClient
from .readers import IMAGE, VIDEO, Readers
from .target import Target

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
DAY = 86_400
START = "2031-05-06T22:58:07.123456Z"
SAME = "the objects of REST and gRPC are the same, and so are those of lists"
TEXTS = ("about ferns", "  Über Öl, 油と\nzwei Zeilen  ", "A description of more than twenty characters. " * 3)
CHUNKS: tuple[dict[str, Any], ...] = (
    {"chars_configuration": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 20}, "strip_whitespace": True},
    {"bytes_configuration": {"max_chunk_size_bytes": 101, "chunk_overlap_bytes": 21}, "inject_name_into_chunks": True},
    {
        "tokens_configuration": {
            "max_chunk_size_tokens": 102,
            "chunk_overlap_tokens": 22,
            "encoding_name": "cl100k_base",
        }
    },
    {"markdown_chars_configuration": {"max_chunk_size_chars": 260, "chunk_overlap_chars": 23}},
    {"markdown_tokens_configuration": {"max_chunk_size_tokens": 200, "chunk_overlap_tokens": 24}},
    {"code_chars_configuration": {"max_chunk_size_chars": 130, "chunk_overlap_chars": 25}},
    {"code_tokens_configuration": {"max_chunk_size_tokens": 60, "chunk_overlap_tokens": 26}},
    {"table_configuration": {"max_chunk_size_tokens": 70}},
)


@pytest.fixture
def readers(client: Client, rest: RestClient, target: Target) -> Readers:
    """A team of its own whose clock stands still."""
    target.control("POST", "/clock/freeze", {"at": START})
    return Readers(rest, client, target)


@case(
    "files.representations",
    *("files.upload", "files.get", "files.list", "files.update", "files.create_public_url", "files.revoke_public_url"),
    *("files.delete",),
    evidence="documented",
    source=f"Files guide and files.proto: {SAME}",
    control=True,
)
def test_files(readers: Readers, rest: RestClient, client: Client, name: str) -> None:
    """Every call that shows a file shows the same, also after each change of it."""
    ids: list[str] = []

    def changed(path: str, method: str = "PUT", **body: Any) -> None:
        readers.pause()
        if method == "DELETE":
            rest.call(method, path)
            ids.remove(path.rpartition("/")[2])
        else:
            rest.json(method, path, json_body=body)
        readers.files(ids)

    for upload, word, size, expiry in (
        (rest.upload_file, "a.png", 3, None),
        (client.upload_file, "Öl 油, a name of more than twenty characters.PNG", 10, 20 * DAY),
        (rest.upload_file, "c.jsonl", 0, 10 * DAY),
        (client.upload_file, "d", 200, None),
    ):
        ids.append(upload(b"x" * size, f"{name}{word}", expires_after=expiry).id)
        readers.files(ids)
        readers.pause()
    changed(f"/v1/files/{ids[0]}/public-url", "POST")
    changed(f"/v1/files/{ids[1]}/public-url", "POST", expires_after=9 * DAY)
    changed(f"/v1/files/{ids[0]}", filename=f"{name}Ä.jpg")
    changed(f"/v1/files/{ids[3]}", expires_after=30 * DAY)
    changed(f"/v1/files/{ids[0]}/public-url", "POST", expires_after=7200)
    changed(f"/v1/files/{ids[0]}/public-url/revoke", "POST")
    changed(f"/v1/files/{ids[0]}", "DELETE")


@case(
    "collections.representations",
    *("collections.create", "collections.get", "collections.list", "collections.update", "collections.delete"),
    evidence="documented",
    source=f"Collections guide and collections.proto: {SAME}",
    control=True,
)
def test_collections(readers: Readers, rest: RestClient, name: str) -> None:
    """Every call that shows a collection shows the same as its creation over REST or gRPC, also after each change."""
    ids: list[str] = []
    shown: list[dict[str, Any]] = []

    def write(path: str, rpc: str, number: int, **fields: Any) -> dict[str, Any]:
        """Over gRPC every second time, if the client speaks it and the message has such chunks."""
        readers.pause()
        is_known = {*fields.get("chunk_configuration", ())} <= {*CHUNKS[0], *CHUNKS[1], *CHUNKS[2]}
        if number % 2 and is_known and readers.client.protocol == "grpc":
            named = {"collection_id": path.rpartition("/")[2]} if rpc == "UpdateCollection" else {}
            found: dict[str, Any] = readers.rpc(rpc, **named, **fields)
        else:
            found = rest.json("PUT" if rpc == "UpdateCollection" else "POST", path, json_body=fields)
        readers.collections(ids)
        return found

    for number, chunks in enumerate(CHUNKS):
        definitions = [
            {"key": f"key-{number}", "required": number % 2 == 0, "unique": number % 3 == 0},
            {"key": "Öl", "inject_into_chunk": number % 4 == 0, "description": f"{TEXTS[1]}{number}"},
        ]
        body = {
            "collection_name": f"{name}{number} Öl 油, a name of more than twenty characters",
            "collection_description": f"{TEXTS[number % 3]}{number}",
            "chunk_configuration": chunks,
            "field_definitions": definitions[: 1 + number % 2],
        }
        if number % 3 == 2:
            body["index_configuration"] = {"model_name": f"grok-embedding-{number}"}
        made = write("/v1/collections", "CreateCollection", number, **body)
        ids.append(made["collection_id"])
        shown.append(body)
        for id, expected in zip(ids, shown, strict=True):
            matchers.check(rest.json("GET", f"/v1/collections/{id}"), expected)
    readers.collections(ids)
    for number, id in enumerate(ids):
        fields = {"collection_name": f"{name}new {number}", "collection_description": f"new {TEXTS[number % 3]}"}
        chunks = CHUNKS[number - 1]
        update = [{"field_definition": {"key": "more", "description": "é"}, "operation": "FIELD_DEFINITION_ADD"}]
        for change in (fields, {"chunk_configuration": chunks}, {"field_definition_updates": update}):
            write(f"/v1/collections/{id}", "UpdateCollection", number, **change)
        matchers.check(rest.json("GET", f"/v1/collections/{id}"), {**fields, "chunk_configuration": chunks})
    rest.delete_collection(ids.pop())
    readers.collections(ids)


@case(
    "collections.documents.representations",
    *("documents.upload", "documents.add", "documents.get", "documents.list", "documents.batch_get"),
    *("documents.reindex", "documents.remove", "documents.search", "collections.get", "collections.list"),
    *("files.get", "files.update"),
    evidence="documented",
    source=f"Collections guide and collections.proto: {SAME}",
    control=True,
)
def test_documents(readers: Readers, rest: RestClient, client: Client, name: str) -> None:
    """Every call that shows a document shows the same, and its file and collection fit it, also after each change."""
    chunks = {"chars_configuration": {"max_chunk_size_chars": 40}, "inject_name_into_chunks": True}
    definitions = [{"key": "author", "inject_into_chunk": True}, {"key": "Öl"}, {"key": "year"}]
    body = {"collection_name": f"{name}a", "chunk_configuration": chunks, "field_definitions": definitions}
    collection = rest.json("POST", "/v1/collections", json_body=body)["collection_id"]
    other = rest.create_collection(f"{name}b").id
    path = f"/v1/collections/{collection}/documents"
    files: list[str] = []

    def read() -> None:
        readers.documents(collection, files)
        readers.files(files)
        readers.collections([collection, other])
        readers.pause()

    for number, (word, content, expiry) in enumerate(
        (("a.md", "# The kettle\n\n" + "It is copper. " * 9, None), ("Öl.txt", "Die Öllampe.", 30 * DAY))
    ):
        files.append(client.upload_file(content.encode(), f"{name}{word}", expires_after=expiry).id)
        rest.add_document(
            collection, files[-1], {"author": f"Sappho {number}", "Öl": f" {number} 油", "year": f"{number}"}
        )
        read()
    for word in "fc":
        form = [("name", f"{name}{word}.csv"), ("data", FilePart("c.csv", b"a,b\n1,2\n")), ("content_type", "text/csv")]
        form.append(("fields", f'{{"author": "Alkaios {word}"}}'))
        files.append(rest.json("POST", path, form=form)["file_metadata"]["file_id"])
        read()
    rest.add_document(other, files[0])
    read()
    rest.reindex_document(collection, files[1])
    read()
    for change in ({"fields": {"author": "Korinna"}}, {"name": f"{name}d.md"}, {"data": b"The ferns."}):
        if client.protocol == "grpc":
            readers.rpc("UpdateDocument", collection_id=collection, file_id=files[0], **change)
            read()
    rest.json("PUT", f"/v1/files/{files[1]}", json_body={"filename": f"{name}e.txt"})
    read()
    rest.remove_document(collection, files.pop())
    read()


FUNCTION = {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
REQUESTS: dict[str, dict[str, Any]] = {
    "a": {"chat_get_completion": chat_request("Say a.")},
    "b": {"chat_get_completion": {**chat_request("Say b b b b."), "n": 2, "temperature": 0.5}},
    "c": {"chat_get_completion": {**chat_request("Say c."), "max_tokens": -5}},
    "d": {"responses": {"model": "grok-4.3", "input": "Say d d."}},
    "e": {"image_generation": {**IMAGE, "n": 2}},
    "f": {"video_generation": {**VIDEO, "duration": 3}},
    "g": {"chat_get_completion": {**chat_request("Say g."), "tools": [FUNCTION], "tool_choice": "required"}},
    "h": {"image_generation": {**IMAGE, "storage_options": {"filename": "kettle.png"}}},
}


@case(
    "batches.representations",
    *("batches.create", "batches.get", "batches.list", "batches.add_requests", "batches.list_requests"),
    *("batches.list_results", "batches.cancel"),
    evidence="documented",
    source=f"Batch guide and batch.proto: {SAME}",
    control=True,
    destructive=True,
    paid=True,
)
def test_batches(readers: Readers, rest: RestClient, target: Target, name: str) -> None:
    """Every call that shows a batch, a request or a result shows the same, and the counters and costs add up."""
    ids: list[str] = []

    def read() -> None:
        readers.batches(ids)
        readers.pause()

    def create(number: int, **fields: Any) -> str:
        if number % 2 and readers.client.protocol == "grpc":
            id = readers.rpc("CreateBatch", **fields)["batch_id"]
        else:
            id = rest.json("POST", "/v1/batches", json_body=fields)["batch_id"]
        ids.append(id)
        read()
        return str(id)

    def add(id: str, words: str) -> None:
        requests = [{"batch_request_id": word, "batch_request": REQUESTS[word]} for word in words]
        rest.call("POST", f"/v1/batches/{id}/requests", json_body={"batch_requests": requests})
        read()

    first, second = create(0, name=f"{name}a"), create(1, name=f"{name}Öl 油")
    add(first, "ab")
    add(second, "fedc")
    add(first, "c")
    file = rest.upload_file(batch_input({"x": "Say x.", "y": "Say y."}), f"{name}a.jsonl").id
    bad = rest.upload_file(b'{"custom_id": 1}\n', f"{name}b.jsonl").id
    for number, each in enumerate((file, bad, file)):
        create(number, name=f"{name}{number}", input_file_id=each)
    third = create(1, name=f"{name}cancelled")
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    rest.json("POST", f"/v1/batches/{third}:cancel")
    read()
    for id, counts in zip(ids, _COUNTS, strict=True):
        state = rest.json("GET", f"/v1/batches/{id}")["state"]
        assert {word: state[f"num_{word}"] for word in counts} == counts, id


_COUNTS = (
    {"requests": 3, "success": 2, "error": 1},
    {"requests": 4, "success": 3, "error": 1},
    {"requests": 2, "success": 2},
    {"requests": 0},
    {"requests": 2, "success": 2},
    {"requests": 0},
)


@case(
    "keys.representations",
    *("keys.create", "keys.list", "keys.update", "keys.rotate", "keys.delete", "keys.get_propagation"),
    *("keys.validate_management", "teams.list", "audit.list_events", "auth.api_key", "auth.me"),
    evidence="assumed",
    source="Management API guide; the members that it does not name were seen in clients of the live service",
    control=True,
    destructive=True,
)
def test_keys(readers: Readers, rest: RestClient, client: Client, name: str) -> None:
    """A key is the same in each answer and in the list, fits its description, and its changes are in the audit log."""
    [team] = rest.json("GET", "/auth/teams")["teams"]
    own, manager = rest.json("GET", "/v1/api-key"), rest.json("GET", "/auth/management-keys/validation")
    id, user = own["team_id"], own["user_id"]
    assert (team["teamId"], team["name"]) == (id, readers.target.team)
    matchers.check(manager, {"teamId": id, "userId": user, "scope": "SCOPE_TEAM", "scopeId": id, "acls": ["*"]})
    matchers.check(rest.json("GET", "/v1/me"), {"team_id": id, "user_id": user})
    assert manager["apiKeyId"] != own["api_key_id"]
    path, events = f"/auth/teams/{id}/api-keys", f"/audit/teams/{id}/events"
    log: list[tuple[str, str]] = []

    def change(action: str, method: str, place: str, body: Any = None) -> dict[str, Any]:
        readers.pause()
        found: dict[str, Any] = rest.json(method, place, json_body=body)
        listed = rest.json("GET", path)["apiKeys"]
        times = [each["createTime"] for each in listed]
        assert times == sorted(times, reverse=True)
        log.insert(0, (action, place.split("/")[3] if action != "keys.create" else found["apiKeyId"]))
        if found:
            assert len({each["modifyTime"] for each in listed} | {found["modifyTime"]}) == len(listed)
            expected = {"teamId": id, "userId": user, "modifiedBy": user, "apiKeyBlocked": False, "teamBlocked": False}
            matchers.check(found, expected)
            assert (found["createTime"] == found["modifyTime"]) == (action == "keys.create")
            if "apiKey" in found:
                assert found["redactedApiKey"] == f"xai-...{found['apiKey'].partition('@')[0][-4:]}"
        return found

    every = [
        {
            "name": f"{name}Öl {number}",
            "acls": ["api-key:model:*", "api-key:endpoint:*"][: number + 1],
            "qpm": 100 + number,
        }
        for number in range(2)
    ]
    made = [change("keys.create", "POST", path, body) for body in every]
    for key, body in zip(made, every, strict=True):
        matchers.check(key, {**body, "disabled": False})
        shown = rest.json("GET", f"/auth/api-keys/{key['apiKeyId']}/propagation")["icPropagation"]
        assert shown
        assert all(value is True for value in shown.values())
    first = made[0]["apiKeyId"]
    assert "expireTime" not in made[0]
    changes: dict[str, Any] = {"name": f"{name}b", "disabled": True, "qpm": 7, "acls": ["api-key:endpoint:chat"]}
    for mask, value in {**changes, "expireTime": "2032-01-02T03:04:05.000000Z"}.items():
        body = {"apiKey": {mask: value}, "fieldMask": mask}
        matchers.check(change("keys.update", "PUT", f"/auth/api-keys/{first}", body), {mask: value})
    rotated = change("keys.rotate", "POST", f"/auth/api-keys/{first}/rotate")
    matchers.check(rotated, {"name": f"{name}b", "disabled": True, "qpm": 7, "acls": ["api-key:endpoint:chat"]})
    assert rotated["apiKey"] != made[0]["apiKey"]
    described = rest.with_keys(made[1]["apiKey"], "").json("GET", "/v1/api-key")
    names = {"redacted_api_key": "redactedApiKey", "api_key_id": "apiKeyId", "name": "name", "acls": "acls"}
    names |= {"modified_by": "modifiedBy", "user_id": "userId", "team_id": "teamId"}
    matchers.check(described, {one: made[1][other] for one, other in names.items()})
    change("keys.delete", "DELETE", f"/auth/api-keys/{first}")
    shown = rest.json("GET", events)["events"]
    assert [(each["action"], each["subject"]) for each in shown] == log
    for event, (action, subject) in zip(shown, log, strict=True):
        matchers.check(event, {"teamId": id, "userId": user, "apiKeyId": manager["apiKeyId"], "eventId": "$uuid"})
        assert subject in event["description"], action
    times = [each["eventTime"] for each in shown]
    assert times == sorted(times, reverse=True)
    assert times[-1] == made[0]["createTime"]
    assert len({each["eventId"] for each in shown}) == len(shown)


@case(
    "files.uploads.representations",
    *("files.initialize", "files.upload_chunks", "files.batch_upload", "files.complete_batch_upload", "files.get"),
    *("files.list", "files.content", "documents.add", "documents.get"),
    evidence="assumed",
    source="the paths have no published contract: a file is the same whichever way it was uploaded",
    control=True,
)
def test_uploads(readers: Readers, rest: RestClient, name: str) -> None:
    """A file in pieces shows its name, type, time and expiry from the first answer on, and size and hash at the end."""
    pieces = (b"The ", "Ölkanne.".encode())
    whole = b"".join(pieces)
    types = (("a.txt", "text/plain"), ("b.csv", "text/csv"))

    def upload(file: dict[str, Any], content: bytes = whole) -> dict[str, Any]:
        readers.pause()
        body = {"file_id": file["file_id"], "chunk": base64.b64encode(content).decode()}
        found: dict[str, Any] = rest.json("POST", "/v1/files:uploadChunks", json_body=body)
        matchers.check(found, {"size_bytes": str(len(content)), "upload_status": "Complete", "hash": "$blake3"})
        return found

    begun = []
    for word, kind in types:
        body = {"name": f"{name}{word}", "content_type": kind, **({} if word == "a.txt" else {"expires_after": DAY})}
        begun.append(rest.json("POST", "/v1/files:initialize", json_body=body))
        matchers.check(begun[-1], {"name": body["name"], "content_type": kind, **_BEGUN})
        readers.pause()
    for file in begun:
        done = upload(file)
        assert {key: done[key] for key in _KEPT} == {key: file[key] for key in _KEPT}
    files = [{"name": f"{name}{number}{word}", "content_type": kind} for number, (word, kind) in enumerate(types)]
    job = rest.json("POST", "/v1/files/batch_upload", json_body={"files": files})
    matchers.check(job, {"status": "pending", "files": [{**each, **_BEGUN} for each in files]})
    begun += [upload(each, whole * (number + 2)) for number, each in enumerate(job["files"])]
    path = f"/v1/files/batch_upload/{job['batch_job_id']}:complete"
    done = rest.json("POST", path, json_body={})
    matchers.check(done, {"batch_job_id": job["batch_job_id"], "status": "complete"})
    assert [{key: each[key] for key in _KEPT} for each in done["files"]] == [
        {key: each[key] for key in _KEPT} for each in job["files"]
    ]
    collection = rest.create_collection(f"{name}notes").id
    ids = [each["file_id"] for each in begun]
    for id in ids:
        rest.add_document(collection, id)
    readers.files(ids)
    readers.documents(collection, ids)
    assert len({rest.get_document(collection, id).hash for id in ids}) == 3
    assert [rest.read_file(id) for id in ids] == [whole, whole, whole * 2, whole * 3]


_KEPT = ("file_id", "name", "content_type", "created_at", "expires_at")
_BEGUN = {"size_bytes": "0", "upload_status": "Initializing", "processing_status": "pending", "file_path": ""}
_BEGUN["hash"] = "$blake3"
