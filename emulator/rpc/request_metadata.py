"""The metadata of an RPC: the journal's view of its messages, the client's deadline and retry, and its connection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from emulator.operations.base import Envelope
from emulator.rpc.messages import unknown_fields
from emulator.rpc.requests import Message

_FAR_AWAY_SECONDS = 10 * 365 * 86_400  # grpc's value for no deadline


class MessageCodec:
    """The messages of a method, as JSON for the journal.

    Bytes are replaced by their number: they may be a whole file.
    """

    def __init__(self, request_type: type, response_type: type) -> None:
        self.request_type, self.response_type = request_type, response_type

    def request(self, body: bytes) -> Any:
        return _shown(_parsed(self.request_type, body))

    def response(self, body: bytes) -> Any:
        return _shown(_parsed(self.response_type, body))

    def unread(self, body: bytes) -> list[str]:
        return unknown_fields(_parsed(self.request_type, body))


def _parsed(message_type: type, body: bytes) -> Message:
    """Decode a message. Raises ValueError for invalid or truncated bytes."""
    from google.protobuf.message import DecodeError

    try:
        return message_type.FromString(body)  # type: ignore[attr-defined]  # message classes are made at run time
    except DecodeError as error:
        raise ValueError(str(error)) from None


def _shown(message: Message) -> dict[str, Any]:
    """Return a message by the names of its fields. `MessageToDict` would include the content of bytes."""
    return {field.name: _value(field, value) for field, value in message.ListFields()}


def _value(field: Any, value: Any) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        return {str(key): item for key, item in value.items()}  # the maps of the contract contain text
    if is_repeated(field):
        return [_item(field, item) for item in value]
    return _item(field, value)


def is_repeated(field: Any) -> bool:
    """Return whether a field is repeated: newer versions of protobuf have an attribute, older ones a label."""
    return bool(field.is_repeated if hasattr(field, "is_repeated") else field.label == field.LABEL_REPEATED)


def _item(field: Any, value: Any) -> Any:
    if field.message_type is not None:
        return _shown(value)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    return f"{len(value)} bytes" if isinstance(value, bytes) else value


class RpcEnvelope(Envelope):
    """The metadata of an RPC."""

    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    remaining_seconds: float | None = None
    drop_connection: Callable[[], None] = lambda: None

    def drop(self) -> None:
        """Reset the connection."""
        self.drop_connection()

    def deadline_seconds(self) -> float | None:
        """Return the time from the arrival of the call to the deadline."""
        seconds = self.remaining_seconds
        return None if seconds is None or seconds > _FAR_AWAY_SECONDS else seconds

    def retry(self) -> int | None:
        """Return the number of previous attempts, as grpc reports its own retries."""
        text = self.metadata.get("grpc-previous-rpc-attempts")
        return int(text) if isinstance(text, str) and text.isascii() and text.isdigit() else None


def envelope_of(full_name: str, metadata: Mapping[str, Any], codec: MessageCodec | None) -> RpcEnvelope:
    """Return the metadata of a call, or of one without a method."""
    headers = [(key.encode(), value.encode()) for key, value in metadata.items() if isinstance(value, str)]
    return RpcEnvelope("POST", f"/{full_name}", headers, codec, metadata=metadata)
