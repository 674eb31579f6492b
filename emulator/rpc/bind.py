"""The gRPC door: handlers built from descriptors, whose calls hop onto the one event loop that owns the state."""

from __future__ import annotations

import asyncio
import queue
from collections import OrderedDict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import CancelledError, Future, ThreadPoolExecutor
from typing import Any, NoReturn, TypeVar

import grpc

from emulator.domain.keys import INFERENCE_KEY, bearer
from emulator.errors import WIRE, ApiError, CallerGone, Kind, invalid
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Content
from emulator.pipeline.run import perform
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS, NOT_EMULATED
from emulator.rpc.reading import Message, Method
from emulator.version import VERSION
from emulator.world import World

T = TypeVar("T")

MESSAGE_BYTES_MAX = 32 * 1024 * 1024  # xai-sdk sends messages of up to 20 MiB, grpcio's default refuses 4 MiB
THREADS = 256  # started on demand; a slow upload holds one
OPTIONS = (
    ("grpc.max_receive_message_length", MESSAGE_BYTES_MAX),
    ("grpc.max_send_message_length", -1),
    # xai-sdk pings every 30 s, calls or not; a default server would call that too many and hang up
    ("grpc.keepalive_permit_without_calls", 1),
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 1000),
    ("grpc.http2.max_ping_strikes", 0),
)
_CONNECTIONS_MAX = 4096  # remembered with the key last seen on them
_END: Any = object()


class RpcServer:
    """A grpcio server on a unix socket."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop, socket_path: str) -> None:
        self._world, self._loop = world, loop
        self._last_key: OrderedDict[str, str] = OrderedDict()
        self._server = grpc.server(ThreadPoolExecutor(THREADS, thread_name_prefix="grpc"), options=OPTIONS)
        self._server.add_generic_rpc_handlers(tuple(self._handlers()))
        self._server.add_insecure_port(f"unix:{socket_path}")
        self._server.start()

    def stop(self) -> None:
        """End every call and return when that is done."""
        self._server.stop(grace=0.2).wait()

    # --- handlers

    def _handlers(self) -> Iterator[grpc.GenericRpcHandler]:
        services: dict[str, dict[str, grpc.RpcMethodHandler]] = {}
        for method in METHODS:
            services.setdefault(method.service, {})[method.name] = self._handler(method)
        for full_name, reason in NOT_EMULATED.items():
            service, name = full_name.rsplit("/", 1)
            services.setdefault(service, {})[name] = _refuse(reason)
        for service, handlers in services.items():
            yield grpc.method_handlers_generic_handler(service, handlers)

    def _handler(self, method: Method) -> grpc.RpcMethodHandler:
        """Read the streaming kind off the descriptor. Messages arrive as bytes: decoding is the pipeline's to time."""
        descriptor = load().service(method.service).methods_by_name[method.name]
        message = load().message(descriptor.input_type.full_name)
        if descriptor.client_streaming:
            return grpc.stream_unary_rpc_method_handler(
                lambda messages, context: self._stream_unary(method, message, messages, context),
                response_serializer=_serialize,
            )
        if descriptor.server_streaming:
            return grpc.unary_stream_rpc_method_handler(
                lambda raw, context: self._unary_stream(method, message, raw, context),
                response_serializer=_serialize,
            )
        return grpc.unary_unary_rpc_method_handler(
            lambda raw, context: self._unary_unary(method, message, raw, context), response_serializer=_serialize
        )

    def _unary_unary(self, method: Method, message: type, raw: bytes, context: grpc.ServicerContext) -> Message:
        async def read(call: Call) -> Any:
            return method.read(_parse(message, raw))

        call = self._call(method, read, context)
        return method.write(self._result(self._start(call, context), call, context))

    def _stream_unary(
        self, method: Method, message: type, raws: Iterator[bytes], context: grpc.ServicerContext
    ) -> Message:
        """Serve the operation's wishes for the next message from this thread, until it needs no more."""
        wishes: queue.SimpleQueue[asyncio.Future[Any] | None] = queue.SimpleQueue()

        async def messages() -> AsyncIterator[Message]:
            while True:
                wish = self._loop.create_future()
                wishes.put(wish)
                raw = await wish
                if raw is _END:
                    return
                yield _parse(message, raw)

        async def read(call: Call) -> Any:
            return await method.read(messages())

        call = self._call(method, read, context)
        future = self._start(call, context)
        future.add_done_callback(lambda _: wishes.put(None))
        while (wish := wishes.get()) is not None:
            try:
                self._loop.call_soon_threadsafe(_grant, wish, next(raws, _END), None)
            except Exception:
                self._loop.call_soon_threadsafe(_grant, wish, None, CallerGone())
        return method.write(self._result(future, call, context))

    def _unary_stream(
        self, method: Method, message: type, raw: bytes, context: grpc.ServicerContext
    ) -> Iterator[Message]:
        async def read(call: Call) -> Any:
            return method.read(_parse(message, raw))

        call = self._call(method, read, context)
        content: Content = self._result(self._start(call, context), call, context)
        pieces = content.read()

        async def next_piece() -> Any:
            return await anext(pieces, _END)

        try:
            while (piece := self._result(self._submit(next_piece(), context), call, context)) is not _END:
                yield method.write(piece)
        finally:
            asyncio.run_coroutine_threadsafe(_close(pieces), self._loop)

    # --- one call

    def _call(self, method: Method, read: Callable[[Call], Awaitable[Any]], context: grpc.ServicerContext) -> Call:
        metadata = {item.key: item.value for item in context.invocation_metadata() or ()}
        credentials = bearer(metadata.get("authorization"))
        return Call(
            operation=OPERATIONS[method.operation],
            door="grpc",
            credentials=credentials,
            origin=_origin(context) or self._world.origin,
            read=read,
            fallback_credentials=self._fallback(context.peer(), credentials, method),
        )

    def _fallback(self, peer: str, credentials: str | None, method: Method) -> str | None:
        """Remember the key last seen on a connection, for the one RPC that may come without."""
        if credentials is not None:
            self._last_key[peer] = credentials
            self._last_key.move_to_end(peer)
            if len(self._last_key) > _CONNECTIONS_MAX:
                self._last_key.popitem(last=False)
        return self._last_key.get(peer, INFERENCE_KEY) if method.keyless else None

    def _start(self, call: Call, context: grpc.ServicerContext) -> Future[Any]:
        return self._submit(perform(self._world, call), context)

    def _submit(self, work: Any, context: grpc.ServicerContext) -> Future[Any]:
        """Run a coroutine on the loop; a client that cancels its call cancels the coroutine."""
        future: Future[Any] = asyncio.run_coroutine_threadsafe(work, self._loop)
        context.add_callback(future.cancel)
        return future

    def _result(self, future: Future[T], call: Call, context: grpc.ServicerContext) -> T:
        """Wait for a result, or end the call with the refusal."""
        try:
            result = future.result()
        except ApiError as error:
            context.set_trailing_metadata(_metadata(call, error))
            return _abort(context, WIRE[error.kind].grpc, error.message)
        except (CancelledError, CallerGone):
            return _abort(context, "CANCELLED", "The client has gone.")
        context.set_trailing_metadata(_metadata(call, None))
        return result


