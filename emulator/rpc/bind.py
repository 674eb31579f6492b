"""The gRPC door: handlers built from descriptors, whose calls hop onto the one event loop that owns the state."""

from __future__ import annotations

import asyncio
import queue
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, NoReturn

import grpc

from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, bearer, team_of
from emulator.errors import WIRE, ApiError, CallerGone, Kind, invalid
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Content
from emulator.pipeline.run import perform
from emulator.rpc import hostile
from emulator.rpc.envelope import MessageCodec, envelope_of
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS, NOT_EMULATED
from emulator.rpc.reading import Message, Method
from emulator.version import VERSION
from emulator.world import World

MESSAGE_BYTES_MAX = 32 * 1024 * 1024  # xai-sdk sends messages of up to 20 MiB, grpcio's default refuses 4 MiB
DETAILS_BYTES_MAX = 4096  # of a message as it travels; clients that are told more than 8 KiB may drop the whole answer
THREADS = 256  # started on demand; a slow upload holds one
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # Behind a socket of this machine nothing is gained by looking for room to receive ahead, but megabytes are used.
    ("grpc.http2.bdp_probe", 0),
    # xai-sdk pings every 30 s, calls or not; a default server would call that too many and hang up
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
_CONNECTIONS_MAX = 4096  # remembered with the team last seen on them
_END: Any = object()


