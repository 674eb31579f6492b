"""The effects of planned faults, and which of them can apply to which operation."""

from __future__ import annotations

import functools
import typing
from collections.abc import AsyncIterator, Hashable, Iterable
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from emulator.operations.base import Content, Operation, Stream
from emulator.pipeline.error_catalog import ERRORS, STATUSES

DELAY_SECONDS_MAX = 60

Status = Annotated[int, Meta(ge=400, le=599, description="A refusal with this HTTP status.")]
ErrorName = Annotated[str, Meta(description="A refusal by name; GET /_emulator/faults/vocabulary lists them.")]
Sentence = Annotated[str, Meta(max_length=2000, description="The message of the refusal, in place of the usual one.")]
RetryAfter = Annotated[int, Meta(ge=0, le=86_400, description="Seconds for the refusal's Retry-After header.")]
Delay = Annotated[float, Meta(ge=0, le=DELAY_SECONDS_MAX, description="Real seconds to wait before anything else.")]
Drop = Annotated[
    Literal["before", "after"], Meta(description="Reset the connection before or after the operation runs.")
]
CutUpload = Annotated[int, Meta(ge=0, le=2**40, description="Reset the connection once this many bytes were received.")]
CutDownload = Annotated[int, Meta(ge=0, le=2**40, description="End the connection once this many bytes were sent.")]
Rate = Annotated[int, Meta(ge=1, le=2**30, description="The rate of uploads and downloads, for a minute at most.")]


# Unusual behaviours of the real service -> their operation.
BEHAVIOURS: dict[str, str] = {
    "cancel_reverts": "batches.cancel",  # observed live, 2026-08: cancelled requests complete anyway
}
CutStream = Annotated[int, Meta(ge=0, le=2**31, description="End the connection once this many deltas were sent.")]
StallStream = Annotated[
    int, Meta(ge=0, le=2**31, description="Send nothing more after this many deltas, for a minute.")
]
Behaviour = Annotated[Literal["cancel_reverts"], Meta(description="A behaviour that the real service shows at times.")]


class BadFault(ValueError):
    """A fault that cannot be planned; the message has the reason."""


class Effect(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a planned fault does to a call."""

    error: ErrorName | None = None
    status: Status | None = None
    message: Sentence | None = None
    retry_after_seconds: RetryAfter | None = None
    delay_seconds: Delay | None = None
    drop: Drop | None = None
    cut_upload_after_bytes: CutUpload | None = None
    cut_download_after_bytes: CutDownload | None = None
    drip_bytes_per_second: Rate | None = None
    cut_stream_after_deltas: CutStream | None = None
    stall_stream_after_deltas: StallStream | None = None
    behaviour: Behaviour | None = None

    @property
    def refuses(self) -> bool:
        """Return whether the call ends with a refusal."""
        return self.error is not None or self.status is not None


# At most one of these can end a call. A cut upload ends with a refusal if one is given, else by closing the connection.
_ENDS = ("error", "status", "drop", "cut_upload_after_bytes", "cut_download_after_bytes", "cut_stream_after_deltas")
_TOGETHER = {("error", "cut_upload_after_bytes"), ("status", "cut_upload_after_bytes")}
_OF_A_REFUSAL = ("message", "retry_after_seconds")


def applicable(effect: Effect, operations: Iterable[Operation]) -> list[Operation]:
    """Return the operations that an effect can apply to. Raises BadFault if there is none."""
    _check(effect)
    operations = list(operations)
    reasons = [_lacking(effect, operation) for operation in operations]
    if None not in reasons:
        raise BadFault(reasons[0])
    return [operation for operation, reason in zip(operations, reasons, strict=True) if reason is None]


def _check(effect: Effect) -> None:
    """Reject unknown names, and effects that exclude each other."""
    given = [name for name in Effect.__struct_fields__ if getattr(effect, name) is not None]
    if not set(given) - set(_OF_A_REFUSAL):
        raise BadFault("a fault needs at least one effect")
    if effect.error is not None and effect.error not in ERRORS:
        raise BadFault(f"there is no error {effect.error!r}; known are {', '.join(sorted(ERRORS))}")
    if effect.status is not None and effect.status not in STATUSES:
        raise BadFault(f"no refusal has status {effect.status}; known are {', '.join(map(str, STATUSES))}")
    ends = [name for name in _ENDS if name in given]
    if len(ends) > 1 and tuple(ends) not in _TOGETHER:
        raise BadFault(f"{ends[0]} and {ends[1]} exclude each other: a call can only end once")
    if not effect.refuses and set(given) & set(_OF_A_REFUSAL):
        raise BadFault(f"{' and '.join(_OF_A_REFUSAL)} need a refusal: give an error or a status too")
    for name in ("drip_bytes_per_second", "stall_stream_after_deltas", "behaviour"):
        if name in given and len(ends) == 1 and (effect.refuses or effect.drop == "before"):
            raise BadFault(f"{name} and {ends[0]} exclude each other: a refused call has no download")


def _lacking(effect: Effect, operation: Operation) -> str | None:
    """Return why an effect cannot apply to an operation; None if it can apply."""
    up, down, stream = bool(uploads(operation.request)), downloads(operation.run), streams(operation.run)
    for name, moved in (
        ("cut_upload_after_bytes", up),
        ("cut_download_after_bytes", down),
        ("drip_bytes_per_second", up or down),
        ("cut_stream_after_deltas", stream),
        ("stall_stream_after_deltas", stream),
    ):
        if getattr(effect, name) is not None and not moved:
            return f"{name}: {operation.name} moves no such content"
    if effect.behaviour is not None and operation.name != BEHAVIOURS[effect.behaviour]:
        return f"behaviour: {effect.behaviour} is one of {BEHAVIOURS[effect.behaviour]}, not of {operation.name}"
    return None


@functools.cache
def uploads(request: Hashable) -> tuple[str, ...]:
    """Return the names of the fields of a request type that are streams of bytes or of chunks."""
    hints = typing.get_type_hints(request)
    return tuple(name for name, hint in hints.items() if any(_is_stream(part) for part in (hint, *_parts(hint))))


def _parts(hint: Any) -> tuple[Any, ...]:
    return typing.get_args(hint)


def _is_stream(hint: Any) -> bool:
    return typing.get_origin(hint) is AsyncIterator


@functools.cache
def downloads(run: Hashable) -> bool:
    """Return whether an operation returns content."""
    return typing.get_type_hints(run).get("return") is Content


@functools.cache
def streams(run: Hashable) -> bool:
    """Return whether an operation may return a stream of deltas."""
    returned = typing.get_type_hints(run).get("return")
    return Stream in (returned, *typing.get_args(returned))
