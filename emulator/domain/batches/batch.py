"""Batches: their requests, kinds and states, and the checks of new requests."""

from __future__ import annotations

import enum
from typing import Any

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits
from emulator.domain.speeds import STAGE, first_due
from emulator.domain.transitions import step


class RequestKind(enum.Enum):
    """The kind of a request; the values are the keys in `batch_request` (Batch reference).

    A request is always stored as the JSON body of the REST endpoint of its kind, whichever transport it came
    through.
    """

    CHAT = "chat_get_completion"
    RESPONSES = "responses"
    IMAGE_GENERATION = "image_generation"
    IMAGE_EDIT = "image_edit"
    VIDEO_GENERATION = "video_generation"  # an edit if the body has a `video`
    VIDEO_EXTENSION = "video_extension"


class ResultKind(enum.Enum):
    """The kind of a result; the values are the keys in `batch_result.response`."""

    CHAT = "chat_get_completion"
    IMAGE = "image_generation"
    VIDEO = "video_generation"


class KindRow(msgspec.Struct, frozen=True):
    """One kind of request. Only the chat endpoint's name was observed; the others follow its pattern."""

    result: ResultKind
    endpoint: str


KINDS: dict[RequestKind, KindRow] = {
    RequestKind.CHAT: KindRow(ResultKind.CHAT, "xai_api.Chat/GetCompletion"),
    RequestKind.RESPONSES: KindRow(ResultKind.CHAT, "xai_api.Chat/GetCompletion"),  # observed live, 2026-08
    RequestKind.IMAGE_GENERATION: KindRow(ResultKind.IMAGE, "xai_api.Image/GenerateImage"),
    RequestKind.IMAGE_EDIT: KindRow(ResultKind.IMAGE, "xai_api.Image/GenerateImage"),
    RequestKind.VIDEO_GENERATION: KindRow(ResultKind.VIDEO, "xai_api.Video/GenerateVideo"),
    RequestKind.VIDEO_EXTENSION: KindRow(ResultKind.VIDEO, "xai_api.Video/ExtendVideo"),
}

# Refused for batches (observed live, August and September 2026); every other name is accepted.
UNSUPPORTED_MODELS = frozenset(
    {"grok-4.5", "grok-4.6", "grok-4.7", "grok-3-mini", "grok-build-0.1", "grok-code-fast-1"}
)


class Phase(enum.Enum):
    """The state of a batch. The API does not show it, only counters and times."""

    OPEN = "open"  # accepts requests
    VALIDATING = "validating"  # its input file is being read; none of its requests counts yet
    SEALED = "sealed"  # was created from a file, accepts no more requests
    CANCELLED = "cancelled"
    EXPIRED = "expired"


_CLOSED = frozenset({Phase.CANCELLED, Phase.EXPIRED})
PHASES: dict[Phase, frozenset[Phase]] = {
    Phase.OPEN: _CLOSED,
    Phase.VALIDATING: _CLOSED | {Phase.SEALED},
    Phase.SEALED: _CLOSED,
    Phase.CANCELLED: frozenset(),
    Phase.EXPIRED: frozenset(),
}


