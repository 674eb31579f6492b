"""Operations, calls, and the types of their requests and results."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any, Literal, Protocol

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, printable
from emulator.core.limits import Confidence
from emulator.domain.chaos import ChaosState
from emulator.domain.chat.answers import Answer
from emulator.domain.keys import Plane, Principal
from emulator.state.services import Services
from emulator.state.teams import Team

Transport = Literal["rest", "grpc"]
Bytes = bytes | memoryview  # received bytes: a transport passes views of its buffers


class Operation(msgspec.Struct, frozen=True):
    """One verb of the API. Both transports, faults, the journal, the evidence and the docs use it by name.

    `confidence` and `source` say how the contract of the operation is known. With `decode_first` the body is decoded
    before the key is checked, as the real service does.
    """

    name: str
    plane: Plane
    request: type
    run: Callable[[Services, Call, Any], Awaitable[Any]]
    source: str
    confidence: Confidence = Confidence.DOCUMENTED
    decode_first: bool = False
    # Refuses a decoded request at once: before the key, if decoded first.
    screen: Callable[[Call, Any], None] | None = None


class Codec(Protocol):
    """Decodes wire bytes to JSON values. Used when the journal is read, not when a call is served."""

    def request(self, body: bytes) -> Any: ...

    def response(self, body: bytes) -> Any: ...

    def unread(self, body: bytes) -> list[str]:
        """The unknown fields of a request, if decoding did not find them."""
        ...


class Envelope(msgspec.Struct):
    """The metadata of a request for the journal, and its connection. Each transport has a subclass."""

    method: str = ""  # of HTTP, or the full name of an RPC
    target: str = ""  # the raw path and query
    headers: Sequence[tuple[bytes, bytes]] = ()
    codec: Codec | None = None
    body: bytes = b""  # of the request, unless it is an upload
    body_bytes: int = 0
    is_internal: bool = False  # such as from the console: not journalled, exempt from faults and chaos

    def drop(self) -> None:
        """Reset the connection."""

    def deadline_seconds(self) -> float | None:
        """Return the timeout of the client, if it sent one."""
        return None

    def retry(self) -> int | None:
        """Return the number of the retry, if the client sent one."""
        return None


class JournalEntry(Protocol):
    """A call's entry in the journal."""

    def refused(self, error: ApiError) -> None: ...

    def end(self, outcome: str | None = None) -> None: ...


class Call(msgspec.Struct):
    """One call in the pipeline; `pipeline/begin.py` creates it.

    `read` decodes the request; it is lazy, so that the pipeline decides when, and the journal sees refused calls too.
    """

    operation: Operation
    transport: Transport
    credentials: str | None
    secret: str | None  # the part of the key that is redacted everywhere
    principal: Principal  # the caller that the key names; authenticated by the pipeline
    team: Team
    at: Instant
    origin: str  # scheme and authority under which the caller reaches the emulator
    read: Callable[[Call], Awaitable[Any]]
    envelope: Envelope
    entry: JournalEntry
    warnings: list[str] = []
    unread: list[str] = []  # fields the client sent that the server ignores
    upload_hash: str | None = None  # BLAKE3 of what was uploaded
    faults: list[str] = []  # planned faults and chaos that applied, for `x-emulator-fault`
    behaviour: str | None = None  # a behaviour that a planned fault selects in the operation
    has_undocumented_key: bool = (
        False  # an inference key for collections, whose body has to satisfy a stricter contract
    )

    @property
    def chaos(self) -> ChaosState | None:
        """Return the chaos of the team; None if it is off, and for internal calls."""
        return None if self.envelope.is_internal else self.team.chaos

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Return the emulator's own headers, or trailing metadata, with faults and warnings."""
        met = [("x-emulator-fault", ", ".join(self.faults))] if self.faults else []
        return met + [("x-emulator-warning", printable(sentence)) for sentence in self.warnings]

    def warn(self, sentence: str) -> None:
        """Add a warning to `x-emulator-warning` of the response."""
        self.warnings.append(sentence)


class NoParameters(msgspec.Struct, frozen=True):
    """The request of an operation that has no parameters."""


class Reader(Protocol):
    """Reads the bytes [start, stop) of some content in pieces; stop of None is the end."""

    def __call__(self, start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]: ...


class Stream(msgspec.Struct, frozen=True):
    """An answer that is sent in deltas (`domain/chat/deltas.py`); a transport renders each as its events."""

    answer: Answer
    read: Callable[[], AsyncIterator[Any]]
    include_usage: bool = False  # whether the last event has the usage, where the client chooses


class Content(msgspec.Struct, frozen=True):
    """Bytes to send."""

    size: int
    content_type: str
    read: Reader
