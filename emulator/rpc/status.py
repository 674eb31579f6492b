"""Refusals of gRPC calls: a status, a message of bounded length and, as metadata, the headers of REST."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NoReturn

import grpc

from emulator.core.errors import WIRE, ApiError, printable
from emulator.core.version import VERSION
from emulator.operations.base import Call
from emulator.rpc.requests import Message, parse

Trailers = tuple[tuple[str, str], ...]  # trailing metadata

DETAILS_BYTES_MAX = 4096  # of an encoded message; clients that get more than 8 KiB may drop the whole response


def abort(context: grpc.ServicerContext, code: str, details: str) -> NoReturn:
    """End a call with a status. Raises, so that grpcio notices the end of the call."""
    context.abort(grpc.StatusCode[code], within_a_header(details))
    raise AssertionError("abort raises")


def parse_or_abort(message_type: type[Message], raw: bytes, context: grpc.ServicerContext) -> Message:
    """Decode the request of a call that is no operation, or end the call."""
    try:
        return parse(message_type, raw)
    except ApiError as error:
        context.set_trailing_metadata(metadata(None, error))
        abort(context, WIRE[error.kind].grpc, error.message)


def within_a_header(details: str) -> str:
    """Return a message that clients accept: as a header, in which all but printable ASCII takes three bytes."""
    left = DETAILS_BYTES_MAX
    for place, byte in enumerate(raw := details.encode()):
        left -= 1 if 0x20 <= byte <= 0x7E and byte != ord("%") else 3
        if left < 0:
            return raw[:place].decode("utf-8", "ignore") + "…"
    return details


def metadata(call: Call | None, error: ApiError | None) -> Trailers:
    """Return the trailing metadata of a call, or of one without a method."""
    labels = [] if call is None else call.labels
    return (("x-emulator", VERSION), *labels, *(error.labels if error is not None else ()))


def noted(pairs: Iterable[tuple[str, str]], error: ApiError | None = None) -> list[tuple[bytes, bytes]]:
    """Return metadata as headers of the journal, with the message of a refusal under its name on the wire."""
    message = [] if error is None else [("grpc-message", printable(within_a_header(error.message)))]
    return [(name.encode(), value.encode()) for name, value in (*pairs, *message)]
