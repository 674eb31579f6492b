"""The Batch API with every client library that has it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from . import matchers, pages
from .case import case
from .clients.client import Client, batch_input
from .clients.models import ApiError, Batch, BatchResult, Page
from .target import Target

GUIDE = "Batch guide and reference; xai-sdk: client.batch"
PROMPTS = {f"capital-{number}": f"What is the capital of country {number}?" for number in range(5)}


def done(client: Client, target: Target, batch_id: str) -> Batch:
    """The batch, once nothing of it is pending."""

    def ask() -> dict[str, Any]:
        return vars(client.get_batch(batch_id))

    finished = {"requests": {"$above": 0}, "pending": 0}
    matchers.wait_until(ask, finished, within_seconds=target.wait_seconds_max, what=f"batch {batch_id}")
    return client.get_batch(batch_id)


def walk(list_page: Callable[..., Page[Any]], batch_id: str, limit: int) -> list[Any]:
    """Everything on all pages."""
    return list(pages.walk(lambda token: list_page(batch_id, limit=limit, token=token)))


@case(
    "batches.round-trip",
    *("batches.create", "batches.add_requests", "batches.get", "batches.list_results"),
    evidence="documented",
    source=GUIDE,
    destructive=True,
)
def test_round_trip(client: Client, target: Target, name: str) -> None:
    """A batch is made, filled, done, and its results are read page by page, each request answered once."""
    made = client.create_batch(f"{name}capitals")
    matchers.check(vars(made), {"id": "$batch_id", "name": f"{name}capitals", "requests": 0, "was_cancelled": False})
    client.add_chats(made.id, PROMPTS)
    batch = done(client, target, made.id)
    assert (batch.requests, batch.succeeded, batch.failed, batch.cancelled) == (5, 5, 0, 0)
    results: list[BatchResult] = walk(client.list_batch_results, made.id, 2)
    assert [result.id for result in results] == sorted(PROMPTS)
    assert all(result.text for result in results)


@case("batches.rows", "batches.list_requests", evidence="documented", source=GUIDE, destructive=True)
def test_rows(client: Client, target: Target, name: str) -> None:
    """The requests of a batch are listed with their state."""
    made = client.create_batch(f"{name}capitals")
    client.add_chats(made.id, PROMPTS)
    done(client, target, made.id)
    rows = walk(client.list_batch_requests, made.id, 2)
    assert sorted(row.id for row in rows) == sorted(PROMPTS)
    assert {row.state for row in rows} == {"succeeded"}


@case("batches.one-result", "batches.get_request", evidence="documented", source="batch.proto", destructive=True)
def test_result_of_one_request_is_returned(client: Client, target: Target, name: str) -> None:
    """The result of one request can be asked for alone."""
    made = client.create_batch(f"{name}capitals")
    client.add_chats(made.id, PROMPTS)
    done(client, target, made.id)
    id = min(PROMPTS)
    assert client.get_batch_result(made.id, id) == client.list_batch_results(made.id, limit=1).items[0]


@case(
    "batches.one-result-unknown",
    *("batches.get_request",),
    evidence="assumed",
    source="as for every other thing that does not exist",
    refusal="not found",
    destructive=True,
)
def test_unknown_result(client: Client, name: str) -> None:
    """A request that a batch does not have is not found in it."""
    made = client.create_batch(f"{name}capitals")
    with pytest.raises(ApiError) as refused:
        client.get_batch_result(made.id, "missing")
    assert refused.value.kind == "not_found"


@case(
    "batches.file-with-clients",
    *("files.upload", "batches.create", "batches.get", "batches.list_results"),
    evidence="documented",
    source="Batch guide: JSONL",
    destructive=True,
)
def test_file(client: Client, target: Target, name: str) -> None:
    """A batch of a JSONL file answers each line under its custom id."""
    made = client.submit_chats(f"{name}capitals", PROMPTS)
    batch = done(client, target, made.id)
    assert (batch.requests, batch.succeeded) == (5, 5)
    results = client.list_batch_results(made.id).items
    assert sorted(result.id for result in results) == sorted(PROMPTS)
    assert all(result.text for result in results)


@case(
    "batches.bad-file-with-clients",
    *("batches.create", "batches.get"),
    evidence="recorded",
    source="Batch guide; observed live, 2026-08",
    refusal="JSONL",
    destructive=True,
)
def test_bad_file(client: Client, target: Target, name: str) -> None:
    """A bad line cancels the batch, and the client can see why."""
    file = client.upload_file(batch_input(PROMPTS) + b"not JSON\n", f"{name}in.jsonl")
    made = client.create_batch(f"{name}bad", input_file_id=file.id)

    def ask() -> dict[str, Any]:
        return vars(client.get_batch(made.id))

    expected = {"was_cancelled": True, "cancel_message": {"$contains": "line 6"}, "requests": 0}
    matchers.wait_until(ask, expected, within_seconds=target.wait_seconds_max, what="the batch")


@case("batches.cancel", "batches.cancel", "batches.get", evidence="documented", source=GUIDE, destructive=True)
def test_cancel(client: Client, name: str) -> None:
    """A cancelled batch says so."""
    made = client.create_batch(f"{name}cancelled")
    assert client.cancel_batch(made.id).was_cancelled
    assert client.get_batch(made.id).was_cancelled


@case(
    "batches.list-with-clients",
    *("batches.list",),
    evidence="recorded",
    source="observed live, 2026-04",
    destructive=True,
)
def test_list(client: Client, name: str) -> None:
    """Batches are listed newest first, page by page."""
    made = [client.submit_chats(f"{name}{number}", {"a": "Say a."}).id for number in range(3)]
    first = client.list_batches(limit=2)
    assert [batch.id for batch in first.items] == [made[2], made[1]]
    assert first.token is not None
    assert [batch.id for batch in client.list_batches(limit=1, token=first.token).items] == [made[0]]


@case("batches.listed", "batches.list", "batches.get", evidence="documented", source=GUIDE, destructive=True)
def test_listed(client: Client, target: Target, name: str) -> None:
    """A list shows a batch as the batch itself is shown, with every client."""
    made = client.submit_chats(f"{name}capitals", PROMPTS)
    batch = done(client, target, made.id)
    assert client.list_batches(limit=1).items == [batch]


@case(
    "batches.unknown-with-clients",
    *("batches.get",),
    evidence="assumed",
    source="as for files; xai-sdk reads NOT_FOUND",
    refusal="not found",
)
def test_unknown(client: Client) -> None:
    """A batch that does not exist arrives as the client's error for things that are not found."""
    with pytest.raises(ApiError) as refused:
        client.get_batch("batch_00000000-0000-4000-8000-000000000000")
    assert refused.value.kind == "not_found"


