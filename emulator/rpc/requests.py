"""Read the messages of a method, and write its response."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import invalid
from emulator.operations.base import Content
from emulator.rpc.messages import timestamp

Message = Any  # built from descriptors at run time


def _read(content: Content) -> AsyncIterator[bytes]:
    return content.read()


class Method(msgspec.Struct, frozen=True):
    """One RPC: its operation, the conversion of its message to a request, and of a result to a message.

    `read` gets the message, or for a client stream an iterator of the bytes of its messages. `write` makes the
    response, or for a server stream the message of one of the `pieces` of a result. `keyless` marks the one RPC that
    xai-sdk sends without a key on insecure channels.
    """

    service: str
    name: str
    operation: str
    read: Callable[[Message], Any]
    write: Callable[[Any], Message]
    keyless: bool = False
    pieces: Callable[[Any], AsyncIterator[Any]] = _read


def parse(message_type: type[Message], raw: bytes) -> Message:
    """Decode a message."""
    from google.protobuf.message import DecodeError

    try:
        return message_type.FromString(raw)
    except DecodeError:
        raise invalid(f"The message is not a {message_type.__name__}.", rule="protobuf") from None


def optional(message: Message, field: str) -> Any:
    """Return a field's value, or None if the client did not set it."""
    return getattr(message, field) if message.HasField(field) else None


def enum_value(name: str, table: dict[int, Any], number: int) -> Any:
    """Return the value of an enum's number. Enums are open on the wire, so a number may be unknown."""
    if number not in table:
        raise invalid(f"Invalid {name}: {number} is not one of the known values.", rule="protobuf", param=name)
    return table[number]


def to_timestamp(instant: Instant | None) -> Message | None:
    """Return a Timestamp; None stays unset."""
    return None if instant is None else timestamp(instant)
