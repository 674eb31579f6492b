"""Planned faults, operation by operation: the emulator fails as planned, and the client sees that failure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from . import steps
from .case import Case, case
from .clients.client import Client
from .clients.http import Transport
from .clients.models import ApiError, Unsupported
from .target import Target


@dataclass(frozen=True)
class Things:
    """What the calls are about."""

    name: str
    file: str
    collection: str
    batch: str


CALLS: dict[str, Callable[[Client, Things], Any]] = {
    "auth.api_key": lambda client, things: client.team_of_key(),
    "files.upload": lambda client, things: client.upload_file(b"x", f"{things.name}b.txt"),
    "files.list": lambda client, things: client.list_files(),
    "files.get": lambda client, things: client.get_file(things.file),
    "files.content": lambda client, things: client.read_file(things.file),
    "files.delete": lambda client, things: client.delete_file(things.file),
    "files.create_public_url": lambda client, things: client.create_public_url(things.file),
    "files.revoke_public_url": lambda client, things: client.revoke_public_url(things.file),
    "collections.create": lambda client, things: client.create_collection(f"{things.name}b"),
    "collections.list": lambda client, things: client.list_collections(),
    "collections.get": lambda client, things: client.get_collection(things.collection),
    "collections.update": lambda client, things: client.rename_collection(things.collection, f"{things.name}c"),
    "collections.describe": lambda client, things: client.describe_collection(things.collection),
    "collections.delete": lambda client, things: client.delete_collection(things.collection),
    "documents.add": lambda client, things: client.add_document(things.collection, things.file),
    "documents.upload": lambda client, things: client.upload_document(things.collection, f"{things.name}d.txt", b"x"),
    "documents.list": lambda client, things: client.list_documents(things.collection),
    "documents.get": lambda client, things: client.get_document(things.collection, things.file),
    "documents.batch_get": lambda client, things: client.batch_get_documents(things.collection, [things.file]),
    "documents.update": lambda client, things: client.update_document(things.collection, things.file, content=b"y"),
    "documents.reindex": lambda client, things: client.reindex_document(things.collection, things.file),
    "documents.remove": lambda client, things: client.remove_document(things.collection, things.file),
    "documents.search": lambda client, things: client.search("x", [things.collection]),
    "batches.create": lambda client, things: client.create_batch(f"{things.name}batch"),
    "batches.get": lambda client, things: client.get_batch(things.batch),
    "batches.list": lambda client, things: client.list_batches(),
    "batches.cancel": lambda client, things: client.cancel_batch(things.batch),
    "batches.add_requests": lambda client, things: client.add_chats(things.batch, {"a": "Say a."}),
    "batches.list_requests": lambda client, things: client.list_batch_requests(things.batch),
    "batches.list_results": lambda client, things: client.list_batch_results(things.batch),
}

# Operations that no client library has, as HTTP requests about things that do not exist: a fault comes before that.
UNKNOWN_FILE = "file_00000000-0000-4000-8000-000000000000"
REQUESTS: dict[str, dict[str, Any]] = {
    "auth.me": {"request": "GET /v1/me"},
    "files.update": {"request": f"PUT /v1/files/{UNKNOWN_FILE}", "json": {}},
    "files.initialize": {"request": "POST /v1/files:initialize", "json": {"name": "{run}a.txt"}},
    "files.upload_chunks": {"request": "POST /v1/files:uploadChunks", "json": {"file_id": UNKNOWN_FILE, "chunk": ""}},
    "files.batch_upload": {"request": "POST /v1/files/batch_upload", "json": {"files": []}},
    "files.complete_batch_upload": {"request": f"POST /v1/files/batch_upload/{UNKNOWN_FILE}:complete", "json": {}},
}

REST_ONLY = {"documents.upload"}  # over gRPC a document is uploaded as a file, and then added


def fault(operation: str) -> Any:
    """The parameters of one operation's case."""
    return pytest.param(operation, id=operation, marks=pytest.mark.case(case_of_fault(operation)))


