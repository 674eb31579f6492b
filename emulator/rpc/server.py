"""Serve the official gRPC services with grpcio's threaded server.

Theory of operation
===================

The state of the emulator belongs to one event loop, and operations are atomic because none of them waits between
reading and writing the store. grpcio runs every call in a thread of its own. A call therefore has two halves:

    thread of the call                      event loop
    ------------------                      ----------
    receive a message from the client
    LoopWork.start(coroutine)       ---->   decode, run the operation
    LoopWork.result() waits         <----   result or ApiError
    encode trailers, send the answer

Threads are used instead of `grpc.aio` because they were measured to be faster, the hop included.

Guarantees
----------

1. Operations run on the loop only. The thread of a call touches nothing of the state. What threads share is
   `Receiving`, `CallThreads` and the table of the teams last seen.
2. When a client cancels a call, or its deadline passes, the task on the loop is cancelled. `LoopWork` sees to it also
   when the cancel comes before the task has begun.
3. A download sends one piece at a time, and an upload asks for one message at a time, each when the operation wants
   it. The memory of a call is bounded by one message, and that of all uploads together by `Receiving`.
4. Calls that wait for their clients do not keep others from being served: see `call_threads.py`.
5. A refusal is sent as the status of the call, with trailers that say what the headers of REST say. The journal has
   every call of the API, also of methods that are not served.

Decisions
---------

- Handlers are built from the descriptors of `proto/`, not from generated servicers: the streaming kind is read off the
  descriptor, and messages go in and out as bytes, so that the pipeline decides when to decode (a call with a wrong key
  is refused before that).
- To grpcio every method streams its requests. On the wire a unary one is no different, and the wait for its one
  message then happens in our code: a call whose message never comes can be distinguished from one that works.
- A large message is decoded in another thread, or it would hold up the loop.
- xai-sdk may send `UploadFile` without a key on a connection whose other calls have one, so the team last seen on each
  connection is remembered, for a bounded number of connections.
"""

from __future__ import annotations

import asyncio
import queue
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import grpc

from emulator.core import memory
from emulator.core.errors import WIRE, ApiError, CallerGone, Kind
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, bearer, team_of
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Content, Stream
from emulator.pipeline.begin import begin
from emulator.pipeline.chaos.responses import encode_message
from emulator.pipeline.outcomes import LEFT
from emulator.pipeline.perform import perform
from emulator.rpc import health, reflection
from emulator.rpc.call_threads import CallThreads
from emulator.rpc.connections import LastSeen
from emulator.rpc.loop_work import LoopCalls, LoopWork
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.rpc.receiving import Receiving
from emulator.rpc.request_metadata import MessageCodec, envelope_of
from emulator.rpc.requests import Method, parse
from emulator.rpc.status import Trailers, abort, metadata, noted
from emulator.rpc.unserved import Unserved
from emulator.rpc.wording import reword
from emulator.state.services import Services

MIB = 1024 * 1024
# The largest documented request is one of 25 MiB for a batch; xai-sdk sends messages of up to 20 MiB, and grpcio's
# default refuses more than 4 MiB.
MESSAGE_BYTES_MAX = 26 * MIB
DECODED_ON_LOOP_BYTES_MAX = 64 * 1024
RECEIVED_BYTES_MAX = 64 * MIB  # of the messages of all uploads that are not written yet
UNARY_THREADS, STREAM_THREADS = 256, 128  # started on demand
UNARY_PATIENCE_SECONDS, STREAM_PATIENCE_SECONDS = 5, 30
STREAMS_MAX = 4096  # running or queued
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # On a socket of the same machine, bandwidth probing gains nothing, but uses megabytes.
    ("grpc.http2.bdp_probe", 0),
    # xai-sdk pings every 30 s; a default server would consider that abuse and close the connection
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
_END: Any = object()

BeginCall = Callable[[], Call]  # called on the loop
Result = tuple[Any, Trailers]  # of work on the loop


