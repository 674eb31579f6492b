"""Requests and results of batches as lists: while some are pending, and as many as a page may have."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from . import matchers
from .case import case
from .clients.client import Client, chat_request
from .clients.rest import RestClient
from .target import Target

pytestmark = pytest.mark.over_both_protocols


def add_chats(rest: RestClient, batch: str, ids: Sequence[str]) -> None:
    """Add a request for each id."""
    requests = [{"batch_request_id": id, "batch_request": {"chat_get_completion": chat_request(id)}} for id in ids]
    rest.call("POST", f"/v1/batches/{batch}/requests", json_body={"batch_requests": requests})


@case(
    "batches.rows.early",
    *("batches.list_requests", "batches.list_results", "batches.get"),
    evidence="recorded",
    source="observed live, 2026-08: results can be read while other requests are pending",
    control=True,
    destructive=True,
)
@pytest.mark.own_team
def test_early_rows(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """Results can be read as soon as they are there: a request that is pending is listed without one."""
    target.control("PATCH", f"/teams/{target.team}", {"batches": "manual"}, team=None)
    batch = rest.create_batch(f"{name}batch").id
    for finished, pending in (((), ("b", "d")), (("b", "d"), ("a", "c"))):
        add_chats(rest, batch, pending)
        matchers.check(
            vars(rest.get_batch(batch)), {"requests": len(finished + pending), "pending": 2, "succeeded": len(finished)}
        )
        if client.protocol == "grpc":
            rows = client.call_rpc("ListBatchRequestMetadata", batch_id=batch)["batch_request_metadata"]
            results = client.call_rpc("ListBatchResults", batch_id=batch)["results"]
        else:
            rows = rest.json("GET", f"/v1/batches/{batch}/requests")["batch_request_metadata"]
            results = rest.json("GET", f"/v1/batches/{batch}/results")["results"]
        assert [each["batch_request_id"] for each in rows] == sorted(finished + pending)
        assert [each["batch_request_id"] for each in results] == list(finished)
        unfinished = [each["batch_request_id"] for each in rows if each["finish_time"] is None]
        assert unfinished == list(pending)
        target.control("POST", "/jobs/run")
    matchers.check(vars(rest.get_batch(batch)), {"requests": 4, "pending": 0, "succeeded": 4})


@case(
    "batches.requests.later",
    *("batches.add_requests", "batches.get", "batches.list_results"),
    evidence="assumed",
    source="Batch guide: a batch is not closed by its last answer; nothing but its end refuses requests",
    destructive=True,
)
def test_later_requests(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A batch whose requests are all finished takes more, and finishes those too."""
    batch = client.create_batch(f"{name}batch").id
    for number, id in enumerate("cab", 1):
        client.add_chats(batch, {id: f"Say {id}."})
        matchers.wait_until(
            lambda: vars(rest.get_batch(batch)),
            {"requests": number, "pending": 0, "succeeded": number},
            within_seconds=target.wait_seconds_max,
        )
    assert [result.id for result in client.list_batch_results(batch).items] == ["a", "b", "c"]


ROWS_MAX = 1000


@case(
    "batches.rows.most",
    *("batches.list_requests", "batches.list_results"),
    evidence="documented",
    source="Batch reference: limit is at most 1000; batch.proto: 100 by default",
    limit="batch_page_items_max",
    slow=True,
    destructive=True,
)
def test_largest_page_of_rows(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """A page of requests or results has as many as were asked for, up to 1000, and 100 by default."""
    batch = rest.create_batch(f"{name}batch").id
    add_chats(rest, batch, [f"{number:04}" for number in range(ROWS_MAX + 1)])
    matchers.wait_until(
        lambda: vars(rest.get_batch(batch)), {"pending": 0, "requests": 1001}, within_seconds=target.wait_seconds_max
    )
    for rows, rpc, items in (
        ("requests", "ListBatchRequestMetadata", "batch_request_metadata"),
        ("results", "ListBatchResults", "results"),
    ):
        for size in ({}, {"limit": 101}, {"limit": ROWS_MAX}):
            if client.protocol == "grpc":
                page = client.call_rpc(rpc, batch_id=batch, **size)
            else:
                page = rest.json("GET", f"/v1/batches/{batch}/{rows}", query=size)
            assert len(page[items]) == size.get("limit", 100), f"{rows} with {size}"
            assert page["pagination_token"], f"{rows} with {size}"
