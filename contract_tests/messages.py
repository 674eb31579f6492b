"""Protobuf messages as plain values, and as the JSON of REST spells the same thing."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def plain(message: Any) -> dict[str, Any]:
    """Return every field of a message by its name; one that is not set is None if it has presence, else the default.

    Timestamps are as RFC 3339, enums their names.
    """
    return {field.name: _value(message, field) for field in message.DESCRIPTOR.fields}


def unknown_name(declared: Any, fields: Mapping[str, Any]) -> str | None:
    """Return a field or an enum value in the fields of a message, at any depth, that its descriptor does not have."""
    for name, value in fields.items():
        field = declared.fields_by_name.get(name)
        if field is None:
            return name
        for each in value if isinstance(value, list | tuple) else [value]:
            found = None
            if field.enum_type is not None:
                found = each if isinstance(each, str) and each not in field.enum_type.values_by_name else None
            elif isinstance(each, Mapping) and not field.message_type.GetOptions().map_entry:
                found = unknown_name(field.message_type, each)
            if found is not None:
                return found
    return None


def _value(message: Any, field: Any) -> Any:
    found = getattr(message, field.name)
    if hasattr(found, "append") or hasattr(found, "add"):
        return [_one(each, field) for each in found]
    if isinstance(found, Mapping):
        return dict(found)
    if field.has_presence and not message.HasField(field.name):
        return None
    return _one(found, field)


def _one(value: Any, field: Any) -> Any:
    if field.enum_type is not None:
        known = field.enum_type.values_by_number.get(value)
        return value if known is None else known.name  # an older library has fewer values
    if field.message_type is None:
        return value
    if field.message_type.full_name == "google.protobuf.Timestamp":
        return (_EPOCH + timedelta(seconds=value.seconds, microseconds=value.nanos // 1000)).isoformat()
    return plain(value)


def disagreement(message: Any, shown: Any, where: str = "") -> str | None:
    """Return where a message as plain values differs from the JSON of REST, or None.

    Spelled in two ways are: int64 (also a string in JSON), enums (with a prefix in protobuf), times (dates, Unix
    seconds or timestamps in JSON), floats (32 bits in protobuf), and what is not set (left out, null or the default).
    """
    if isinstance(message, dict) and isinstance(shown, dict):
        found = (disagreement(each, shown.get(key), f"{where}.{key}".lstrip(".")) for key, each in message.items())
        return next((reason for reason in found if reason is not None), None)
    if isinstance(message, list) and isinstance(shown, list) and len(message) == len(shown):
        pairs = enumerate(zip(message, shown, strict=True))
        found = (disagreement(each, other, f"{where}[{number}]") for number, (each, other) in pairs)
        return next((reason for reason in found if reason is not None), None)
    if _same(message, shown):
        return None
    return f"{where or 'the value'} is {message!r} over gRPC and {shown!r} over REST"


def _same(message: Any, shown: Any) -> bool:
    if not message and not shown:
        return True  # unset on both sides
    if isinstance(message, int) and isinstance(shown, str):
        return str(message) == shown
    if isinstance(message, float) and isinstance(shown, int | float):
        return abs(message - shown) <= 1e-6 * abs(shown)
    if isinstance(message, str) and isinstance(shown, int):
        return int(datetime.fromisoformat(message).timestamp()) == shown
    if isinstance(message, str) and isinstance(shown, str) and message != shown:
        return _same_text(message, shown)
    return bool(message == shown)


def _same_text(message: str, shown: str) -> bool:
    """Whether two texts are one time, one date, or one word of an enum."""
    if message.lower().endswith(f"_{shown.lower()}"):
        return True
    try:
        moment = datetime.fromisoformat(message)
        return moment.date().isoformat() == shown if len(shown) == 10 else moment == datetime.fromisoformat(shown)
    except (ValueError, TypeError):
        return False
