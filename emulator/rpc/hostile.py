"""Hostile mode over gRPC: messages with fields and enum values that the contract does not declare."""

from __future__ import annotations

from typing import Any

from emulator.domain.hostility import Switch
from emulator.operations.base import Call
from emulator.pipeline.hostile import OPEN_WORDS, THE_CALLERS_OWN, has_unknown_words, tell, traps
from emulator.rpc.envelope import is_repeated
from emulator.rpc.reading import Message

UNKNOWN_NUMBER = 4242
_UNKNOWN_FIELD = bytes(
    (0x90, 0x89, 0x02, 0x01)
)  # field 4242, a varint of 1: https://protobuf.dev/programming-guides/encoding


def serialize(call: Call, message: Message) -> bytes:
    """The bytes of an answer, in hostile mode with all that a client must not stumble over."""
    if has_unknown_words(call) and _set_unknown(message):
        tell(call, Switch.UNKNOWN_VALUES)
    raw: bytes = message.SerializeToString()
    if traps(call, Switch.UNKNOWN_FIELDS):
        tell(call, Switch.UNKNOWN_FIELDS)
        raw += _UNKNOWN_FIELD
    return raw


def _set_unknown(message: Message) -> bool:
    """Give every open word of a message a number nobody knows; whether there was one."""
    changed = False
    for field, value in message.ListFields():
        if field.enum_type is not None and field.name in OPEN_WORDS and not is_repeated(field):
            setattr(message, field.name, UNKNOWN_NUMBER)
            changed = True
        elif field.message_type is not None and field.name not in THE_CALLERS_OWN and not _is_map(field):
            for each in value if is_repeated(field) else (value,):
                changed = _set_unknown(each) or changed
    return changed


def _is_map(field: Any) -> bool:
    return bool(field.message_type.GetOptions().map_entry)
