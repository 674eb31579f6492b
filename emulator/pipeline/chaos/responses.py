"""Chaos in responses: fields and values that the contract does not declare, in JSON and in protobuf messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

import msgspec

from emulator.domain.chaos import ChaosFlag, ChaosState
from emulator.operations.base import Call
from emulator.pipeline.chaos import has_flag, report
from emulator.pipeline.chaos.observed import with_error_objects

T = TypeVar("T")

ONE_IN_UNKNOWN = 4
UNORDERED = frozenset({"acls", "field_definitions"})  # lists without a documented order
OPEN_ENUMS = frozenset(
    {"processing_status", "state", "status", "upload_status", "zdr_status"}
)  # enums that may get more values
CALLER_DEFINED = frozenset({"fields"})  # names and values come from the caller, so they are not altered
UNKNOWN_VALUE = "UNHEARD_OF"
UNKNOWN_FIELD = "x_unheard_of"
UNKNOWN_NUMBER = 4242
# Field 4242, a varint of 1: https://protobuf.dev/programming-guides/encoding
UNKNOWN_FIELD_BYTES = bytes((0x90, 0x89, 0x02, 0x01))


def alter_json(call: Call, body: bytes) -> bytes:
    """Return the JSON body of a response with the additions of the flags."""
    state = call.chaos
    if state is None:
        return body
    value = msgspec.json.decode(body)
    if state.has(ChaosFlag.ERROR_OBJECTS) and call.operation.name == "batches.list_results":
        report(call, ChaosFlag.ERROR_OBJECTS)
        value = with_error_objects(value)
    if _has_unknown_values(call):
        value = _with_unknown_values(call, value)
    if state.has(ChaosFlag.UNKNOWN_FIELDS):
        report(call, ChaosFlag.UNKNOWN_FIELDS)
        value = _with_unknown_fields(value)
    if state.has(ChaosFlag.SHUFFLED):
        report(call, ChaosFlag.SHUFFLED)
        value = _shuffled(state, value)
    return msgspec.json.encode(value)


def encode_message(call: Call, message: Any) -> bytes:
    """Serialize the protobuf message of a response with the additions of the flags."""
    if _has_unknown_values(call) and _set_unknown_enums(message):
        report(call, ChaosFlag.UNKNOWN_VALUES)
    raw: bytes = message.SerializeToString()
    if has_flag(call, ChaosFlag.UNKNOWN_FIELDS):
        report(call, ChaosFlag.UNKNOWN_FIELDS)
        raw += UNKNOWN_FIELD_BYTES
    return raw


def _has_unknown_values(call: Call) -> bool:
    state = call.chaos
    return state is not None and state.has(ChaosFlag.UNKNOWN_VALUES) and state.random("values", ONE_IN_UNKNOWN) == 0


def _with_unknown_values(call: Call, value: Any) -> Any:
    if isinstance(value, list):
        return [_with_unknown_values(call, item) for item in value]
    if not isinstance(value, dict):
        return value
    changed: dict[str, Any] = {}
    for name, item in value.items():
        if name in OPEN_ENUMS and isinstance(item, str):
            report(call, ChaosFlag.UNKNOWN_VALUES)
            changed[name] = UNKNOWN_VALUE
        else:
            changed[name] = item if name in CALLER_DEFINED else _with_unknown_values(call, item)
    return changed


def _with_unknown_fields(value: Any) -> Any:
    if isinstance(value, list):
        return [_with_unknown_fields(item) for item in value]
    if not isinstance(value, dict):
        return value
    changed = {name: item if name in CALLER_DEFINED else _with_unknown_fields(item) for name, item in value.items()}
    return {**changed, UNKNOWN_FIELD: {"since": "tomorrow"}}


def _shuffled(state: ChaosState, value: Any, name: str = "") -> Any:
    if isinstance(value, list):
        items = [_shuffled(state, item) for item in value]
        return _permuted(state, items, name) if name in UNORDERED else items
    if not isinstance(value, dict):
        return value
    members = [(key, _shuffled(state, item, key)) for key, item in value.items()]
    return dict(_permuted(state, members, "members"))


def _permuted(state: ChaosState, items: list[T], purpose: str) -> list[T]:
    """Return the items in an order determined by the seed (Fisher-Yates)."""
    items = list(items)
    for last in range(len(items) - 1, 0, -1):
        other = state.random(f"{purpose} {last}", last + 1)
        items[last], items[other] = items[other], items[last]
    return items


def _set_unknown_enums(message: Any) -> bool:
    """Set every open enum in a message to an undeclared number; return whether there was one."""
    changed = False
    for field, value in message.ListFields():
        if field.enum_type is not None:
            if field.name in OPEN_ENUMS and isinstance(value, int):  # and not a list
                setattr(message, field.name, UNKNOWN_NUMBER)
                changed = True
        elif field.message_type is not None and field.name not in CALLER_DEFINED and not isinstance(value, Mapping):
            for each in [value] if hasattr(value, "ListFields") else value:
                changed = _set_unknown_enums(each) or changed
    return changed
