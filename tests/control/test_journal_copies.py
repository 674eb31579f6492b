"""Calls of the journal as a HAR file, as command lines and as tests, each of which does what the call did."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
import xai_sdk

from emulator import Emulator
from emulator.comparing.run import ALIKE, IN_PROGRESS, compare
from emulator.comparing.send import Target
from emulator.domain.keys import Plane
from emulator.recordings.entries import Grpc
from emulator.recordings.har import Recording, parse
from tests.fixtures.inner_run import load_plugins_of_options_only, run
from tests.serving import PATIENCE_SECONDS, until

pytest_plugins = ["pytester"]


@pytest.fixture
def service() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def http(service: Emulator) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=PATIENCE_SECONDS, trust_env=False) as client:
        yield client


def flow(service: Emulator, http: httpx.Client) -> dict[str, str]:
    """Files, a collection, a batch and refusals, over REST and with xai-sdk over gRPC; ids by what they are of."""
    api, management = (
        {"authorization": f"Bearer {service.api_key}"},
        {"authorization": f"Bearer {service.management_key}"},
    )
    form = {"file": ("my notes.txt", b"The notes of one day. " * 9)}
    file = http.post("/v1/files", headers=api, data={"expires_after": "3600"}, files=form).json()["id"]
    http.get(f"/v1/files/{file}?x=a%20b&y={{z}}", headers={**api, "range": "bytes=0-9"})
    http.get(f"/v1/files/{file}/content", headers=api)
    http.head(f"/v1/files/{file}", headers=api)
    http.get("/v1/files/file_none", headers=api)
    http.get("/v1/files")
    body = {"collection_name": "it's {notes}", "field_definitions": [{"key": "author", "required": False}]}
    collection = http.post("/v1/collections", headers=management, json=body).json()["collection_id"]
    documents = f"/v1/collections/{collection}/documents"
    http.post(f"{documents}/{file}", headers=management, json={"fields": {"author": 'Ada {x} \n "ö"'}})
    until(lambda: "PROCESSED" in http.get(f"{documents}/{file}", headers=management).text)
    http.post("/v1/documents/search", headers=api, json={"query": "day", "source": {"collection_ids": [collection]}})
    http.post("/v1/documents/search", headers=api, content=b'{"query": 5, }', extensions={})
    batch = http.post("/v1/batches", headers=api, json={"name": "evals"}).json()["batch_id"]
    http.post(f"/v1/batches/{batch}:cancel", headers=api, json={})
    http.delete(f"/v1/files/{file}", headers=api)
    http.get("/v1/nothing", headers=api)
    client = xai_sdk.Client(
        api_key=service.api_key,
        api_host=service.grpc_target,
        management_api_key=service.management_key,
        management_api_host=service.grpc_target,
    )
    sent = client.files.upload(b"some words", filename="grpc.txt").id
    client.files.get(sent)
    client.collections.get(collection)
    with pytest.raises(grpc.RpcError):
        client.files.get("file_none")
    client.close()
    return {"file": file, "collection": collection, "batch": batch}


def journal(http: httpx.Client, **query: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = http.get("/_emulator/requests", params=query).json()["requests"]
    return found


def code(http: httpx.Client, number: int) -> dict[str, Any]:
    reply = http.get(f"/_emulator/requests/{number}/code")
    assert reply.status_code == 200, reply.text
    found: dict[str, Any] = reply.json()
    return found


def exported(http: httpx.Client, **query: Any) -> Recording:
    reply = http.get("/_emulator/requests/har", params=query)
    assert reply.headers["content-disposition"] == 'attachment; filename="default.har"'
    return parse(reply.content, Path("default.har"))


# --- HAR


def test_export_has_every_call_in_order(service: Emulator, http: httpx.Client) -> None:
    flow(service, http)
    recording = exported(http)
    assert recording.unreadable == 0
    calls = journal(http)
    assert [(entry.number, entry.operation) for entry in recording.entries] == [
        (call["number"], call["operation"]) for call in calls
    ]
    upload = recording.entries[0]
    assert upload.response.status == 200
    assert json.loads(str(upload.response.body.text))["filename"] == "my notes.txt"
    refused = next(entry for entry in recording.entries if isinstance(entry.grpc, Grpc) and entry.grpc.status != "OK")
    assert (refused.operation, refused.grpc.status, refused.grpc.message) == (  # type: ignore[union-attr]
        "files.get",
        "NOT_FOUND",
        "File not found",
    )


def test_export_is_filtered_as_the_journal_is(service: Emulator, http: httpx.Client) -> None:
    flow(service, http)
    assert {entry.operation for entry in exported(http, operation="files.get").entries} == {"files.get"}
    assert [entry.number for entry in exported(http, limit=1).entries] == [journal(http)[-1]["number"]]
    assert http.get("/_emulator/requests/har?nonsense=1").status_code == 400


def test_export_has_no_key_and_no_content(service: Emulator, http: httpx.Client) -> None:
    secret = "xai-" + "Real0Inference1Key2" * 4
    headers = {"authorization": f"Bearer {secret}"}
    http.post("/v1/files", headers=headers, files={"file": ("a.txt", b"canary in a file")})
    http.post("/v1/batches", headers=headers, json={"name": secret})
    content = http.get("/_emulator/requests/har").text
    assert secret not in content
    assert "canary" not in content


def test_export_is_alike_on_another_emulator(service: Emulator, http: httpx.Client) -> None:
    """So a bug report can carry what an application asked, and what it was answered."""
    flow(service, http)
    recording = exported(http)
    with Emulator() as other:
        keys = {Plane.INFERENCE: other.api_key, Plane.MANAGEMENT: other.management_key}
        outcomes = compare(recording, Target(other.url, other.grpc_target, keys, "default")).outcomes
    assert [(each.title, each.differences) for each in outcomes if each.differences] == []
    judged = {each.operation for each in outcomes if each.outcome in (ALIKE, IN_PROGRESS)}
    assert judged >= {"files.upload", "files.get", "collections.create", "documents.search", "batches.cancel"}


# --- command lines


def test_curl_does_what_the_call_did(service: Emulator, http: httpx.Client) -> None:
    """Each command as it is printed, in the order of the calls, on a team that had none of them."""
    flow(service, http)
    calls = [call for call in journal(http) if call["transport"] == "rest"]
    printed = [code(http, call["number"])["curl"] for call in calls]
    with Emulator(port=0) as other:
        ids = {}
        for call, command in zip(calls, printed, strict=True):
            text = command.replace(service.url, other.url)
            for there, here in ids.items():
                text = text.replace(there, here)
            ran = subprocess.run(["bash", "-c", f"{text} -s -w '\\n%{{http_code}}'"], capture_output=True, text=True)
            answer, _, status = ran.stdout.rpartition("\n")
            assert (int(status), ran.returncode) == (call["status"], 0), command
            made = call["response"] and call["response"].get("json")
            if isinstance(made, dict) and call["status"] == 200 and call["method"] == "POST":
                here = json.loads(answer)
                ids |= {made[name]: here[name] for name in ("id", "collection_id", "batch_id") if name in made}


def test_grpcurl_has_the_messages_as_json(service: Emulator, http: httpx.Client) -> None:
    ids = flow(service, http)
    number = journal(http, operation="collections.get", transport="grpc")[0]["number"]
    command = code(http, number)["curl"]
    assert command.startswith("grpcurl -plaintext \\\n  -H 'authorization: Bearer xai-token-emulator'")
    assert f'"collection_id": "{ids["collection"]}"' in command
    assert command.endswith(f"{service.grpc_target} collections.Collections/GetCollectionMetadata")


@pytest.mark.skipif(shutil.which("grpcurl") is None, reason="there is no grpcurl")
def test_grpcurl_does_what_the_call_did(service: Emulator, http: httpx.Client) -> None:
    """Unary calls, an upload in several messages, and a refusal, whose status is grpcurl's exit code less 64."""
    flow(service, http)
    calls = journal(http, transport="grpc")
    assert {call["operation"] for call in calls} == {"files.upload", "files.get", "collections.get"}
    for call in calls:
        ran = subprocess.run(["bash", "-c", code(http, call["number"])["curl"]], capture_output=True, text=True)
        expected = 0 if call["status"] == "OK" else 64 + grpc.StatusCode[call["status"]].value[0]
        assert ran.returncode == expected, ran.stderr


