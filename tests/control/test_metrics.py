"""`/_emulator/metrics`: what Prometheus reads of an emulator."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from emulator import Emulator
from tests.rpc.client import Rpc, message
from tests.serving import PATIENCE_SECONDS

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def counted() -> Iterator[Emulator]:
    """An emulator that no other test calls."""
    with Emulator() as emulator:
        yield emulator


def samples(emulator: Emulator) -> Samples:
    """Every sample, by its name and labels."""
    reply = httpx.get(f"{emulator.url}/_emulator/metrics")
    assert (reply.status_code, reply.headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    families = text_string_to_metric_families(reply.text)
    return {(each.name, frozenset(each.labels.items())): each.value for family in families for each in family.samples}


def call_count(found: Samples, **labels: str) -> float:
    """How many calls with these labels there were."""
    name = "xai_emulator_call_seconds_count"
    return sum(value for (each, has), value in found.items() if each == name and set(labels.items()) <= has)


def test_calls_of_both_transports_are_counted_by_outcome(counted: Emulator) -> None:
    """A success, a refusal, an unknown path, and a call over gRPC; calls of the control API are not among them."""
    with httpx.Client(base_url=counted.url, headers={"authorization": "Bearer xai-emulator"}) as http:
        http.get("/v1/files")
        http.get("/v1/files", headers={"authorization": "Bearer xai-emulator@other"})
        http.get("/v1/files/file_missing")
        http.get("/v1/nowhere")
    with Rpc(counted.grpc_target, "xai-emulator") as rpc:
        rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
    found = samples(counted)
    assert call_count(found, operation="files.list", transport="rest", status="200", outcome="ok") == 2
    assert call_count(found, operation="files.list", transport="grpc", status="OK", outcome="ok") == 1
    assert call_count(found, operation="files.get", status="404", outcome="NOT_FOUND") == 1
    assert call_count(found, operation="", status="404") == 1
    assert call_count(found) == 5


def test_durations_are_cumulative_buckets(counted: Emulator) -> None:
    """Each bucket holds those before it, and the last one all calls."""
    for _ in range(3):
        httpx.get(f"{counted.base_url}/files", headers={"authorization": "Bearer xai-emulator"})
    found = samples(counted)
    buckets = sorted(
        (float(dict(has)["le"]), value) for (name, has), value in found.items() if name.endswith("call_seconds_bucket")
    )
    assert [value for _, value in buckets] == sorted(value for _, value in buckets)
    assert buckets[-1] == (float("inf"), 3)


def test_held_resources_and_met_faults_are_shown(counted: Emulator) -> None:
    """Gauges follow what all teams have, and a planned fault counts when a call meets it."""
    headers = {"authorization": "Bearer xai-emulator@ada"}
    httpx.post(f"{counted.base_url}/files", headers=headers, files={"file": ("a.txt", b"text")})
    fault = {"operation": "files.list", "status": 503}
    assert httpx.post(f"{counted.url}/_emulator/faults", params={"team": "ada"}, json=fault).status_code == 200
    before = samples(counted)
    assert httpx.get(f"{counted.base_url}/files", headers=headers).status_code == 503
    after = samples(counted)
    assert before["xai_emulator_files", frozenset()] == 1
    assert not [name for name, _ in before if name == "xai_emulator_faults_total"]
    assert sum(value for (name, _), value in after.items() if name == "xai_emulator_faults_total") == 1
    assert after["process_resident_memory_bytes", frozenset()] > 0


def test_metrics_need_the_control_token() -> None:
    """What an emulator holds is not for everybody who reaches its port."""
    with Emulator(control_token="secret") as emulator:
        url = f"{emulator.url}/_emulator/metrics"
        assert httpx.get(url).status_code == 401
        assert httpx.get(url, headers={"authorization": "Bearer secret"}).status_code == 200


def test_journal_keeps_traceparent_of_rest_and_grpc(counted: Emulator) -> None:
    """So that a call can be found from the trace that it is part of (W3C Trace Context)."""
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    headers = {"authorization": "Bearer xai-emulator", "traceparent": parent}
    httpx.get(f"{counted.base_url}/files", headers=headers)
    with Rpc(counted.grpc_target, "xai-emulator") as rpc:
        listing = rpc.channel.unary_unary("/xai_api.Files/ListFiles")
        listing(b"", metadata=[*headers.items()], timeout=PATIENCE_SECONDS)
    calls = httpx.get(f"{counted.url}/_emulator/requests").json()["requests"]
    assert [(call["transport"], call["headers"].get("traceparent")) for call in calls] == [
        ("rest", parent),
        ("grpc", parent),
    ]
