"""Convert messages to JSON values and back, by the names of their fields, for recordings.

Bytes become their number and hash, because base64 would hide the content of a file from a search.
"""

from __future__ import annotations

import base64
from functools import cache
from typing import Any

from blake3 import blake3

from emulator.rpc.messages import load, unknown_fields
from emulator.rpc.request_metadata import is_repeated
from emulator.rpc.requests import Message

BYTES = "_bytes"
BYTES_MAX = 512 * 1024 * 1024  # of generated filler bytes
_FILLER = b"left out "


@cache
def message_types(method: str) -> tuple[type[Message], type[Message]] | None:
    """Return the classes of the request and the response of `/service/Method`; None for an unknown method."""
    service, _, name = method.removeprefix("/").rpartition("/")
    try:
        declared = load().service(service).methods_by_name[name]
    except KeyError:
        return None
    return load().message(declared.input_type.full_name), load().message(declared.output_type.full_name)


def to_plain(message_type: type[Message], raw: bytes, *, keep_bytes: bool = False) -> tuple[dict[str, Any], list[str]]:
    """Return a message as JSON values, and the paths of its undeclared fields. Raises ValueError."""
    from google.protobuf.message import DecodeError

    try:
        message = message_type.FromString(raw)
    except DecodeError as error:
        raise ValueError(str(error)) from None
    return _plain(message, keep_bytes), unknown_fields(message)


def _plain(message: Message, keep_bytes: bool) -> Any:
    if message.DESCRIPTOR.full_name.startswith("google.protobuf."):  # a timestamp, or JSON values of any form
        from google.protobuf.json_format import MessageToDict

        return MessageToDict(message, descriptor_pool=load().pool)
    return {field.name: _value(field, value, keep_bytes) for field, value in message.ListFields()}


def _value(field: Any, value: Any, keep_bytes: bool) -> Any:
    if field.message_type is not None and field.message_type.GetOptions().map_entry:
        item = field.message_type.fields_by_name["value"]
        return {str(key): _item(item, each, keep_bytes) for key, each in value.items()}
    if is_repeated(field):
        return [_item(field, item, keep_bytes) for item in value]
    return _item(field, value, keep_bytes)


def _item(field: Any, value: Any, keep_bytes: bool) -> Any:
    if field.message_type is not None:
        return _plain(value, keep_bytes)
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name
    if isinstance(value, bytes):
        if keep_bytes:
            return {BYTES: len(value), "_base64": base64.b64encode(value).decode()}
        return {BYTES: len(value), "_blake3": blake3(value).hexdigest()}
    return value


def from_plain(message_type: type[Message], value: Any) -> bytes:
    """Return the message for JSON values of a recording. Raises ValueError if they fit no such message.

    Omitted bytes are replaced by filler of the same length.
    """
    from google.protobuf.json_format import ParseDict, ParseError

    try:
        message = ParseDict(filled(value), message_type(), descriptor_pool=load().pool)
    except (ParseError, ValueError, TypeError, AttributeError) as error:
        raise ValueError(str(error)) from None
    return bytes(message.SerializeToString())


def filled(value: Any) -> Any:
    """Return JSON values of a recording as protobuf's JSON has them: bytes in base64, or filler of the same length."""
    match value:
        case {"_bytes": int(), "_base64": str(content)}:
            return content
        case {"_bytes": int(size)}:
            if size > BYTES_MAX:
                raise ValueError(f"{size} bytes are more than a message has")
            return base64.b64encode(fill(size)).decode()
        case dict():
            return {name: filled(item) for name, item in value.items()}
        case list():
            return [filled(item) for item in value]
        case _:
            return value


def fill(size: int) -> bytes:
    """Return filler text of a length in bytes."""
    return (_FILLER * (size // len(_FILLER) + 1))[:size]
