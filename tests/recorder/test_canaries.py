"""Secrets in every place that a byte can pass, over REST and gRPC: the file and its folder have none of them."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import grpc
import pytest

from emulator.domain.keys import Plane
from emulator.recorder.server import Recorder
from emulator.recordings.reading import read
from emulator.recordings.spellings import spellings
from emulator.rpc.messages import load
from tests.recorder.conftest import REAL_KEYS
from tests.recorder.raw import RawConnection, RawServer, connect
from tests.serving import PATIENCE_SECONDS, until

STRIKE = "Canary & Söhne GmbH"
SECRETS = {
    "key": REAL_KEYS[Plane.INFERENCE],
    "management key": REAL_KEYS[Plane.MANAGEMENT],
    "key of a client": "xai-" + "F0reignCanaryKey" * 5,
    "struck text": STRIKE,
    "email": "canary.person@canary-company.example.org",
    "address": "203.0.113.77",
    "id": "ca4a41e5-1111-4222-8333-c0ffee15bad0",
}
CONTENT = "What only the canary's file says."  # of files, and what is asked and answered


@pytest.fixture(params=list(SECRETS))
def secret(request: pytest.FixtureRequest) -> str:
    return SECRETS[request.param]


def assert_absent(recorder: Recorder, count: int, *texts: str) -> None:
    """Fail where the file, or one beside it, has a text in any spelling."""
    until(lambda: recorder.journal.counts["exchanges"] >= count)
    out: Path = recorder._options.out
    assert recorder.journal.lost == 0
    assert len(read(out).entries) == count
    for file in (path for path in out.parent.rglob("*") if path.is_file()):
        data = file.read_bytes()
        for text in texts:
            for spelling in [*spellings(text), text.encode().decode("latin-1")]:
                assert spelling.encode() not in data, f"{file.name} has {spelling!r}"


# --- REST


def request_with(method: str, path: str, secret: str, body: bytes, content_type: str, *more: str) -> bytes:
    """A request with a secret in its target and in headers."""
    latin = secret.encode().decode("latin-1")
    lines = [
        f"{method} {path}?q={quote_plus(secret)}&{quote(secret, safe='')}=1&filter={quote(secret, safe='')} HTTP/1.1",
        "host: localhost",
        f"x-secret: {latin}",
        f"x-encoded: {base64.b64encode(secret.encode()).decode()}",
        f"cookie: session={latin}; other={quote(secret)}",
        f"user-agent: canary/1.0 ({latin})",
        f"content-type: {content_type}",
        f"content-length: {len(body)}",
        *more,
    ]
    return "\r\n".join([*lines, "", ""]).encode("latin-1") + body


def answer_with(secret: str, body: bytes, content_type: str, status: str, *more: str) -> list[bytes]:
    """An answer with a secret in its headers, whose body comes in pieces of seven bytes."""
    latin = secret.encode().decode("latin-1")
    lines = [
        f"HTTP/1.1 {status} {latin}",
        f"content-type: {content_type}",
        f"set-cookie: id={latin}",
        f"location: https://example.org/{quote(secret)}?token={quote_plus(secret)}",
        f"x-echo: {latin}",
        "transfer-encoding: chunked",
        *more,
    ]
    pieces = [body[start : start + 7] for start in range(0, len(body), 7)]
    chunks = [b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces]
    return ["\r\n".join([*lines, "", ""]).encode("latin-1"), *chunks, b"0\r\nx-trailer: %b\r\n\r\n" % secret.encode()]


def json_with(secret: str) -> bytes:
    inner = json.dumps({"deep": [secret]})
    return json.dumps({"a": secret, secret: 1, "b": [{"error": f"no {secret}, {quote(secret)}"}], "c": inner}).encode()


def search_with(secret: str) -> bytes:
    return json.dumps({"query": CONTENT, "filter": secret, "instructions": f"{CONTENT} {secret}"}).encode()


def form_with(secret: str) -> bytes:
    parts = [
        f'name="purpose"\r\n\r\n{secret}',
        f'name="{quote(secret)}"\r\n\r\n{json.dumps({"a": secret})}',
        f'name="file"; filename="{quote(secret)}.txt"\r\nContent-Type: text/plain\r\nX-Part: {secret}\r\n\r\n'
        f"{CONTENT} {secret}",
    ]
    return "".join(f"--b\r\nContent-Disposition: form-data; {part}\r\n" for part in [*parts]).encode() + b"--b--\r\n"


# The method, the path, the body and its type; the status, and the body and the type of the answer.
REST: dict[str, tuple[str, str, Callable[[str], bytes], str, str, Callable[[str], bytes], str]] = {
    "upload": (
        *("POST", "/v1/files", form_with, "multipart/form-data; boundary=b"),
        *("200", json_with, "application/json"),
    ),
    "download": (
        *("GET", "/v1/files/file_1/content", lambda secret: b"", "text/plain"),
        *("200", lambda secret: f"{CONTENT} {secret}".encode(), "text/plain"),
    ),
    "search": (
        *("POST", "/v1/documents/search", search_with, "application/json"),
        *("200", lambda secret: json.dumps({"matches": [{"chunk_content": f"{CONTENT} {secret}"}]}).encode()),
        "application/json",
    ),
    "refusal": (
        *("POST", "/v1/collections", json_with, "application/json"),
        *("422", lambda secret: f"Failed to deserialize: `{secret}` at line 1".encode(), "text/plain"),
    ),
    "malformed": (
        *("POST", "/v1/batches", lambda secret: json_with(secret)[:-4], "application/json"),
        *("400", lambda secret: json_with(secret)[1:], "application/json"),
    ),
    "form of a page": (
        *("POST", "/v1/batches", lambda secret: f"a={quote_plus(secret)}".encode()),
        *("application/x-www-form-urlencoded", "400", json_with, "application/json"),
    ),
    "chat": (
        *("POST", "/v1/chat/completions", search_with, "application/json"),
        *("200", lambda secret: f"data: {CONTENT} {secret}\n\n".encode(), "text/event-stream"),
    ),
    "unknown path": ("PATCH", "/v1/{secret}/x", json_with, "application/json", "404", json_with, "application/json"),
}


def test_secret_in_any_place_of_rest_is_not_recorded(record: Callable[..., Recorder], secret: str) -> None:
    def script(connection: RawConnection) -> None:
        for _, _, _, _, status, answer, answer_type in REST.values():
            for body, more in ((answer(secret), ()), (gzip.compress(answer(secret)), ("content-encoding: gzip",))):
                head = connection.until(b"\r\n\r\n").lower()
                connection.exactly(int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
                for piece in answer_with(secret, body, answer_type, status, *more):
                    connection.send(piece)

    with RawServer(script) as server:
        recorder = record(server.url, strike=(STRIKE,))
        keys = recorder.keys.of_run[Plane.INFERENCE], SECRETS["key of a client"]
        with closing(connect(recorder.port.number)) as raw:
            for method, path, body, content_type, *_ in REST.values():
                target = path.replace("{secret}", quote(secret, safe=""))
                for verb, content, key in zip((method, "GET"), (body(secret), b""), keys, strict=True):
                    raw.send(request_with(verb, target, secret, content, content_type, f"authorization: Bearer {key}"))
                    raw.until(b"0\r\n\r\n")
        assert_absent(recorder, 2 * len(REST), secret, CONTENT)


# --- gRPC


class Echo(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Answers with messages, metadata and a refusal that have a secret in them."""

    def __init__(self, secret: str, answers: dict[str, list[bytes]]) -> None:
        self._secret, self._answers = secret, answers

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            list(requests)
            raw = b"\x08\x03\x12" + bytes([len(self._secret.encode())]) + self._secret.encode() + b"\xff"
            context.send_initial_metadata((("x-early", quote(self._secret)), ("x-early-bin", raw)))
            context.set_trailing_metadata((("x-late", quote(self._secret)), ("grpc-status-details-bin", raw)))
            yield from self._answers.get(details.method, [raw])
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"no {self._secret} here")

        return grpc.stream_stream_rpc_method_handler(handle)


