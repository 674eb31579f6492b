"""The recorder before a service that speaks TLS, as the real one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import grpc
import httpx
import pytest

from emulator import Emulator
from emulator.domain.keys import Plane
from emulator.recorder.server import Recorder
from emulator.rpc.messages import load
from tests.recorder.test_grpc import grpc_of, key
from tests.recorder.test_rest import client, entries
from tests.recorder.tls import AUTHORITY, TlsTerminator
from tests.serving import PATIENCE_SECONDS

LIST_FILES = "/xai_api.Files/ListFiles"


@pytest.fixture
def secure(service: Emulator) -> Iterator[TlsTerminator]:
    service.reset()
    with TlsTerminator(service.port) as terminator:
        yield terminator


def list_files(recorder: Recorder) -> bytes:
    request = load().message("xai_api.ListFilesRequest")().SerializeToString()
    with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel:
        call = channel.unary_unary(LIST_FILES)
        answer: bytes = call(request, metadata=key(recorder), timeout=PATIENCE_SECONDS)
    return answer


def test_rest_and_grpc_pass_over_tls_and_are_recorded(secure: TlsTerminator, record: Callable[..., Recorder]) -> None:
    recorder = record(f"https://localhost:{secure.port}", ca=AUTHORITY)
    with client(recorder) as http:
        content = b"x" * 3_000_000
        file = http.post("/v1/files", files={"file": ("a.bin", content)}).json()
        assert http.get(f"/v1/files/{file['id']}/content").content == content
    found = load().message("xai_api.ListFilesResponse").FromString(list_files(recorder))
    assert [each.id for each in found.data] == [file["id"]]
    upload, download, listed = entries(recorder, 3)
    assert (upload.response.status, download.response.body.size) == (200, 3_000_000)
    assert (grpc_of(listed).status, upload.request.url.split("/")[0]) == ("OK", "https:")
    assert secure.protocols[-1] == "h2"
    assert not any(isinstance(each.error, str) or each.by == "recorder" for each in (upload, download, listed))


def test_sdk_over_grpc_passes_over_tls(secure: TlsTerminator, record: Callable[..., Recorder]) -> None:
    from xai_sdk import Client

    recorder = record(f"https://localhost:{secure.port}", ca=AUTHORITY)
    target, keys = f"localhost:{recorder.port.number}", recorder.keys.of_run
    names = {"api_host": target, "management_api_host": target}
    with closing(Client(**names, api_key=keys[Plane.INFERENCE], management_api_key=keys[Plane.MANAGEMENT])) as sdk:
        created = sdk.collections.create("notes")
        uploaded = sdk.collections.upload_document(created.collection_id, "a.txt", b"the content")
        assert uploaded.file_metadata.name == "a.txt"
    assert {grpc_of(entry).status for entry in entries(recorder, 3)} == {"OK"}


def test_authority_that_is_not_trusted_is_named_with_the_flag(
    secure: TlsTerminator, record: Callable[..., Recorder]
) -> None:
    recorder = record(f"https://localhost:{secure.port}")
    with client(recorder) as http:
        reply = http.get("/v1/files")
    assert (reply.status_code, "not trusted" in reply.text, "--ca" in reply.text) == (502, True, True)
    with pytest.raises(grpc.RpcError) as caught:
        list_files(recorder)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    rest, rpc = entries(recorder, 2)
    assert (rest.by, rpc.by) == ("recorder", "recorder")


def test_certificate_of_another_name_is_not_trusted(secure: TlsTerminator, record: Callable[..., Recorder]) -> None:
    """127.0.0.1 and localhost are in the certificate, 127.0.0.2 is not."""
    recorder = record(f"https://127.0.0.2:{secure.port}", ca=AUTHORITY)
    with client(recorder) as http:
        assert http.get("/v1/files").status_code == 502


def test_service_without_tls_is_unreachable_over_tls(service: Emulator, record: Callable[..., Recorder]) -> None:
    recorder = record(f"https://localhost:{service.port}", ca=AUTHORITY)
    with client(recorder) as http:
        assert http.get("/v1/files").status_code == 502
    with pytest.raises(grpc.RpcError) as caught:
        list_files(recorder)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [entry.by for entry in entries(recorder, 2)] == ["recorder", "recorder"]


def test_service_with_tls_is_not_asked_without(secure: TlsTerminator, record: Callable[..., Recorder]) -> None:
    recorder = record(f"http://localhost:{secure.port}")
    with client(recorder) as http, pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        http.get("/v1/files")
    assert "closed the connection" in str(entries(recorder, 1)[0].error)


def test_missing_authority_is_refused_at_the_start(record: Callable[..., Recorder], tmp_path: object) -> None:
    with pytest.raises(OSError, match="No such file"):
        record("https://localhost:1", ca="/nowhere/authority.pem")
