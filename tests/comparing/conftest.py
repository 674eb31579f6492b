"""A recording of one emulator, to be compared with another."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.comparing.run import Comparison, compare
from emulator.comparing.send import Target
from emulator.domain.keys import Plane
from emulator.recorder.server import RecorderOptions, RecorderThread
from emulator.recordings.har import Recording
from emulator.recordings.reading import read
from emulator.rpc.messages import load
from tests.recorder.conftest import REAL_KEYS
from tests.serving import PATIENCE_SECONDS, until


def flow(url: str, api_key: str, management_key: str) -> None:
    """Use every family of operations, over REST and gRPC, with refusals."""
    api, management = {"authorization": f"Bearer {api_key}"}, {"authorization": f"Bearer {management_key}"}
    with httpx.Client(base_url=url, timeout=PATIENCE_SECONDS, trust_env=False) as http:
        ids = []
        for number in range(3):
            upload = {"file": (f"notes-{number}.txt", f"The notes of day {number}.\n".encode() * 20)}
            ids.append(http.post("/v1/files", headers=api, files=upload).json()["id"])
        page = http.get("/v1/files", headers=api, params={"limit": 2, "order": "asc"}).json()
        http.get(
            "/v1/files", headers=api, params={"limit": 2, "order": "asc", "pagination_token": page["pagination_token"]}
        )
        http.get(f"/v1/files/{ids[0]}", headers=api)
        http.get(f"/v1/files/{ids[0]}/content", headers=api)
        http.get("/v1/files/file_00000000-0000-4000-8000-000000000000", headers=api)
        http.get("/v1/files", headers=api, params={"filter": f'id = "{ids[1]}"'})
        http.get("/v1/files", headers={"authorization": "Bearer xai-token-of-the-other-plane"})
        http.get("/v1/files")
        http.get("/v1/me", headers=api)
        body = {"collection_name": "notes", "field_definitions": [{"key": "author", "required": False}]}
        collection = http.post("/v1/collections", headers=management, json=body).json()["collection_id"]
        documents = f"/v1/collections/{collection}/documents"
        http.post(f"{documents}/{ids[0]}", headers=management, json={"fields": {"author": "Ada"}})
        http.get(documents, headers=management)
        http.get(f"{documents}/{ids[0]}", headers=management)
        search = {"query": "what happened on day 2?", "source": {"collection_ids": [collection]}}
        http.post("/v1/documents/search", headers=api, json=search)
        http.post("/v1/documents/search", headers=api, json={"query": 5})
        batch = http.post("/v1/batches", headers=api, json={"name": "evals"}).json()["batch_id"]
        chat = {"model": "grok-4.3", "messages": [{"role": "user", "content": "Say something."}]}
        wanted = {"batch_requests": [{"batch_request_id": "one", "batch_request": {"chat_get_completion": chat}}]}
        http.post(f"/v1/batches/{batch}/requests", headers=api, json=wanted)
        until(lambda: http.get(f"/v1/batches/{batch}", headers=api).json()["state"]["num_pending"] == 0)
        http.get(f"/v1/batches/{batch}/results", headers=api)
        http.post(f"/v1/batches/{batch}:cancel", headers=api, json={})
        http.delete(f"/v1/files/{ids[2]}", headers=api)
        http.delete(f"/v1/files/{ids[2]}", headers=api)
    with grpc.insecure_channel(url.partition("://")[2]) as channel:
        key = (("authorization", f"Bearer {api_key}"),)
        chunk = load().message("xai_api.UploadFileChunk")
        parts = [chunk(init={"name": "grpc.txt"}), chunk(data=b"some content")]
        upload_call = channel.stream_unary("/xai_api.Files/UploadFile")
        upload_call(iter(part.SerializeToString() for part in parts), metadata=key, timeout=PATIENCE_SECONDS)
        for name in (ids[0], "file_nope"):
            message = load().message("xai_api.RetrieveFileRequest")(file_id=name).SerializeToString()
            call = channel.unary_unary("/xai_api.Files/RetrieveFile")
            call.future(message, metadata=key, timeout=PATIENCE_SECONDS).exception()


def record_flow(service: Emulator, out: Path, **options: Any) -> Recording:
    """The recording of the flow."""
    chosen = RecorderOptions(out, REAL_KEYS, service.url, port=0, **options)
    with RecorderThread(chosen, log=lambda line: None) as recorder:
        flow(recorder.url, recorder.keys.of_run[Plane.INFERENCE], recorder.keys.of_run[Plane.MANAGEMENT])
    assert recorder.journal.lost == 0
    return read(out)


@pytest.fixture(scope="package")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    with Emulator() as service:
        return record_flow(service, tmp_path_factory.mktemp("recorded") / "live.har")


@pytest.fixture
def recording(recorded: Recording) -> Recording:
    """A copy, which a test may change."""
    return copy.deepcopy(recorded)


@pytest.fixture
def compared() -> Callable[..., Comparison]:
    """Compare a recording with an emulator of its own."""

    def run(recording: Recording, only: str = "*", **settings: object) -> Comparison:
        with Emulator(**settings) as emulator:
            keys = {Plane.INFERENCE: emulator.api_key, Plane.MANAGEMENT: emulator.management_key}
            return compare(recording, Target(emulator.url, emulator.grpc_target, keys, "default"), only)

    return run