def test_secret_in_any_place_of_grpc_is_not_recorded(record: Callable[..., Recorder], secret: str) -> None:
    chunk, file = load().message("xai_api.UploadFileChunk"), load().message("xai_api.File")
    content = f"{CONTENT} {secret}".encode()
    unknown = b"\xfa\x3e" + bytes([len(content)]) + content  # field 1007, which no message declares
    part = load().message("xai_api.FileContentChunk")
    searched = load().message("xai_api.SearchRequest")(query=f"{CONTENT} {secret}")
    upload = [chunk(init={"name": secret}).SerializeToString() + unknown, chunk(data=content).SerializeToString()]
    calls = {
        "/xai_api.Files/UploadFile": upload,
        "/xai_api.Files/RetrieveFileContent": [b"\x0a" + bytes([len(secret.encode())]) + secret.encode()],
        "/xai_api.Documents/Search": [searched.SerializeToString()],
        "/xai_api.Chat/GetCompletion": [content],
        f"/a.B/{quote(secret, safe='')}": [content],
    }
    answers = {
        "/xai_api.Files/UploadFile": [file(id=f"file_{secret}", filename=secret).SerializeToString() + unknown],
        "/xai_api.Files/RetrieveFileContent": [part(data=content).SerializeToString()],
    }
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers((Echo(secret, answers),))
    url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        recorder = record(url, strike=(STRIKE,))
        with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel:
            for method, messages in calls.items():
                metadata = (
                    ("authorization", f"Bearer {recorder.keys.of_run[Plane.INFERENCE]}"),
                    ("x-secret", quote(secret)),
                    ("x-secret-bin", b"\xff" + secret.encode()),
                )
                call = channel.stream_stream(method)(iter(messages), metadata=metadata, timeout=PATIENCE_SECONDS)
                with suppress(grpc.RpcError):
                    list(call)
                assert secret in (call.details() or "")
        assert_absent(recorder, len(calls), secret, CONTENT)
    finally:
        server.stop(0).wait()
