"""REST and gRPC: small requests, uploads, downloads, and small requests beside uploads."""

from __future__ import annotations

import http.client
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from benchmarks.servers import AUTH, KEY, MOTO, Process, running, upload, use_load_cpu
from benchmarks.table import Figure, percentile, ratio

MIB = 1 << 20
LARGE = 48 * MIB
WRK = shutil.which("wrk")
SIGNED = {"Authorization": "AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/s3/aws4_request"}  # enough for moto


def requests_per_second(url: str, *headers: str) -> float:
    """What wrk gets out of 32 connections in a second."""
    command = [str(WRK), "-c32", "-t1", "-d1s", *(part for header in headers for part in ("-H", header)), url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in text:
        raise RuntimeError(f"{url} answered with an error under load")
    return float(text.split("Requests/sec:")[1].split()[0])


def small_get() -> list[Figure]:
    """GET /v1/files/{id} through the whole pipeline, beside a bare application that says hello, and moto."""
    if WRK is None:
        print("wrk is not installed, so small requests are not measured", file=sys.stderr)
        return []
    use_load_cpu()
    with ExitStack() as stack:
        emulator, hello = (stack.enter_context(running(name)) for name in ("emulator", "hello"))
        url = f"{emulator.url}/v1/files/{upload(emulator.url, 'a.txt', b'hello')}"
        figures = []
        value, ours, theirs = ratio(
            lambda: requests_per_second(url, f"Authorization: Bearer {KEY}"),
            lambda: requests_per_second(f"{hello.url}/hello"),
        )
        note = f"{ours:,.0f} against {theirs:,.0f} requests per second"
        figures.append(
            Figure("GET /v1/files/{id}, 32 connections, to bare Starlette", value, "x", 0.75, "higher", note)
        )
        moto = moto_object(stack)
        if moto is not None:
            value, ours, theirs = ratio(
                lambda: requests_per_second(url, f"Authorization: Bearer {KEY}"),
                lambda: requests_per_second(moto, f"Authorization: {SIGNED['Authorization']}"),
            )
            figures.append(Figure("GET /v1/files/{id}, to moto's GET object", value, "x", 20, "higher"))
        return figures


def moto_object(stack: ExitStack, content: bytes = b"hello") -> str | None:
    """The URL of an object in a running moto, where moto is installed."""
    if not MOTO.exists():
        return None
    moto = stack.enter_context(running("moto"))
    connection = http.client.HTTPConnection("127.0.0.1", moto.port)
    for path, body in (("/bucket", b""), ("/bucket/key", content)):
        connection.request("PUT", path, body, SIGNED)
        connection.getresponse().read()
    connection.close()
    return f"{moto.url}/bucket/key"


def form(content: bytes) -> tuple[bytes, dict[str, str]]:
    """A form with one file, and a boundary as clients make them: the shorter it is, the slower it is to look for."""
    boundary = os.urandom(16).hex()
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n\r\n'.encode()
    end = f"\r\n--{boundary}--\r\n".encode()
    return head + content + end, {**AUTH, "Content-Type": f"multipart/form-data; boundary={boundary}"}


def seconds_to_send(port: int, method: str, path: str, body: bytes, headers: dict[str, str]) -> float:
    """The time from the first byte out to the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, blocksize=MIB)
    started = time.perf_counter()
    connection.request(method, path, body, headers)
    reply = connection.getresponse()
    text = reply.read()
    took = time.perf_counter() - started
    connection.close()
    if reply.status != 200:
        raise RuntimeError(f"{path} answered {reply.status}")
    if path == "/v1/files":
        delete(port, json.loads(text)["id"])
    return took


def delete(port: int, id: str) -> None:
    """Delete an uploaded file: the references keep none, and a reused page of memory costs half of a new one."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    connection.request("DELETE", f"/v1/files/{id}", headers=AUTH)
    connection.getresponse().read()
    connection.close()


def large_upload() -> list[Figure]:
    """48 MiB in a form, hashed and on disk, beside a raw socket that hashes and writes, and moto's PUT."""
    use_load_cpu()
    body, headers = form(os.urandom(LARGE))
    with ExitStack() as stack:
        emulator, sink = (stack.enter_context(running(name)) for name in ("emulator", "sink"))
        seconds_to_send(emulator.port, "POST", "/v1/files", body, headers)
        before = emulator.resident_bytes()
        value, ours, theirs = ratio(
            lambda: seconds_to_send(sink.port, "POST", "/", body, {}),
            lambda: seconds_to_send(emulator.port, "POST", "/v1/files", body, headers),
        )
        grown = (emulator.peak_bytes() - before) / MIB
        note = f"{LARGE / theirs / MIB:,.0f} against {LARGE / ours / MIB:,.0f} MiB/s"
        figures = [
            Figure("48 MiB upload, to a raw socket that hashes and writes", value, "x", 0.75, "higher", note),
            Figure("48 MiB upload, growth of the process", grown, "MiB", 8),
        ]
        url = moto_object(stack)
        if url is not None:
            port = int(url.split(":")[2].split("/")[0])
            value, _, _ = ratio(
                lambda: seconds_to_send(port, "PUT", "/bucket/large", body, SIGNED),
                lambda: seconds_to_send(emulator.port, "POST", "/v1/files", body, headers),
            )
            figures.append(Figure("48 MiB upload, to moto's PUT", value, "x", 3, "higher"))
        return figures


def seconds_to_read(port: int, path: str) -> float:
    """The time to receive a whole body into one buffer."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    buffer = memoryview(bytearray(MIB))
    started = time.perf_counter()
    connection.request("GET", path, headers=AUTH)
    reply = connection.getresponse()
    total = 0
    while count := reply.readinto(buffer):
        total += count
    took = time.perf_counter() - started
    connection.close()
    if total != LARGE:
        raise RuntimeError(f"{path} sent {total} bytes")
    return took


def large_download() -> list[Figure]:
    """48 MiB of content, beside one raw sendall."""
    use_load_cpu()
    with running("emulator") as emulator, running("source") as source:
        id = upload(emulator.url, "a.bin", b"x" * LARGE)
        value, theirs, ours = ratio(
            lambda: seconds_to_read(source.port, "/"),
            lambda: seconds_to_read(emulator.port, f"/v1/files/{id}/content"),
        )
        note = f"{LARGE / ours / MIB:,.0f} against {LARGE / theirs / MIB:,.0f} MiB/s"
        return [Figure("48 MiB download, to a raw sendall", value, "x", 0.40, "higher", note)]


def beside_uploads() -> list[Figure]:
    """Small requests while three clients, in another process, upload 48 MiB over and over."""
    use_load_cpu()
    with running("emulator") as emulator:
        path = f"/v1/files/{upload(emulator.url, 'a.txt', b'hello')}"
        load = multiprocessing.get_context("spawn").Process(target=_three_uploads, args=(emulator.port,), daemon=True)
        load.start()
        while emulator.busy_seconds() < 2:  # until they are at it
            time.sleep(0.1)
        connection = http.client.HTTPConnection("127.0.0.1", emulator.port)
        times = []
        for _ in range(600):
            started = time.perf_counter()
            connection.request("GET", path, headers=AUTH)
            connection.getresponse().read()
            times.append((time.perf_counter() - started) * 1000)
            time.sleep(0.002)
        load.kill()
        load.join()
        connection.close()
        note = f"p50 {statistics.median(times):.2f} ms"
        return [Figure("small GET while three uploads run, p99", percentile(times, 0.99), "ms", 15, note=note)]


def _three_uploads(port: int) -> None:
    os.nice(19)  # so that the server is waited for, and not the processor that the load is on
    body, headers = form(os.urandom(LARGE))

    def load() -> None:
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", port, blocksize=MIB)
            connection.request("POST", "/v1/files", body, headers)
            id = json.load(connection.getresponse())["id"]
            connection.request("DELETE", f"/v1/files/{id}", headers=AUTH)  # or the disk is waited for, sooner or later
            connection.getresponse().read()
            connection.close()

    for _ in range(3):
        threading.Thread(target=load).start()


def grpc_calls() -> list[Figure]:
    """A unary call and a 48 MiB UploadFile through the shared port, beside a bare grpcio server on its own port."""
    use_load_cpu()
    with running("emulator") as emulator, running("rpc") as peer:
        id = upload(emulator.url, "a.txt", b"hello")
        ours, theirs = Stub(emulator, id), Stub(peer, id)
        unary, fast, slow = ratio(ours.calls_per_second, theirs.calls_per_second)
        large, theirs_s, ours_s = ratio(theirs.upload_seconds, ours.upload_seconds)
        notes = (
            f"{fast:,.0f} against {slow:,.0f} calls per second",
            f"{LARGE / ours_s / MIB:,.0f} against {LARGE / theirs_s / MIB:,.0f} MiB/s",
        )
        ours.close()
        theirs.close()
        return [
            Figure("gRPC unary call, to a bare grpcio server", unary, "x", 0.70, "higher", notes[0]),
            Figure("48 MiB UploadFile, to a bare grpcio server", large, "x", 0.85, "higher", notes[1]),
        ]


class Stub:
    """The two calls that are measured, on one channel."""

    def __init__(self, process: Process, file_id: str) -> None:
        import grpc

        from emulator.rpc.messages import load

        message = load().message
        self._chunk: Any = message("xai_api.UploadFileChunk")
        self._request: Any = message("xai_api.RetrieveFileRequest")(file_id=file_id)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{process.port}")
        self._metadata = (("authorization", f"Bearer {KEY}"),)
        self._port = process.port
        reply = message("xai_api.File").FromString
        serialize = lambda request: request.SerializeToString()  # noqa: E731
        self._get = self._channel.unary_unary("/xai_api.Files/RetrieveFile", serialize, reply)
        self._upload = self._channel.stream_unary("/xai_api.Files/UploadFile", serialize, reply)

    def calls_per_second(self) -> float:
        count, started = 1500, time.perf_counter()
        for _ in range(count):
            self._get(self._request, metadata=self._metadata)
        return count / (time.perf_counter() - started)

    def upload_seconds(self) -> float:
        started = time.perf_counter()
        file = self._upload(self._messages(), metadata=self._metadata)
        took = time.perf_counter() - started
        if file.id.startswith("file_"):  # the emulator's: the peer keeps none
            delete(self._port, file.id)
        return took

    def _messages(self) -> Iterator[Any]:
        yield self._chunk(init={"name": "a.bin"})
        piece = b"x" * (3 * MIB)
        for _ in range(LARGE // len(piece)):
            yield self._chunk(data=piece)

    def close(self) -> None:
        self._channel.close()
