"""gRPC through the recorder: all four kinds of calls, of methods that are known and of others."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
import pytest

from emulator import Emulator
from emulator.domain.keys import Plane
from emulator.recorder.server import Recorder
from emulator.recordings.entries import Entry, Grpc
from emulator.recordings.reading import read
from emulator.rpc import forward
from emulator.rpc.messages import load
from tests.recorder.conftest import REAL_KEYS
from tests.serving import PATIENCE_SECONDS, until

UPLOAD = "/xai_api.Files/UploadFile"


class Service(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Methods by their names, each a stream both ways."""

    def __init__(self) -> None:
        self.metadata: dict[str, str] = {}
        self.remaining: float | None = None
        self.ended = threading.Event()
        self.received: list[bytes] = []
        self.done = False  # with the last call

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        work = getattr(self, details.method.rpartition("/")[2].lower())

        def handle(requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
            self.metadata = dict(context.invocation_metadata())
            self.remaining = context.time_remaining()
            context.add_callback(self.ended.set)
            self.done = False
            try:
                yield from work(requests, context)
            finally:
                self.done = True

        return grpc.stream_stream_rpc_method_handler(handle)

    def echo(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.send_initial_metadata((("x-early", "1"), ("x-raw-bin", b"\x00\xff")))
        yield from requests

    def details(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        context.set_trailing_metadata((("grpc-status-details-bin", b"\x08\x03\x12\x02hi"), ("x-trailer", "t")))
        context.abort(grpc.StatusCode.INVALID_ARGUMENT, "schlecht: ü %41")
        yield b""

    def half(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield b"one"
        yield b"two"
        context.abort(grpc.StatusCode.INTERNAL, "broke")

    def wait(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        yield b"waiting"
        assert self.ended.wait(PATIENCE_SECONDS)

    def uploadfile(self, requests: Iterator[bytes], context: Any) -> Iterator[bytes]:
        for raw in requests:
            self.received.append(raw)
            yield b""
        next(
            requests, None
        )  # of a call that is cancelled grpcio may say first that it has ended; asked again, it raises
        self.received.append(b"whole")


@pytest.fixture
def upstream() -> Iterator[tuple[Service, str]]:
    service = Service()
    server = grpc.server(ThreadPoolExecutor(8), options=[("grpc.max_receive_message_length", -1)])
    server.add_generic_rpc_handlers((service,))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield service, f"http://127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def through(
    upstream: tuple[Service, str], record: Callable[..., Recorder]
) -> Iterator[tuple[Service, Recorder, grpc.Channel]]:
    service, url = upstream
    recorder = record(url)
    with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel:
        yield service, recorder, channel


def entries(recorder: Recorder, count: int) -> list[Entry]:
    until(lambda: recorder.journal.counts["exchanges"] + recorder.journal.lost >= count)
    return sorted(read(recorder._options.out).entries, key=lambda entry: entry.number or 0)


def grpc_of(entry: Entry) -> Grpc:
    assert isinstance(entry.grpc, Grpc)
    return entry.grpc


def key(recorder: Recorder, plane: Plane = Plane.INFERENCE) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {recorder.keys.of_run[plane]}"),)


def test_stream_both_ways_with_metadata_passes(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    service, recorder, channel = through
    sent = (*key(recorder), ("x-two", "2"), ("x-raw-bin", b"\x00\x01"))
    call = channel.stream_stream("/a.B/Echo")(iter([b"1", b"", b"3"]), metadata=sent, timeout=PATIENCE_SECONDS)
    assert list(call) == [b"1", b"", b"3"]
    assert dict(call.initial_metadata())["x-early"] == "1"
    assert dict(call.initial_metadata())["x-raw-bin"] == b"\x00\xff"
    assert (service.metadata["x-two"], service.metadata["x-raw-bin"]) == ("2", b"\x00\x01")
    assert service.metadata["authorization"] == f"Bearer {REAL_KEYS[Plane.INFERENCE]}"


def test_status_details_trailers_and_message_pass(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    _, recorder, channel = through
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/a.B/Details")(b"q", metadata=key(recorder), timeout=PATIENCE_SECONDS)
    trailers = dict(caught.value.trailing_metadata())
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.INVALID_ARGUMENT, "schlecht: ü %41")
    assert (trailers["grpc-status-details-bin"], trailers["x-trailer"]) == (b"\x08\x03\x12\x02hi", "t")
    (entry,) = entries(recorder, 1)
    assert (grpc_of(entry).status, entry.by == "recorder") == ("INVALID_ARGUMENT", False)


def test_messages_before_a_failure_arrive(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    _, recorder, channel = through
    call = channel.unary_stream("/a.B/Half")(b"q", metadata=key(recorder), timeout=PATIENCE_SECONDS)
    assert [next(call), next(call)] == [b"one", b"two"]
    with pytest.raises(grpc.RpcError, match="broke"):
        next(call)


def test_unknown_method_passes_and_only_its_lengths_are_kept(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    _, recorder, channel = through
    assert list(channel.unary_stream("/a.B/Echo")(b"a secret prompt", metadata=key(recorder))) == [b"a secret prompt"]
    (entry,) = entries(recorder, 1)
    assert grpc_of(entry).messages == {"request": 1, "response": 1}
    assert (grpc_of(entry).request, entry.request.body_size) == ([], 15)
    assert "secret prompt" not in recorder._options.out.read_text()


def test_call_of_too_many_messages_passes_and_is_only_counted(
    through: tuple[Service, Recorder, grpc.Channel], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half of an upload would be compared as if it were whole."""
    monkeypatch.setattr(forward, "MESSAGES_MAX", 3)
    service, recorder, channel = through
    chunk = load().message("xai_api.UploadFileChunk")
    pieces = [chunk(data=b"x").SerializeToString()] * 5
    assert len(list(channel.stream_stream(UPLOAD)(iter(pieces), metadata=key(recorder)))) == 5
    assert service.received == [*pieces, b"whole"]
    call = grpc_of(entries(recorder, 1)[0])
    assert (call.messages, call.request, call.status) == ({"request": 5, "response": 5}, [], "OK")


def test_messages_above_the_default_limit_of_grpc_pass(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    """grpcio refuses messages of more than 4 MiB unless both sides of the recorder say otherwise."""
    _, recorder, _ = through
    large = bytes(5 << 20)
    with grpc.insecure_channel(
        f"localhost:{recorder.port.number}", options=[("grpc.max_receive_message_length", -1)]
    ) as wide:
        assert list(wide.stream_stream("/a.B/Echo")(iter([large]), metadata=key(recorder))) == [large]


def test_large_metadata_passes(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    service, recorder, channel = through
    metadata = (*key(recorder), ("x-large", "m" * 6_000))
    list(channel.stream_stream("/a.B/Echo")(iter([b"q"]), metadata=metadata))
    assert service.metadata["x-large"] == "m" * 6_000
    assert not any(name.startswith((":", "grpc-encoding")) for name in service.metadata)


def test_refused_call_is_not_retried_by_the_recorder(record: Callable[..., Recorder]) -> None:
    """A retry that grpcio made by itself would be missing in the recording."""
    streams: list[bytes] = []

    class Refusing(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
        def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
            def handle(request: bytes, context: Any) -> bytes:
                streams.append(request)
                context.abort(grpc.StatusCode.UNAVAILABLE, "later")
                return b""

            return grpc.unary_unary_rpc_method_handler(handle)

    server = grpc.server(ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Refusing(),))
    url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        recorder = record(url)
        with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel:
            error = channel.unary_unary("/a.B/C").future(b"q", metadata=key(recorder)).exception()
        assert (error.code().name, error.details(), streams) == ("UNAVAILABLE", "later", [b"q"])
    finally:
        server.stop(0).wait()


def test_deadline_of_the_client_reaches_the_service(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    service, recorder, channel = through
    list(channel.unary_stream("/a.B/Echo")(b"q", metadata=key(recorder), timeout=500))
    assert service.remaining is not None
    assert 0 < service.remaining <= 500


def test_cancelled_call_is_cancelled_at_the_service(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    service, recorder, channel = through
    call = channel.unary_stream("/a.B/Wait")(b"q", metadata=key(recorder))
    assert next(call) == b"waiting"
    call.cancel()
    assert service.ended.wait(PATIENCE_SECONDS)
    assert grpc_of(entries(recorder, 1)[0]).status == "CANCELLED"


def test_cancelled_upload_does_not_end_as_a_whole_one(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    """Often, since it depends on which of two events grpcio reports first."""
    service, recorder, channel = through
    first = load().message("xai_api.UploadFileChunk")(init={"name": "a.txt"}).SerializeToString()
    for _ in range(30):
        service.received.clear()
        service.ended.clear()
        hold = threading.Event()

        def messages(hold: threading.Event = hold) -> Iterator[bytes]:
            yield first
            hold.wait(PATIENCE_SECONDS)

        call = channel.stream_stream(UPLOAD)(messages(), metadata=key(recorder))
        next(call)
        call.cancel()
        assert service.ended.wait(PATIENCE_SECONDS)
        hold.set()
        until(lambda: service.done)
        assert service.received == [first]


def test_upload_without_a_key_takes_the_one_of_its_connection(
    service: Emulator, record: Callable[..., Recorder]
) -> None:
    """xai-sdk sends UploadFile without a key on insecure channels."""
    from xai_sdk import Client

    service.reset()
    recorder = record(service.url)
    target, keys = f"localhost:{recorder.port.number}", recorder.keys.of_run
    client = Client(
        api_host=target,
        management_api_host=target,
        api_key=keys[Plane.INFERENCE],
        management_api_key=keys[Plane.MANAGEMENT],
    )
    client.files.list()
    uploaded = client.files.upload(b"the content", filename="a.txt")
    assert client.files.content(uploaded.id) == b"the content"
    client.close()
    _, upload, download = entries(recorder, 3)
    assert [list(message) for message in grpc_of(upload).request] == [["init"], ["data"]]
    assert grpc_of(upload).request[1]["data"]["_bytes"] == 11
    assert grpc_of(download).response[0]["data"]["_bytes"] == 11


def test_other_method_without_a_key_stays_without_one(through: tuple[Service, Recorder, grpc.Channel]) -> None:
    service, recorder, channel = through
    list(channel.unary_stream("/a.B/Echo")(b"q", metadata=key(recorder)))
    list(channel.unary_stream("/a.B/Echo")(b"q"))
    assert "authorization" not in service.metadata


def test_unreachable_service_is_marked_as_the_recorders_answer(record: Callable[..., Recorder]) -> None:
    recorder = record("http://127.0.0.1:1")
    with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/a.B/Echo")(b"q", metadata=key(recorder), timeout=PATIENCE_SECONDS)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert entries(recorder, 1)[0].by == "recorder"


def test_failing_note_does_not_fail_the_call_but_the_run(
    service: Emulator, record: Callable[..., Recorder], monkeypatch: pytest.MonkeyPatch
) -> None:
    recorder = record(service.url)
    monkeypatch.setattr("emulator.rpc.forward.to_plain", lambda *values, **named: 1 / 0)
    request = load().message("xai_api.ListFilesRequest")().SerializeToString()
    with grpc.insecure_channel(f"localhost:{recorder.port.number}") as channel:
        channel.unary_unary("/xai_api.Files/ListFiles")(request, metadata=key(recorder), timeout=PATIENCE_SECONDS)
    until(lambda: recorder.journal.lost)