@case(
    "batches.cancelled-with-clients",
    *("batches.add_requests",),
    evidence="recorded",
    source="observed live, 2026-08",
    refusal="cancelled",
    destructive=True,
)
def test_cancelled_takes_nothing(client: Client, name: str) -> None:
    """Requests for a cancelled batch arrive as the client's error for what is not allowed."""
    made = client.create_batch(f"{name}cancelled")
    client.cancel_batch(made.id)
    with pytest.raises(ApiError) as refused:
        client.add_chats(made.id, PROMPTS)
    assert refused.value.kind == "forbidden"


@case(
    "batches.again-with-clients",
    *("batches.add_requests",),
    evidence="recorded",
    source="observed live, 2026-08: FAILED_PRECONDITION, 412 over REST",
    refusal="content differs",
    destructive=True,
)
def test_again(client: Client, name: str) -> None:
    """Another request under an id that is taken arrives as the client's error for a precondition that is not met."""
    made = client.create_batch(f"{name}capitals")
    client.add_chats(made.id, {"a": "Say a."})
    client.add_chats(made.id, {"a": "Say a."})
    with pytest.raises(ApiError) as refused:
        client.add_chats(made.id, {"a": "Say b."})
    assert refused.value.kind == "precondition"
    assert client.get_batch(made.id).requests == 1