def case_of_fault(operation: str, *steps: dict[str, Any]) -> Case:
    """The case of one operation."""
    return Case(
        f"faults.{operation}",
        f"A fault that is planned for {operation} is what the client sees, and the next call goes through as before",
        (operation,),
        evidence="emulator",
        source="docs/reference.md: faults",
        feature="faults",
        fault="out_of_credits",
        control=True,
        steps=steps,
    )


@pytest.fixture(scope="module")
def things(writer: Client, run: str) -> Things:
    """A document in a collection, and a batch: calls that meet a fault leave them as they are."""
    file = writer.upload_file(b"x", f"{run}faulty.png").id
    collection = writer.create_collection(f"{run}faulty").id
    writer.add_document(collection, file)
    return Things(f"{run}faulty-", file, collection, writer.create_batch(f"{run}faulty").id)


@pytest.mark.one_client_per_protocol
@pytest.mark.parametrize("operation", [fault(operation) for operation in CALLS])
def test_fault(client: Client, target: Target, things: Things, operation: str) -> None:
    """The sentence of the case."""
    if operation in REST_ONLY and client.protocol != "rest":
        raise Unsupported(f"{operation} is not an operation of {client.protocol}")
    words = f"No credits are left for {operation}."
    plan = {"operation": operation, "error": "out_of_credits", "message": words, "transport": client.protocol}
    rule = target.control("POST", "/faults", plan)["rule"]["id"]
    try:
        with pytest.raises(ApiError) as refused:
            CALLS[operation](client, things)
        assert refused.value.kind == "exhausted"
        assert words in refused.value.message
        assert target.control("GET", f"/faults/{rule}")["rule"]["exhausted"]
    finally:
        target.control("DELETE", f"/faults/{rule}")


def request(operation: str) -> Any:
    """The parameters of a case that is an HTTP request: a fault is planned, met, and met no more."""
    asked = REQUESTS[operation]
    case = case_of_fault(
        operation,
        {
            "request": "POST /_emulator/faults",
            "json": {"operation": operation, "error": "out_of_credits", "message": "No credits are left."},
        },
        {**asked, "expect": {"status": 429, "json": {"code": "$text", "error": "No credits are left."}}},
        {**asked, "expect": {"status": [200, 400, 404, 412, 422]}},
    )
    return pytest.param(case, id=operation, marks=pytest.mark.case(case))


@pytest.mark.parametrize("case", [request(operation) for operation in REQUESTS])
def test_fault_of_a_request(case: Case, target: Target, transport: Transport) -> None:
    """The sentence of the case."""
    steps.run(case, target, transport)


# How each kind of refusal arrives at a client, over either transport. Without UNAVAILABLE, which xai-sdk retries.
ARRIVES = {
    "invalid_argument": "invalid",
    "no_credentials": "unauthenticated",
    "permission_denied": "forbidden",
    "not_found": "not_found",
    "aborted": "conflict",
    "failed_precondition": "precondition",
    "resource_exhausted": "exhausted",
    "deadline_exceeded": "deadline",
    "internal": "internal",
}


@case(
    "faults.kinds",
    *("files.get",),
    evidence="emulator",
    source="xAI debugging guide: statuses; google.rpc.Code",
    fault="every kind",
    control=True,
)
@pytest.mark.one_client_per_protocol
def test_kinds(client: Client, target: Target, things: Things) -> None:
    """Each kind of refusal has a status over REST and a code over gRPC that mean the same."""
    for error, kind in ARRIVES.items():
        plan = {"operation": "files.get", "error": error, "transport": client.protocol}
        rule = target.control("POST", "/faults", plan)["rule"]["id"]
        try:
            with pytest.raises(ApiError) as refused:
                client.get_file(things.file)
            assert refused.value.kind == kind, error
        finally:
            target.control("DELETE", f"/faults/{rule}")