def _abort(context: grpc.ServicerContext, code: str, details: str) -> NoReturn:
    context.abort(grpc.StatusCode[code], details)
    raise AssertionError("abort raises")


async def _close(pieces: Any) -> None:
    await pieces.aclose()


def _grant(wish: asyncio.Future[Any], value: Any, error: Exception | None) -> None:
    if wish.done():
        return
    if error is None:
        wish.set_result(value)
    else:
        wish.set_exception(error)


def _parse(message: type, raw: bytes) -> Message:
    from google.protobuf.message import DecodeError

    try:
        return message.FromString(raw)  # type: ignore[attr-defined]
    except DecodeError:
        raise invalid(f"The message is not a {message.__name__}.", rule="protobuf") from None


def _serialize(message: Message) -> bytes:
    raw: bytes = message.SerializeToString()
    return raw


def _origin(context: grpc.ServicerContext) -> str | None:
    """The authority the client dialled; grpcio keeps it where only its own code looks."""
    details = getattr(getattr(context, "_rpc_event", None), "call_details", None)
    host = getattr(details, "host", None)
    return f"http://{host.decode()}" if isinstance(host, bytes) and host else None


def _metadata(call: Call, error: ApiError | None) -> tuple[tuple[str, str], ...]:
    """What REST says in headers."""
    pairs = [("x-emulator", VERSION)]
    if error is not None and error.rule:
        pairs.append(("x-emulator-rule", error.rule))
    pairs += [
        ("x-emulator-warning", sentence.encode("ascii", "backslashreplace").decode()) for sentence in call.warnings
    ]
    return tuple(pairs)


def _refuse(reason: str) -> grpc.RpcMethodHandler:
    def refuse(raw: bytes, context: grpc.ServicerContext) -> None:
        _abort(context, WIRE[Kind.NOT_EMULATED].grpc, reason)

    return grpc.unary_unary_rpc_method_handler(refuse)