class RpcServer:
    """A grpcio server on a unix socket."""

    def __init__(
        self,
        world: World,
        loop: asyncio.AbstractEventLoop,
        socket_path: str,
        drop_peer: Callable[[str], None],
    ) -> None:
        """Serve on the socket. `drop_peer` resets the connection of the calls that say this peer."""
        self._world, self._loop, self._drop_peer = world, loop, drop_peer
        self._last_team: OrderedDict[str, str] = OrderedDict()
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="xai-emulator-grpc")
        self._server = grpc.server(self._threads, options=OPTIONS)
        self._server.add_generic_rpc_handlers((*self._handlers(), _Unknown(self._unmatched)))
        self._server.add_insecure_port(f"unix:{socket_path}")
        self._server.start()

    def stop(self) -> None:
        """End every call and return when that is done."""
        self._server.stop(grace=0.2).wait()
        self._threads.shutdown(wait=False)  # grpc leaves that to the garbage collector

    # --- handlers

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
        for method in METHODS:
            services.setdefault(method.service, {})[method.name] = self._handler(method)
        for full_name, reason in NOT_EMULATED.items():
            service, name = full_name.rsplit("/", 1)
            services.setdefault(service, {})[name] = self._refuse(full_name, reason)
        for service, handlers in services.items():
            yield grpc.method_handlers_generic_handler(service, handlers)

    def _handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Read the streaming kind off the descriptor. Messages go in and out as bytes: when to decode is not ours."""
        descriptor = load().service(method.service).methods_by_name[method.name]
        codec = MessageCodec(
            load().message(descriptor.input_type.full_name), load().message(descriptor.output_type.full_name)
        )
        if descriptor.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                lambda messages, context: self._stream_unary(method, codec, messages, context)
            )
        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                lambda raw, context: self._unary_stream(method, codec, raw, context)
            )
        return grpc.unary_unary_rpc_method_handler(lambda raw, context: self._unary_unary(method, codec, raw, context))

    def _refuse(self, full_name: str, reason: str) -> grpc.RpcMethodHandler:
        def refuse(raw: bytes, context: grpc.ServicerContext) -> None:
            self._unmatched(full_name, context.invocation_metadata(), Kind.NOT_EMULATED)
            _abort(context, WIRE[Kind.NOT_EMULATED].grpc, reason)

        return grpc.unary_unary_rpc_method_handler(refuse)

    def _unary_unary(self, method: Method, codec: MessageCodec, raw: bytes, context: grpc.ServicerContext) -> bytes:
        call = self._call(method, codec, lambda call: _read(method, codec, raw), context)
        call.envelope.body = raw
        work = _Work(self._loop, context)
        work.start(self._answer(call, method))
        answer: bytes = self._result(work, call, context)
        return answer

    def _stream_unary(
        self, method: Method, codec: MessageCodec, raws: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        """Serve the operation's wishes for the next message from this thread, until it needs no more."""
        wishes: queue.SimpleQueue[asyncio.Future[Any] | None] = queue.SimpleQueue()

        async def messages(call: Call) -> AsyncIterator[Message]:
            while (raw := await self._wish(wishes)) is not _END:
                call.envelope.body_bytes += len(raw)
                message = _parse(codec.request_type, raw)
                del raw  # it may be large, and there it is a second time
                yield message

        async def read(call: Call) -> Any:
            return await method.read(messages(call))

        call = self._call(method, codec, read, context)
        work = _Work(self._loop, context)
        work.start(self._answer(call, method), lambda: wishes.put(None))
        while (wish := wishes.get()) is not None:
            try:
                self._loop.call_soon_threadsafe(_grant, wish, _next(raws), None)
            except Exception:
                self._loop.call_soon_threadsafe(_grant, wish, None, CallerGone())
            del wish
        answer: bytes = self._result(work, call, context)
        return answer

    async def _wish(self, wishes: queue.SimpleQueue[asyncio.Future[Any] | None]) -> Any:
        wish = self._loop.create_future()
        wishes.put(wish)
        return await wish

    def _unary_stream(
        self, method: Method, codec: MessageCodec, raw: bytes, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        call = self._call(method, codec, lambda call: _read(method, codec, raw), context)
        call.envelope.body = raw
        work = _Work(self._loop, context)
        work.start(self._open(call))
        pieces, piece = self._result(work, call, context)

        async def next_piece() -> Any:
            return await anext(pieces, _END)

        try:
            while piece is not _END:
                yield method.write(piece).SerializeToString()
                work.start(next_piece())
                piece = self._result(work, call, context)
        finally:
            asyncio.run_coroutine_threadsafe(_close(pieces), self._loop)

    # --- one call

    def _call(
        self,
        method: Method,
        codec: MessageCodec,
        read: Callable[[Call], Awaitable[Any]],
        context: grpc.ServicerContext,
    ) -> Call:
        metadata = dict(context.invocation_metadata() or ())
        credentials, peer = bearer(metadata.get("authorization")), context.peer()
        envelope = envelope_of(f"{method.service}/{method.name}", metadata, codec)
        envelope.remaining_seconds = context.time_remaining()
        envelope.drop_connection = lambda: self._drop_peer(peer)
        return Call(
            operation=OPERATIONS[method.operation],
            door="grpc",
            credentials=credentials,
            origin=_origin(context) or self._world.origin,
            read=read,
            fallback_credentials=self._fallback(peer, credentials, method),
            envelope=envelope,
        )

    def _fallback(self, peer: str, credentials: str | None, method: Method) -> str | None:
        """Remember the team last seen on a connection, for the one RPC that may come without a key.

        The team, not the key: the channels for both planes share a connection, so the last key may be of the other.
        """
        if credentials is not None:
            self._last_team[peer] = team_of(credentials)
            self._last_team.move_to_end(peer)
            if len(self._last_team) > _CONNECTIONS_MAX:
                self._last_team.popitem(last=False)
        return f"{INFERENCE_KEY}@{self._last_team.get(peer, DEFAULT_TEAM)}" if method.keyless else None

    async def _answer(self, call: Call, method: Method) -> bytes:
        """The answer of a call, of which the journal is told."""
        raw = hostile.serialize(call, method.write(await self._perform(call)))
        self._world.journal.replied(call, "OK", raw, headers=_noted(call, None))
        return raw

    async def _open(self, call: Call) -> tuple[AsyncIterator[bytes], Any]:
        """The pieces of the content that a call asks for, and the first: what it is read from stays open from there."""
        content: Content = await self._perform(call)
        self._world.journal.replied(call, "OK", None, content.size, _noted(call, None))
        pieces = content.read()
        try:
            return pieces, await anext(pieces, _END)
        except BaseException:
            await _close(pieces)
            raise

    async def _perform(self, call: Call) -> Any:
        try:
            return await perform(self._world, call)
        except ApiError as error:
            self._world.journal.replied(call, WIRE[error.kind].grpc, None, headers=_noted(call, error))
            raise

    def _unmatched(self, full_name: str, metadata: Any, kind: Kind) -> None:
        """Let the journal know of a call that no method serves."""
        pairs = dict(metadata or ())
        credentials = bearer(pairs.get("authorization"))

        def note() -> None:
            team, envelope = self._world.team(team_of(credentials)), envelope_of(full_name, pairs, None)
            self._world.journal.unmatched(
                team.name, team.clock.now(), "grpc", envelope, credentials, kind, "UNIMPLEMENTED"
            )

        self._loop.call_soon_threadsafe(note)

    def _result(self, work: _Work, call: Call, context: grpc.ServicerContext) -> Any:
        """Wait for a result, or end the call with the refusal."""
        try:
            result = work.result()
        except ApiError as error:
            context.set_trailing_metadata(_metadata(call, error))
            return _abort(context, WIRE[error.kind].grpc, error.message)
        except (asyncio.CancelledError, CallerGone):
            return _abort(context, "CANCELLED", "The client has gone.")
        context.set_trailing_metadata(_metadata(call, None))
        return result


class _Work:
    """What runs on the loop for one call. A client that cancels its call cancels that.

    A way of its own from a thread to the loop and back: `run_coroutine_threadsafe` takes half as long again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: grpc.ServicerContext) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None  # while it runs: before, to cancel it would end it unseen
        self._ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._gone = not context.add_callback(self._cancel)

    def start(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None = None) -> None:
        """Run a coroutine, after the one before it has ended."""
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._run(work, then)))

    def result(self) -> Any:
        """Wait for what the coroutine returns, or raises."""
        result, error = self._ended.get()
        if error is not None:
            raise error
        return result

    async def _run(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None) -> None:
        self._task = asyncio.current_task()
        try:
            if self._gone:
                work.close()
                raise asyncio.CancelledError
            self._ended.put((await work, None))
        except BaseException as error:
            self._ended.put((None, error))
        finally:
            self._task = None
            if then is not None:
                then()

    def _cancel(self) -> None:
        self._gone = True
        with suppress(RuntimeError):  # the loop is closed, and with it the call has ended
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()


def _abort(context: grpc.ServicerContext, code: str, details: str) -> NoReturn:
    context.abort(grpc.StatusCode[code], _within_a_header(details))
    raise AssertionError("abort raises")


def _within_a_header(details: str) -> str:
    """A message that a client takes: it travels as a header, in which all but printable ASCII needs three bytes."""
    left = DETAILS_BYTES_MAX
    for place, byte in enumerate(raw := details.encode()):
        left -= 1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3
        if left < 0:
            return raw[:place].decode("utf-8", "ignore") + "…"
    return details


async def _close(pieces: Any) -> None:
    await pieces.aclose()


def _next(raws: Iterator[bytes]) -> Any:
    """The client's next message, or _END. Raises when the client has gone.

    Of a call that is cancelled grpcio may first tell that its messages have ended, as if the client had sent them all.
    Asked once more, it knows better: without that, half of a cancelled upload was stored as a whole file.
    """
    raw = next(raws, _END)
    if raw is _END:
        next(raws, _END)
    return raw


def _grant(wish: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if wish.done():
        return
    if error is None:
        wish.set_result(value)
    else:
        wish.set_exception(error)


class _Unknown(grpc.GenericRpcHandler):  # type: ignore[misc]  # grpc has no types
    """Asked last, for a method that nobody serves: tells of it, and leaves the answer to grpc."""

    def __init__(self, note: Callable[[str, Any, Kind], None]) -> None:
        self._note = note

    def service(self, details: grpc.HandlerCallDetails) -> None:
        """Serve nothing."""
        self._note(details.method.removeprefix("/"), details.invocation_metadata, Kind.NOT_FOUND)


async def _read(method: Method, codec: MessageCodec, raw: bytes) -> Any:
    return method.read(_parse(codec.request_type, raw))


def _parse(message: type, raw: bytes) -> Message:
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(raw)  # type: ignore[attr-defined]
    except DecodeError:
        raise invalid(f"The message is not a {message.__name__}.", rule="protobuf") from None


def _origin(context: grpc.ServicerContext) -> str | None:
    """The authority the client dialled; grpcio keeps it where only its own code looks."""
    details = getattr(getattr(context, "_rpc_event", None), "call_details", None)
    host = getattr(details, "host", None)
    return f"http://{host.decode()}" if isinstance(host, bytes) and host else None


def _metadata(call: Call, error: ApiError | None) -> tuple[tuple[str, str], ...]:
    """What REST says in headers."""
    return (("x-emulator", VERSION), *call.labels, *(error.labels if error is not None else ()))


def _noted(call: Call, error: ApiError | None) -> list[tuple[bytes, bytes]]:
    """The metadata as the journal notes headers."""
    return [(name.encode(), value.encode()) for name, value in _metadata(call, error)]