# --- tests


def test_pytest_text_passes_as_printed(
    service: Emulator, http: httpx.Client, pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each test in a file of its own, in a project that has nothing but the plugin."""
    flow(service, http)
    load_plugins_of_options_only(monkeypatch)
    calls = [call for call in journal(http) if call["operation"] is not None]
    for call in calls:
        (pytester.path / f"test_call_{call['number']}.py").write_text(code(http, call["number"])["pytest"])
    run(pytester, "-p", "no:cacheprovider").assert_outcomes(passed=len(calls))


def test_pytest_text_fails_where_the_answer_changes(service: Emulator, http: httpx.Client) -> None:
    flow(service, http)
    number = journal(http, operation="files.get", outcome="NOT_FOUND", transport="rest")[0]["number"]
    text = code(http, number)["pytest"]
    assert "assert response.status_code == 404" in text
    assert "assert response.json() == {'code': " in text


# --- what cannot be copied


def test_body_that_is_not_kept_whole_cannot_be_copied(service: Emulator, http: httpx.Client) -> None:
    http.post("/v1/batches", headers={"authorization": f"Bearer {service.api_key}"}, json={"name": "x" * 20_000})
    found = code(http, 1)
    assert (found["curl"], found["pytest"]) == (None, None)
    assert found["reason"] == "the journal does not keep the 20011 bytes of its body"


@pytest.mark.parametrize("number", ["1", "0", "-1", "x", "1e3"])
def test_call_that_the_journal_does_not_hold_is_not_found(http: httpx.Client, number: str) -> None:
    reply = http.get(f"/_emulator/requests/{number}/code")
    assert (reply.status_code, "no call" in reply.json()["error"]) == (404, True)
