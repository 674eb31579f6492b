"""The standard health service: every service is SERVING as long as the server responds.

For an unknown service Check returns NOT_FOUND and Watch SERVICE_UNKNOWN. The calls need no key and are not in the
journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc

from emulator.rpc.call_threads import CallThreads
from emulator.rpc.messages import infrastructure
from emulator.rpc.reflection import services
from emulator.rpc.requests import Message
from emulator.rpc.status import abort, parse_or_abort

SERVICE = "grpc.health.v1.Health"
NAME_CHARS_MAX = 200  # of a name from the client
SERVING, SERVICE_UNKNOWN = 1, 3  # HealthCheckResponse.ServingStatus


def handlers(unary: CallThreads, streams: CallThreads) -> dict[str, grpc.RpcMethodHandler]:
    """Return the handlers of the three methods by their full names."""
    return {
        f"{SERVICE}/Check": _unary(check, "HealthCheckRequest", unary),
        f"{SERVICE}/List": _unary(list_all, "HealthListRequest", unary),
        f"{SERVICE}/Watch": _watch(streams),
    }


def check(request: Message, context: grpc.ServicerContext) -> Message:
    """Return the status of a service; the empty name is the server as a whole."""
    if not _is_served(request.service):
        abort(context, "NOT_FOUND", f"There is no service {request.service[:NAME_CHARS_MAX]} here.")
    return _status(SERVING)


def list_all(request: Message, context: grpc.ServicerContext) -> Message:
    """Return the status of every service."""
    return _message("HealthListResponse")(statuses={name: _status(SERVING) for name in ["", *services()]})


def _unary(
    behaviour: Callable[[Message, grpc.ServicerContext], Message], request: str, threads: CallThreads
) -> grpc.RpcMethodHandler:
    def run(raws: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        message = parse_or_abort(_message(request), threads.only_message(raws, context), context)
        answer: bytes = behaviour(message, context).SerializeToString()
        return answer

    return grpc.stream_unary_rpc_method_handler(threads.runs(run))


def _watch(threads: CallThreads) -> grpc.RpcMethodHandler:
    """Send the status of a service and keep the stream open, without a thread: it does not change."""

    def watch(raws: Iterator[bytes], context: grpc.ServicerContext, send: Callable[[bytes], None]) -> None:
        message = parse_or_abort(_message("HealthCheckRequest"), threads.only_message(raws, context), context)
        status = SERVING if _is_served(message.service) else SERVICE_UNKNOWN
        with threads.waiting_for_client(context):
            send(_status(status).SerializeToString())

    watch.experimental_non_blocking = True  # type: ignore[attr-defined]  # makes grpcio pass `send`
    return grpc.stream_stream_rpc_method_handler(threads.runs(watch))


def _is_served(name: str) -> bool:
    return name == "" or name in services()


def _message(name: str) -> type[Message]:
    return infrastructure().message(f"grpc.health.v1.{name}")


def _status(number: int) -> Message:
    return _message("HealthCheckResponse")(status=number)
