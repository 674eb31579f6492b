"""A gRPC server that forwards every method, known or not, and reports the calls.

Messages are forwarded as bytes, and every method as a bidirectional stream, because all kinds are the same on the wire.
Metadata, trailers, status details, deadlines and cancellation are forwarded; the headers that grpcio itself adds
(`grpc-…`, `user-agent`) are not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import grpc
import msgspec

from emulator.core.clock import Instant, monotonic_ms, wall
from emulator.rpc.plain import message_types, to_plain
from emulator.rpc.status import within_a_header

THREADS = 256  # a call uses one, and its channel another
STOP_SECONDS = 0.2
MESSAGES_MAX = 20_000  # recorded messages of one call and direction: 48 MiB in pieces of 4 KiB are 12,288
METADATA_BYTES_MAX = 256 * 1024
_FAR_AWAY_SECONDS = 10 * 365 * 86_400  # grpc's value for no deadline
_METADATA = (
    ("grpc.max_metadata_size", METADATA_BYTES_MAX),
    ("grpc.absolute_max_metadata_size", 2 * METADATA_BYTES_MAX),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
)
SERVER_OPTIONS = (
    *_METADATA,
    ("grpc.http2.bdp_probe", 0),
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
# Without retries: those that grpcio makes itself would be missing in the recording.
CHANNEL_OPTIONS = (*_METADATA, ("grpc.enable_retries", 0), ("grpc.enable_http_proxy", 0))

Metadata = Sequence[tuple[str, str | bytes]]


class Route(msgspec.Struct, frozen=True):
    """The target of a call, and its metadata. `tls` is the path of root certificates; empty for those of grpcio."""

    target: str
    tls: str | None
    metadata: Metadata


class Refusal(msgspec.Struct, frozen=True):
    """A call that is not forwarded: the name of a status, and a message."""

    code: str
    message: str


class Passed(msgspec.Struct):
    """A forwarded call."""

    method: str
    peer: str
    metadata: Metadata
    started: Instant
    requests: list[dict[str, Any]] = []
    responses: list[dict[str, Any]] = []
    counts: list[int] = msgspec.field(default_factory=lambda: [0, 0])  # of messages in each direction
    sizes: list[int] = msgspec.field(default_factory=lambda: [0, 0])  # of messages in each direction, in bytes
    at_ms: list[float] = []
    unknown: list[str] = []  # undeclared fields
    understood: bool = True
    initial: Metadata = ()
    trailers: Metadata = ()
    code: str = "UNKNOWN"
    message: str = ""
    milliseconds: float = 0
    refused: bool = False  # by this server, not by the service
    unreachable: bool = False
    error: str | None = None  # an error in recording the call, which continued
    tag: Any = None  # for the switchboard's use


class Switchboard(Protocol):
    """Routes calls, and is notified when they end; called in the threads of the calls."""

    def route(self, call: Passed) -> Route | Refusal: ...

    def passed(self, call: Passed) -> None: ...


class ForwardServer:
    """A grpcio server on a unix socket that forwards all calls."""

    def __init__(self, socket_path: str, switchboard: Switchboard, *, keep_bytes: bool = False) -> None:
        """Serve on the socket. `keep_bytes` records the bytes in messages and not only their number."""
        self._switchboard, self._keep_bytes = switchboard, keep_bytes
        self._channels: dict[tuple[str, str | None], grpc.Channel] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="xai-emulator-forward")
        self._server = grpc.server(self._threads, options=SERVER_OPTIONS)
        self._server.add_generic_rpc_handlers((_Everything(self._forward),))
        self._server.add_insecure_port(f"unix:{socket_path}")
        self._server.start()

    def stop(self) -> None:
        """End every call and return when that is done."""
        self._server.stop(grace=STOP_SECONDS).wait()
        self._threads.shutdown(wait=True)
        for channel in list(self._channels.values()):
            channel.close()

    def _channel(self, route: Route) -> grpc.Channel:
        key = (route.target, route.tls)
        if key not in self._channels:
            self._channels[key] = open_channel(route.target, route.tls)
        return self._channels[key]

    def _forward(self, method: str, raws: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        metadata = tuple(context.invocation_metadata() or ())
        call = Passed(method, context.peer(), metadata, wall())
        began = monotonic_ms()
        try:
            yield from self._answers(call, raws, context, began)
        finally:
            call.milliseconds = monotonic_ms() - began
            self._switchboard.passed(call)
        if call.code != "OK":
            context.abort(grpc.StatusCode[call.code], within_a_header(call.message))

    def _answers(
        self, call: Passed, raws: Iterator[bytes], context: grpc.ServicerContext, began: float
    ) -> Iterator[bytes]:
        route = self._switchboard.route(call)
        if isinstance(route, Refusal):
            call.code, call.message, call.refused = route.code, route.message, True
            return
        note = _Notes(call, began, self._keep_bytes)
        remaining = context.time_remaining()
        upstream = self._channel(route).stream_stream(call.method)(
            note.requests(raws),
            metadata=route.metadata,
            timeout=None if remaining is None or remaining > _FAR_AWAY_SECONDS else remaining,
        )
        note.cancel = upstream.cancel
        if not context.add_callback(upstream.cancel):
            upstream.cancel()
        try:
            call.initial = tuple(upstream.initial_metadata() or ())
            if call.initial:
                context.send_initial_metadata(call.initial)
            for raw in upstream:
                note.message(raw, 1)
                yield raw
        except grpc.RpcError:
            pass  # the status has the error
        except GeneratorExit:  # grpcio stops reading when the client has disconnected
            upstream.cancel()
            call.code, call.message = "CANCELLED", "the client left"
            raise
        call.code, call.message = upstream.code().name, upstream.details() or ""
        call.trailers = tuple(upstream.trailing_metadata() or ())
        # The message of our own channel for a failed connection, not of the service.
        call.unreachable = call.code == "UNAVAILABLE" and not call.initial and not call.trailers and not call.counts[1]
        if call.unreachable and "TSI_PROTOCOL_FAILURE" in call.message:
            call.message = f"{route.target}: the TLS handshake failed; see --ca ({call.message})"
        if call.trailers:
            context.set_trailing_metadata(call.trailers)


class _Notes:
    """Records the messages of a call as they are forwarded. An error here must not fail the call."""

    def __init__(self, call: Passed, began: float, keep_bytes: bool) -> None:
        self._call, self._began, self._keep_bytes = call, began, keep_bytes
        self._types = message_types(call.method)
        call.understood = self._types is not None
        self.cancel: Callable[[], object] | None = None  # of the call to the service, once it exists

    def requests(self, raws: Iterator[bytes]) -> Iterator[bytes]:
        """Forward the client's messages.

        For a cancelled call grpcio may first report the end of its messages; the second request for a message raises.
        Without it, half of a cancelled upload would reach the service as a whole file.
        """
        try:
            for raw in raws:
                self.message(raw, 0)
                yield raw
            next(raws, None)
        except Exception:  # the client has disconnected
            if self.cancel is None:
                raise
            self.cancel()

    def message(self, raw: bytes, direction: int) -> None:
        """Record a message: of a request in direction 0, of a response in 1."""
        try:
            self._note(raw, direction)
        except Exception as error:
            self._call.error = f"{type(error).__name__}: {error}"

    def _note(self, raw: bytes, direction: int) -> None:
        call = self._call
        call.counts[direction] += 1
        call.sizes[direction] += len(raw)
        if self._types is None:
            return
        if call.counts[direction] > MESSAGES_MAX:
            call.understood = False  # a replay would send the rest as if it were complete
            return
        call.at_ms.append(round(monotonic_ms() - self._began, 1))
        try:
            plain, unknown = to_plain(self._types[direction], raw, keep_bytes=self._keep_bytes)
        except ValueError:
            call.understood = False
            return
        (call.responses if direction else call.requests).append(plain)
        where = "response" if direction else "request"
        call.unknown += [name for each in unknown if (name := f"{where}.{each}") not in call.unknown]


def open_channel(target: str, tls: str | None) -> grpc.Channel:
    """Return a channel to HOST:PORT; `tls` is None for none, else the path of root certificates, or empty."""
    if tls is None:
        return grpc.insecure_channel(target, options=CHANNEL_OPTIONS)
    roots = None
    if tls:
        with open(tls, "rb") as file:
            roots = file.read()
    return grpc.secure_channel(target, grpc.ssl_channel_credentials(roots), options=CHANNEL_OPTIONS)


class _Everything(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """The same handler for every method."""

    def __init__(self, forward: Callable[..., Iterator[bytes]]) -> None:
        self._forward = forward

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler of a call."""
        method = details.method
        return grpc.stream_stream_rpc_method_handler(lambda raws, context: self._forward(method, raws, context))