class RpcServer:
    """A grpcio server on a unix socket."""

    def __init__(
        self,
        services: Services,
        loop: asyncio.AbstractEventLoop,
        socket_path: str,
        drop_peer: Callable[[str], None],
    ) -> None:
        """Serve on the socket. `drop_peer` resets the connection of the calls from a peer."""
        self._services, self._loop, self._drop_peer = services, loop, drop_peer
        self._calls = LoopCalls(loop)
        self._last_team = LastSeen()
        self._unary = CallThreads("unary", UNARY_THREADS, UNARY_PATIENCE_SECONDS, loop, services.log)
        self._streams = CallThreads("stream", STREAM_THREADS, STREAM_PATIENCE_SECONDS, loop, services.log)
        self._receiving = Receiving(RECEIVED_BYTES_MAX)
        self._server = grpc.server(self._unary, options=OPTIONS)
        self._server.add_generic_rpc_handlers((_Methods(self._handlers(), Unserved(services, loop)),))
        self._server.add_insecure_port(f"unix:{socket_path}")
        self._server.start()

    def stop(self) -> None:
        """End every call and return when that is done, in a thread."""
        self._server.stop(grace=0.2).wait()
        for threads in (self._unary, self._streams):
            threads.shutdown(wait=False)  # grpc leaves that to the garbage collector
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(self._calls.close)

    # --- handlers

    def _handlers(self) -> dict[str, Callable[[], grpc.RpcMethodHandler]]:
        """Return the functions that return the handlers of calls, by the full names of their methods."""
        found = {f"{method.service}/{method.name}": self._handler(method) for method in METHODS}
        for name, handler in {
            **health.handlers(self._unary, self._streams),
            **reflection.handlers(self._streams),
        }.items():
            found[name] = partial(_same, handler)
        return found

    def _handler(self, method: Method) -> Callable[[], grpc.RpcMethodHandler]:
        """Read the kind of streaming from the descriptor.

        Messages are passed as bytes: the pipeline decides when to decode.
        """
        descriptor = load().service(method.service).methods_by_name[method.name]
        codec = MessageCodec(
            load().message(descriptor.input_type.full_name), load().message(descriptor.output_type.full_name)
        )
        if not (descriptor.client_streaming or descriptor.server_streaming):
            unary = grpc.stream_unary_rpc_method_handler(
                lambda raws, context: self._unary_unary(method, codec, raws, context)
            )
            return partial(_same, unary)
        if descriptor.client_streaming:
            stream = grpc.stream_unary_rpc_method_handler(
                self._streams.runs(lambda raws, context: self._stream_unary(method, codec, raws, context))
            )
        else:
            stream = grpc.stream_stream_rpc_method_handler(
                self._streams.runs(lambda raws, context: self._unary_stream(method, codec, raws, context))
            )
        refused = grpc.stream_unary_rpc_method_handler(lambda raws, context: self._refuse(method, codec, context))
        return lambda: stream if self._streams.open_calls < STREAMS_MAX else refused

    def _refuse(self, method: Method, codec: MessageCodec, context: grpc.ServicerContext) -> bytes:
        """Refuse a stream over the limit, and record it in the journal."""

        async def read(call: Call) -> Any:
            raise ApiError(
                Kind.RESOURCE_EXHAUSTED,
                f"{STREAMS_MAX} streams are open already, and the emulator serves no more at once.",
                rule="grpc_streams",
            )

        return self._response(self._prepare(method, codec, read, context), method, context)

    def _unary_unary(
        self, method: Method, codec: MessageCodec, raws: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        raw = self._unary.only_message(raws, context)
        begin_call = self._prepare(method, codec, lambda call: _read(method, codec, raw), context, raw)
        return self._response(begin_call, method, context)

    def _response(self, begin_call: BeginCall, method: Method, context: grpc.ServicerContext) -> bytes:
        """Perform a call on the loop, and wait for its response."""
        work = LoopWork(self._calls, context)
        work.start(self._answer(begin_call, method))
        answer: bytes = _result(work, context)
        return answer

    def _stream_unary(
        self, method: Method, codec: MessageCodec, raws: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        """Receive messages in this thread as the operation requests them, until it needs no more."""
        wishes: queue.SimpleQueue[asyncio.Future[Any] | None] = queue.SimpleQueue()

        async def messages(call: Call) -> AsyncIterator[bytes]:
            while (raw := await self._wish(wishes)) is not _END:
                call.envelope.body_bytes += len(raw)
                yield raw
                del raw  # before requesting the next one: it may be large

        async def read(call: Call) -> Any:
            return await method.read(messages(call))

        work = LoopWork(self._calls, context)
        begin_call = self._prepare(method, codec, read, context)
        work.start(self._answer(begin_call, method), lambda: wishes.put(None))
        size = 0  # of the message that the operation processes
        while (wish := wishes.get()) is not None:
            self._worked_off(size)
            size = self._grant(wish, raws, context)
            del wish
        self._worked_off(size)
        answer: bytes = _result(work, context)
        return answer

    def _worked_off(self, size: int) -> None:
        """Subtract a message of an upload: the operation has released it."""
        self._receiving.worked_off(size)
        memory.freed(size)

    async def _wish(self, wishes: queue.SimpleQueue[asyncio.Future[Any] | None]) -> Any:
        wish = self._loop.create_future()
        wishes.put(wish)
        return await wish

    def _grant(self, wish: asyncio.Future[Any], raws: Iterator[bytes], context: grpc.ServicerContext) -> int:
        """Wait for the client's next message and pass it on; return its size in bytes."""
        receive, size = self._receiving.begin(), 0
        try:
            with self._streams.waiting_for_client(context):
                raw = _next(raws)
            size = 0 if raw is _END else len(raw)
        except Exception:
            self._calls.add(partial(_fulfil, wish, None, CallerGone()))
        else:
            self._calls.add(partial(_fulfil, wish, raw, None))
        finally:
            self._receiving.end(receive, size)
        return size

    def _unary_stream(
        self, method: Method, codec: MessageCodec, raws: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        raw = self._streams.only_message(raws, context)
        begin_call = self._prepare(method, codec, lambda call: _read(method, codec, raw), context, raw)
        work = LoopWork(self._calls, context)
        work.start(self._open(begin_call, method))
        call, pieces, piece = _result(work, context)
        try:
            while piece is not _END:
                message = method.write(piece).SerializeToString()
                with self._streams.waiting_for_client(context):
                    yield message
                work.start(_next_piece(call, pieces))
                piece = _result(work, context)
        finally:
            has_left = piece is not _END and not context.is_active()
            asyncio.run_coroutine_threadsafe(_close(pieces, call if has_left else None), self._loop)

    # --- one call

    def _prepare(
        self,
        method: Method,
        codec: MessageCodec,
        read: Callable[[Call], Awaitable[Any]],
        context: grpc.ServicerContext,
        body: bytes = b"",
    ) -> BeginCall:
        """Read the metadata of a call in its thread; return the function that begins it on the loop."""
        metadata = dict(context.invocation_metadata() or ())
        credentials, peer = bearer(metadata.get("authorization")), context.peer()
        envelope = envelope_of(f"{method.service}/{method.name}", metadata, codec)
        envelope.body = body
        envelope.remaining_seconds = context.time_remaining()
        envelope.drop_connection = lambda: self._drop_peer(peer)
        return partial(
            begin,
            self._services,
            OPERATIONS[method.operation],
            "grpc",
            credentials=credentials,
            origin=self._origin(context),
            read=read,
            envelope=envelope,
            fallback_credentials=self._fallback(peer, credentials, method),
        )

    def _origin(self, context: grpc.ServicerContext) -> str:
        authority = _authority(context)
        return self._services.address.origin if authority is None else self._services.address.origin_at(authority)

    def _fallback(self, peer: str, credentials: str | None, method: Method) -> str | None:
        """Store the team last seen on a connection, for the one RPC that may arrive without a key.

        The team, not the key: the channels for both planes share a connection, so the last key may be for the other
        plane.
        """
        if credentials is not None:
            self._last_team.note(peer, team_of(credentials))
        if not method.keyless:
            return None
        last = self._last_team.get(peer)
        return f"{INFERENCE_KEY}@{DEFAULT_TEAM if last is None else last}"

    async def _answer(self, begin_call: BeginCall, method: Method) -> Result:
        """Return the response of a call, and record it in the journal."""
        call = begin_call()
        raw = encode_message(call, method.write(await self._perform(call)))
        trailers = metadata(call, None)
        self._services.journal.replied(call, "OK", raw, headers=noted(trailers))
        return raw, trailers

    async def _open(self, begin_call: BeginCall, method: Method) -> Result:
        """Return the call, the pieces of the requested content, and the first piece: from then on the file is open."""
        call = begin_call()
        result: Content | Stream = await self._perform(call)
        size = result.size if isinstance(result, Content) else 0
        self._services.journal.replied(call, "OK", None, size, noted(metadata(call, None)))
        pieces = method.pieces(result)
        try:
            piece, trailers = await _next_piece(call, pieces)
        except BaseException:
            await _close(pieces)
            raise
        return (call, pieces, piece), trailers

    async def _perform(self, call: Call) -> Any:
        try:
            return await perform(self._services, call)
        except ApiError as error:
            reword(error, call.operation)
            refusal = Refusal(error, metadata(call, error))
            self._services.journal.replied(call, WIRE[error.kind].grpc, None, headers=noted(refusal.trailers, error))
            raise refusal from error


class Refusal(Exception):
    """Ends a call with a status; `trailers` is its metadata."""

    def __init__(self, error: ApiError, trailers: Trailers) -> None:
        super().__init__(error.message)
        self.error, self.trailers = error, trailers


async def _next_piece(call: Call, pieces: AsyncIterator[Any]) -> Result:
    try:
        return await anext(pieces, _END), metadata(call, None)
    except asyncio.CancelledError:
        call.entry.end(LEFT)
        raise
    except ApiError as error:
        raise Refusal(error, metadata(call, error)) from error


def _result(work: LoopWork, context: grpc.ServicerContext) -> Any:
    """Wait for the result of work on the loop, and set the trailing metadata; or end the call with the refusal."""
    try:
        result, trailers = work.result()
    except Refusal as refusal:
        context.set_trailing_metadata(refusal.trailers)
        return abort(context, WIRE[refusal.error.kind].grpc, refusal.error.message)
    except (asyncio.CancelledError, CallerGone):
        return abort(context, "CANCELLED", "The client has gone.")
    context.set_trailing_metadata(trailers)
    return result


async def _close(pieces: Any, left: Call | None = None) -> None:
    """Close the pieces of a response; `left` is its call if the client has not read them all."""
    if left is not None:
        left.entry.end(LEFT)
    await pieces.aclose()


def _next(raws: Iterator[bytes]) -> Any:
    """Return the client's next message, or _END. Raises if the client has disconnected.

    When a call is cancelled, grpcio may first report the end of its messages, as if the client had sent them all. The
    second request for a message then raises: without it, half of a cancelled upload would be stored as a whole file.
    """
    raw = next(raws, _END)
    if raw is _END:
        next(raws, _END)
    return raw


def _fulfil(wish: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if wish.done():
        return
    if error is None:
        wish.set_result(value)
    else:
        wish.set_exception(error)


def _same(handler: grpc.RpcMethodHandler) -> grpc.RpcMethodHandler:
    return handler


class _Methods(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Every method by its name, served or not."""

    def __init__(self, handlers: dict[str, Callable[[], grpc.RpcMethodHandler]], unserved: Unserved) -> None:
        self._handlers, self._unserved = handlers, unserved

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        """Return the handler of a call."""
        name = details.method.removeprefix("/")
        handler = self._handlers.get(name)
        return self._unserved.handler(name) if handler is None else handler()


async def _read(method: Method, codec: MessageCodec, raw: bytes) -> Any:
    """Return the request in a message. A large one, which may contain a million items, is decoded in a thread."""
    if len(raw) <= DECODED_ON_LOOP_BYTES_MAX:
        return method.read(parse(codec.request_type, raw))
    return await asyncio.to_thread(lambda: method.read(parse(codec.request_type, raw)))


def _authority(context: grpc.ServicerContext) -> str | None:
    """Return the authority that the client called; grpcio has it in an internal attribute only."""
    details = getattr(getattr(context, "_rpc_event", None), "call_details", None)
    host = getattr(details, "host", None)
    return host.decode() if isinstance(host, bytes) and host else None
