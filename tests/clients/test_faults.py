"""Planned faults under the unmodified clients: what an SDK makes of a refusal, a dropped connection, a cut stream."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import openai
import pytest
import xai_sdk

from emulator import Emulator

MIB = 1024 * 1024


@pytest.fixture
def xai(emulator: Emulator, control: httpx.Client) -> Iterator[xai_sdk.Client]:
    client = xai_sdk.Client(
        api_key=emulator.api_key,
        management_api_key=emulator.management_key,
        api_host=emulator.grpc_target,
        management_api_host=emulator.grpc_target,
    )
    yield client
    client.close()


@pytest.fixture
def oai(emulator: Emulator, control: httpx.Client) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=2) as client:
        yield client


def script(control: httpx.Client, operation: str, *steps: Any) -> str:
    """Plan a script and return its path."""
    reply = control.post("/scripts", json={"operation": operation, "steps": steps})
    assert reply.status_code == 200, reply.text
    return f"/scripts/{reply.json()['script']['id']}"


def report(control: httpx.Client, path: str) -> dict[str, Any]:
    """What a script has seen."""
    answer: dict[str, Any] = control.get(path).json()["script"]
    return answer


def rule(control: httpx.Client, **body: Any) -> str:
    """Plan a rule and return its id."""
    reply = control.post("/faults", json=body)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["rule"]["id"])


def bytes_on_disk(emulator: Emulator) -> list[Path]:
    """Every blob, finished or not."""
    assert emulator._server is not None
    return list((emulator._server.services.store.blobs.directory / "blobs").iterdir())


def test_xai_sdk_tries_again_after_unavailable(control: httpx.Client, xai: xai_sdk.Client) -> None:
    """UNAVAILABLE twice, then OK: xai-sdk succeeds, and the report shows its growing pauses and its deadline."""
    path = script(control, "files.list", {"error": "unavailable"}, {"error": "unavailable"}, "ok")
    assert list(xai.files.list().data) == []
    seen = report(control, path)
    assert seen["completed"]
    assert [attempt["outcome"] for attempt in seen["attempts"]] == ["UNAVAILABLE", "UNAVAILABLE", "ok"]
    assert [attempt["step"] for attempt in seen["attempts"]] == [1, 2, 3]
    gaps = [attempt["gap_seconds"] for attempt in seen["attempts"]]
    assert gaps[0] is None
    assert all(0.01 < gap < 2 for gap in gaps[1:]), gaps  # a back-off, with jitter
    assert [attempt["retry"] for attempt in seen["attempts"]] == [None, 1, 2]
    assert 1500 < seen["attempts"][0]["deadline_seconds"] <= 1620  # 27 minutes


def test_xai_sdk_does_not_try_again_after_a_final_refusal(control: httpx.Client, xai: xai_sdk.Client) -> None:
    """RESOURCE_EXHAUSTED is final for xai-sdk: one attempt, and the script is left with a step."""
    path = script(control, "files.list", {"error": "out_of_credits"}, "ok")
    with pytest.raises(grpc.RpcError) as refused:
        xai.files.list()
    assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "has either used all available credits" in refused.value.details()
    assert dict(refused.value.trailing_metadata())["x-emulator-fault"] == f"{path.rpartition('/')[2]}:1"
    assert (report(control, path)["consumed"], report(control, path)["completed"]) == (1, False)


def test_openai_honours_retry_after(control: httpx.Client, oai: openai.OpenAI) -> None:
    """openai waits for the time in Retry-After, and counts the retry in a header of the next attempt."""
    path = script(control, "files.list", {"error": "rate_limited", "retry_after_seconds": 1}, "ok")
    assert list(oai.files.list()) == []
    first, second = report(control, path)["attempts"]
    assert (first["outcome"], second["outcome"]) == ("RESOURCE_EXHAUSTED", "ok")
    assert 0.95 < second["gap_seconds"] < 3
    assert (first["retry"], second["retry"]) == (0, 1)
    assert first["deadline_seconds"] == 600


def test_openai_gives_up_with_the_recorded_words(control: httpx.Client, oai: openai.OpenAI) -> None:
    """A fault without an end reaches the caller with its code, message, Retry-After and the id of its rule."""
    id = rule(control, operation="files.*", error="out_of_credits", retry_after_seconds=0, times=None)
    with pytest.raises(openai.RateLimitError) as refused:
        oai.files.list()
    reply = refused.value.response
    assert reply.status_code == 429
    assert reply.json()["code"] == "resource-exhausted"
    assert reply.json()["error"].startswith("Your team ")
    assert reply.headers["retry-after"] == "0"
    assert reply.headers["x-emulator-fault"] == id
    assert control.get(f"/faults/{id}").json()["rule"]["hits"] == 3


@pytest.mark.parametrize("when", ["before", "after"])
def test_openai_survives_a_dropped_connection(control: httpx.Client, oai: openai.OpenAI, when: str) -> None:
    """A connection that is reset is tried again; dropped after the operation ran, the upload is there twice."""
    id = rule(control, operation="files.upload", drop=when)
    created = oai.files.create(file=("a.txt", b"hello"), purpose="assistants")
    assert created.bytes == 5
    assert len(list(oai.files.list())) == (1 if when == "before" else 2)
    assert control.get(f"/faults/{id}").json()["rule"]["exhausted"]
    outcomes = [call["outcome"] for call in control.get("/requests?operation=files.upload").json()["requests"]]
    assert outcomes == ["DROPPED", "ok"]


def test_xai_sdk_survives_a_dropped_connection(control: httpx.Client, xai: xai_sdk.Client) -> None:
    """Over gRPC a reset connection is UNAVAILABLE, which xai-sdk tries again on a new one."""
    path = script(control, "files.list", {"drop": "before"}, "ok")
    assert list(xai.files.list().data) == []
    assert [attempt["outcome"] for attempt in report(control, path)["attempts"]] == ["DROPPED", "ok"]


def test_download_is_cut_after_planned_bytes(control: httpx.Client, xai: xai_sdk.Client, emulator: Emulator) -> None:
    """Over both transports exactly as many bytes arrive as the rule says, then the download breaks off."""
    file = xai.files.upload(b"x" * (3 * MIB), filename="long.txt")
    rule(control, operation="files.content", cut_download_after_bytes=MIB, times=2)

    received: list[bytes] = []
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    with (
        httpx.Client(base_url=emulator.url, headers=headers) as rest,
        rest.stream("GET", f"/v1/files/{file.id}/content") as reply,
    ):
        assert reply.headers["content-length"] == str(3 * MIB)
        assert reply.headers["x-emulator-fault"] == "rule-1"
        with pytest.raises(httpx.RemoteProtocolError):
            received.extend(reply.iter_raw())
    assert sum(map(len, received)) == MIB

    with pytest.raises(grpc.RpcError) as broken:
        xai.files.content(file.id)
    assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
    assert len(xai.files.content(file.id)) == 3 * MIB  # the rule is exhausted
    outcomes = [call["outcome"] for call in control.get("/requests?operation=files.content").json()["requests"]]
    assert outcomes == ["CUT", "CUT", "ok"]


def test_cut_upload_leaves_nothing_behind(
    control: httpx.Client, xai: xai_sdk.Client, oai: openai.OpenAI, emulator: Emulator
) -> None:
    """xai-sdk sends 3 MiB at a time; cut after two such chunks no file, no bytes and no open upload remain."""
    rule(control, operation="files.upload", cut_upload_after_bytes=6 * MIB, times=3, transport="grpc")
    with pytest.raises(grpc.RpcError) as broken:
        xai.files.upload(b"x" * (10 * MIB), filename="long.txt")
    assert broken.value.code() is grpc.StatusCode.UNAVAILABLE
    rule(control, operation="files.upload", cut_upload_after_bytes=MIB, error="unavailable", times=3, transport="rest")
    with pytest.raises(openai.InternalServerError):
        oai.files.create(file=("long.txt", b"x" * (2 * MIB)), purpose="assistants")
    assert list(oai.files.list()) == []
    assert bytes_on_disk(emulator) == []


def test_drip_slows_upload_and_download(control: httpx.Client, oai: openai.OpenAI) -> None:
    """An upload and a download that drip arrive whole, only later."""
    rule(control, operation="files.*", drip_bytes_per_second=200_000, times=None)
    file = oai.files.create(file=("a.txt", b"x" * 20_000), purpose="assistants")
    assert oai.files.content(file.id).read() == b"x" * 20_000
    slow = {call["operation"]: call for call in control.get("/requests").json()["requests"]}
    assert slow["files.upload"]["ms"] >= 100


def test_fault_of_one_team_does_not_affect_another(control: httpx.Client, emulator: Emulator) -> None:
    """A rule of one team does not touch another."""
    control.post("/faults", params={"team": "mine"}, json={"operation": "*", "error": "internal", "times": None})
    for team, status in (("mine", 500), ("other", 200)):
        reply = httpx.get(f"{emulator.base_url}/files", headers={"authorization": f"Bearer {emulator.api_key}@{team}"})
        assert reply.status_code == status


async def test_asgi_client_gets_connection_reset(control: httpx.Client, emulator: Emulator) -> None:
    """Without a socket there is nothing to reset: the transport raises what a reset socket would."""
    transport = httpx.ASGITransport(emulator.app)
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    async with httpx.AsyncClient(transport=transport, base_url=emulator.base_url, headers=headers) as client:
        id = (await client.post("/files", files={"file": ("a.txt", b"x" * 100)})).json()["id"]
        rule(control, operation="files.list", drop="before")
        rule(control, operation="files.content", cut_download_after_bytes=10)
        for path in ("/files", f"/files/{id}/content"):
            with pytest.raises(ConnectionResetError):
                await client.get(path)
            assert (await client.get(path)).status_code == 200