class State(enum.Enum):
    """The state of a request; the values are those of `batch_request_metadata.state`."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


# A request leaves CANCELLED in a race of the real service, which happens only if a team enables it
# (observed live, 2026-08: five cancelled requests were five successes twenty seconds later).
STATES: dict[State, frozenset[State]] = {
    State.PENDING: frozenset({State.SUCCEEDED, State.FAILED, State.CANCELLED}),
    State.SUCCEEDED: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset({State.SUCCEEDED, State.FAILED}),
}


class Batch(msgspec.Struct, frozen=True):
    """A batch. A request that is not finished counts as pending while the batch is active, and as cancelled afterwards:
    so the sum of the counters is always correct.
    """

    id: str
    name: str
    created_at: Instant
    expires_at: Instant
    created_by: str  # the id of a key
    input_file_id: str | None
    input_blob: str | None
    phase: Phase
    closed_at: Instant | None = None
    cancelled_because: str | None = None  # set if the user did not cancel it
    cancel_reverts: bool = False  # the requests are processed although the batch is cancelled
    num_requests: int = 0
    num_success: int = 0
    num_error: int = 0
    read_bytes: int = 0  # of the input file, so far
    read_lines: int = 0
    seq: int = 0  # assigned by the store

    @property
    def closed(self) -> bool:
        return self.phase in _CLOSED

    @property
    def cancelled_at(self) -> Instant | None:
        return self.closed_at if self.phase is Phase.CANCELLED else None

    @property
    def num_unfinished(self) -> int:
        return self.num_requests - self.num_success - self.num_error

    @property
    def num_pending(self) -> int:
        return 0 if self.closed else self.num_unfinished

    @property
    def num_cancelled(self) -> int:
        return self.num_unfinished if self.closed else 0


class NewRequest(msgspec.Struct, frozen=True):
    """A new request for a batch; an id of None will be generated."""

    id: str | None
    kind: RequestKind
    body: dict[str, Any]


class Failure(msgspec.Struct, frozen=True):
    """Why a request failed. REST shows the message alone, gRPC also a code."""

    kind: Kind
    message: str


class Request(msgspec.Struct, frozen=True):
    """A request of a batch, without its body. `outcome` is the JSON of the result, a failure, or None while neither is
    known. `size` is that of the body, or of its line in the input file, which begins at `offset`."""

    id: str
    kind: RequestKind
    model: str
    created_at: Instant
    finished_at: Instant | None
    outcome: bytes | Failure | None
    size: int
    offset: int | None
    seq: int


def state_of(batch: Batch, request: Request) -> State:
    """Return the state of a request: unfinished requests are cancelled when their batch ends."""
    if request.outcome is None:
        return State.CANCELLED if batch.closed else State.PENDING
    return State.FAILED if isinstance(request.outcome, Failure) else State.SUCCEEDED


def finish(batch: Batch, request: Request, outcome: bytes | Failure) -> State:
    """Return the state of a request with this outcome."""
    target = State.FAILED if isinstance(outcome, Failure) else State.SUCCEEDED
    return step(STATES, state_of(batch, request), target)


def cancelled_outcome(batch: Batch) -> Failure:
    """Return the outcome of a request that was cancelled with its batch."""
    word = "expired" if batch.phase is Phase.EXPIRED else "cancelled"
    return Failure(Kind.ABORTED, f"Batch {word}")  # "Batch cancelled": observed live, 2026-08


# --- what may be added


def check_open(batch: Batch) -> None:
    """Refuse to add requests to a batch that accepts none."""
    if batch.input_file_id is not None:
        raise ApiError(
            Kind.FAILED_PRECONDITION, "Cannot add inline requests to a file-based batch", rule="file_based_batch"
        )
    if batch.closed:
        word = "an expired" if batch.phase is Phase.EXPIRED else "a cancelled"
        raise ApiError(Kind.PERMISSION_DENIED, f"Cannot add requests to {word} batch", rule="closed_batch")


def model_of(body: dict[str, Any]) -> str:
    """Return the model of a request as it was submitted; empty if it has none."""
    model = body.get("model")
    return model if isinstance(model, str) else ""


def check_model(model: str) -> None:
    """Refuse a model that batches do not support, with the recorded message."""
    if model in UNSUPPORTED_MODELS:
        raise invalid(f"Model {model} is not supported for batch processing.", rule="batch_model", param="model")


def check_size(size: int, limits: Limits) -> None:
    """Refuse a request whose body is too large; `size` is in bytes of JSON."""
    most = limits.batch_request_bytes_max
    if most is not None and size > most:
        raise ApiError(
            Kind.PAYLOAD_TOO_LARGE,
            f"A batch request may have at most {most} bytes, this one has {size}.",
            rule="batch_request_bytes_max",
        )


def content_conflict(id: str) -> ApiError:
    """Return the refusal of an id that exists with other content."""
    return ApiError(
        Kind.FAILED_PRECONDITION,
        f"batch_request_id '{id}' content differs from originally submitted",
        rule="batch_request_id",
    )


def canonical(kind: RequestKind, body: Any) -> bytes:
    """Return the content of a request in a canonical form: an absent member is the same as null, and 1.0 as 1."""
    return msgspec.json.encode([kind.value, _plain(body)], order="sorted")


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(member) for key, member in value.items() if member is not None}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


# --- when requests are processed

_STAGES = 4
FILE_GAP = 3 * MICROSECONDS  # a batch from a file shows no requests for its first seconds (observed live, 2026-10)


def file_due(speed: str, at: Instant) -> Instant | None:
    """Return when the input file of a batch that is created at an instant is read; None if it waits for release."""
    return first_due(speed, at, FILE_GAP)


def due(speed: str, at: Instant, index: int = 0) -> Instant | None:
    """Return when requests that are added at an instant are processed; at realistic speed a quarter of them at a time.

    None waits for release.
    """
    first = first_due(speed, at)
    return later(first, STAGE * (index % _STAGES)) if speed == "realistic" and first is not None else first
