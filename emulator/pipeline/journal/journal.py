"""A bounded record of calls: the caller, the request, the transport and the outcome.

Recording is cheap: bodies are kept as bytes, truncated, and decoded only when the journal is read
(`pipeline/journal/views.py`). Keys are never stored; uploads and downloads are stored as length and hash.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import cast

from emulator.core.clock import Instant, monotonic_ms, wall
from emulator.core.errors import ApiError
from emulator.core.redaction import REDACTED
from emulator.operations.base import Call, Codec, Envelope, Transport
from emulator.pipeline.journal.call_totals import Calls, CallTotals
from emulator.pipeline.redact import presented, strike

ENTRIES_MAX = 2_000  # of one team
BYTES_MAX = 4 * 1024 * 1024  # of one team
ALL_BYTES_MAX = 64 * 1024 * 1024  # of all teams; beyond it the team with the most evicts entries
BODY_BYTES_MAX = 8 * 1024
TARGET_BYTES_MAX = 2 * 1024
HEADER_BYTES_MAX = 512
REASON_CHARS_MAX = 512
WATCHED_MAX = 1_000  # entries that wait for a slow listener; more are dropped and counted

_ENTRY_BYTES = 1_500  # roughly, without the bodies

# The only headers and metadata that are kept: they identify clients and their attempts.
HEADERS_KEPT = frozenset(
    (
        *(b"user-agent", b"content-type", b"content-length", b"range", b"x-client-request-id"),
        *(b"x-stainless-lang", b"x-stainless-package-version", b"x-stainless-read-timeout", b"x-stainless-retry-count"),
        *(b"xai-sdk-version", b"xai-sdk-language"),
        b"traceparent",  # W3C Trace Context: the trace that a call is part of
    )
)


class Body:
    """The kept bytes of a request or response, maybe truncated. `hash` is the BLAKE3 of all bytes."""

    truncated = False
    hash: str | None = None  # computed here only if the kept bytes will differ from the received ones

    def __init__(self, body: bytes, secret: str | None) -> None:
        self.size = len(body)
        if secret is None and self.size <= BODY_BYTES_MAX:
            self.kept = body
            return
        self.truncated = self.size > BODY_BYTES_MAX
        key = b"" if secret is None else secret.encode("utf-8", "surrogateescape")
        if self.truncated or (key and key in body):
            self.hash = blake3_of(body)
        if key:
            body = body[: BODY_BYTES_MAX + len(key)].replace(key, REDACTED.encode())
        self.kept = body[:BODY_BYTES_MAX]


class Length:
    """The length of an upload or download and, where known, its BLAKE3."""

    kept = b""

    def __init__(self, size: int | None, hash: str | None = None) -> None:
        self.size, self.hash = size, hash


class Entry:
    """One call, or a request that matches no route and so has no operation."""

    # Defaults of the class: cheaper than to set each one on every entry.
    outcome: str | None = None  # "ok" or the kind of the refusal; None while the call runs
    rule: str | None = None
    reason: str | None = None  # of a request without an operation
    faults: tuple[str, ...] = ()
    status: int | str | None = None  # of HTTP, or the name of a gRPC code; None if there was no response
    ms: float = 0.0
    request: Body | Length | None = None
    response: Body | Length | None = None
    response_headers: Sequence[tuple[bytes, bytes]] = ()  # over gRPC the metadata
    unread: Iterable[str] = ()
    warnings: Iterable[str] = ()
    size = 0  # in bytes, once the call has ended
    is_removed = False  # from the ring, maybe before the call ended
    ring: Ring  # kept here because a new team of the same name may have another ring by the end of the call

    def __init__(
        self, number: int, at: Instant, transport: Transport, operation: str | None, envelope: Envelope
    ) -> None:
        self.number, self.at, self.transport, self.operation = number, at, transport, operation
        self.real_at = wall()
        self.method, self.target = envelope.method, envelope.target[:TARGET_BYTES_MAX]
        self.headers: Sequence[tuple[bytes, bytes]] = [
            (name, value[:HEADER_BYTES_MAX]) for name, value in envelope.headers if name in HEADERS_KEPT
        ]
        self.codec: Codec | None = envelope.codec
        self._started = monotonic_ms()

    def refused(self, error: ApiError) -> None:
        """Record that the call ends with a refusal."""
        self.outcome, self.rule = error.kind.name, error.rule

    def end(self, outcome: str | None = None) -> None:
        """Record the duration of the operation, and the outcome if there is none yet."""
        self.ms = monotonic_ms() - self._started
        self.outcome = outcome or self.outcome or "ok"


class Watcher:
    """A bounded queue of completed entries for one listener, with a count of those dropped."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting: deque[tuple[int, Entry]] = deque()  # each with the number of those dropped just before it
        self._waiting_max = waiting_max
        self._dropped = 0  # after the last one that waits
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def publish(self, entry: Entry) -> None:
        """Add an entry, or drop it if the queue is full."""
        if len(self._waiting) < self._waiting_max:
            self._waiting.append((self._dropped, entry))
            self._dropped = 0
        else:
            self._dropped += 1
        self._arrived.set()

    async def next(self, seconds: float) -> tuple[int, Entry | None]:
        """Return how many entries were dropped, and the next entry; None if none completed within `seconds`."""
        if not self._waiting and not self._dropped:
            self._arrived.clear()
            with suppress(TimeoutError):
                # not wait_for: in Python 3.11 it loses a cancellation that coincides with an entry
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
        if self._waiting:
            return self._waiting.popleft()
        dropped, self._dropped = self._dropped, 0
        return dropped, None


class Ring:
    """The entries of one team. Numbers only increase; `evicted` counts the entries removed for lack of space."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.last = 0  # the number given last
        self.cleared = 0  # the last number that was removed on request
        self.bytes = 0
        self.is_dropped = False  # the team was deleted
        self.watchers: set[Watcher] = set()

    @property
    def evicted(self) -> int:
        """Return how many entries were removed for lack of space."""
        return self.evicted_since(0)

    def evicted_since(self, number: int) -> int:
        """Return how many of the entries after a number were removed for lack of space."""
        first = self.entries[0].number if self.entries else self.last + 1
        return max(0, first - 1 - max(number, self.cleared))

    def evict(self) -> int:
        """Remove the oldest entry; return the bytes freed."""
        entry = self.entries.popleft()
        entry.is_removed = True
        self.bytes -= entry.size
        return entry.size


class Journal:
    """The most recent calls of every team."""

    def __init__(
        self,
        *,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
        all_max: int = ALL_BYTES_MAX,
        on_completed: Callable[[str, Entry], None] | None = None,
    ) -> None:
        """Set the bounds; `on_completed` is called with the team and each completed entry."""
        self._rings: dict[str, Ring] = {}
        self._bytes = 0
        self._on_completed = on_completed
        self.totals = CallTotals()
        self._entries_max, self._bytes_max, self._all_max = entries_max, bytes_max, all_max

    def ring(self, team: str) -> Ring:
        """Return the entries of a team."""
        ring = self._rings.get(team)
        if ring is None:
            ring = self._rings[team] = Ring()
        return ring

    def begin(
        self, team: str, at: Instant, transport: Transport, operation: str, envelope: Envelope, secret: str | None
    ) -> Entry:
        """Start the entry of a call; that of an internal call is not kept."""
        if envelope.is_internal:
            return Entry(0, at, transport, operation, envelope)
        entry = self._add(team, at, transport, operation, envelope)
        if secret is not None:
            _scrub(entry, secret)
        return entry

    def unmatched(
        self,
        team: str,
        at: Instant,
        transport: Transport,
        envelope: Envelope,
        credentials: str | None,
        error: ApiError,
        status: int | str,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Record a request that matches no route, or a path but not its method."""
        entry = self._add(team, at, transport, None, envelope)
        secret = presented(credentials)
        if secret is not None:
            _scrub(entry, secret)
        entry.refused(error)
        sentence = error.hint or error.message
        reason = sentence if secret is None else strike(sentence, secret)
        entry.reason = reason[:REASON_CHARS_MAX]
        entry.status, entry.response_headers = status, _struck(headers, secret)
        entry.end()
        self._count(entry.ring, entry)
        self._publish(team, entry.ring, entry)

    def replied(
        self,
        call: Call,
        status: int | str | None,
        reply: bytes | None,
        size: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Complete an entry with the response: a body, or the size of content. A status of None means no response."""
        if call.envelope.is_internal:
            return
        entry = cast(Entry, call.entry)  # `begin` returned it
        envelope, ring, secret = call.envelope, entry.ring, call.secret
        entry.status, entry.response_headers = status, _struck(headers, secret)
        if call.faults or call.unread or call.warnings:
            entry.faults = tuple(call.faults)
            entry.unread, entry.warnings = _without(call.unread, secret), _without(call.warnings, secret)
        if envelope.body:
            entry.request = Body(envelope.body, secret)
        elif envelope.body_bytes:
            entry.request = Length(envelope.body_bytes, call.upload_hash)
        if reply:
            entry.response = Body(reply, secret)
        elif size is not None:
            entry.response = Length(size)
        self._count(ring, entry)
        self._publish(call.team.name, ring, entry)

    def clear(self, team: str) -> int:
        """Remove the entries of a team; return how many there were."""
        ring = self.ring(team)
        count = len(ring.entries)
        self._bytes -= ring.bytes
        for entry in ring.entries:
            entry.is_removed = True
        ring.entries.clear()
        ring.bytes, ring.cleared = 0, ring.last
        return count

    def drop(self, team: str) -> None:
        """Remove a team; its listeners wait for the next team of the same name."""
        if team in self._rings:
            self.clear(team)
            self._rings[team].is_dropped = True
            self._drop_if_unused(team)

    def _drop_if_unused(self, team: str) -> None:
        ring = self._rings.get(team)
        if ring is not None and ring.is_dropped and not ring.entries and not ring.watchers:
            del self._rings[team]

    @contextmanager
    def watch(self, team: str) -> Iterator[Watcher]:
        """Watch the entries of a team as they are completed."""
        watcher = Watcher(WATCHED_MAX)
        watchers = self.ring(team).watchers
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            self._drop_if_unused(team)

    def _add(self, team: str, at: Instant, transport: Transport, operation: str | None, envelope: Envelope) -> Entry:
        ring = self.ring(team)
        ring.is_dropped = False
        ring.last += 1
        entry = Entry(ring.last, at, transport, operation, envelope)
        entry.ring = ring
        ring.entries.append(entry)
        if len(ring.entries) > self._entries_max:
            self._bytes -= ring.evict()
        return entry

    def _count(self, ring: Ring, entry: Entry) -> None:
        """Count the size of an entry that is complete, and evict entries if that exceeds a bound."""
        if entry.is_removed:
            return
        request, response = entry.request, entry.response
        size = _ENTRY_BYTES
        if request is not None:
            size += len(request.kept)
        if response is not None:
            size += len(response.kept)
        entry.size = size
        ring.bytes += size
        self._bytes += size
        while ring.bytes > self._bytes_max:
            self._bytes -= ring.evict()
        while self._bytes > self._all_max:
            self._bytes -= max(self._rings.values(), key=lambda each: each.bytes).evict()

    def _publish(self, team: str, ring: Ring, entry: Entry) -> None:
        calls = Calls(entry.operation, entry.transport, entry.status, entry.outcome)
        self.totals.add(calls, entry.ms, entry.faults)
        if self._on_completed is not None:
            self._on_completed(team, entry)
        for watcher in ring.watchers:
            watcher.publish(entry)


def _scrub(entry: Entry, secret: str) -> None:
    """Redact the caller's key in the fields where a client may repeat it."""
    entry.target = strike(entry.target, secret)
    entry.headers = _struck(entry.headers, secret)


def _without(texts: Iterable[str], secret: str | None) -> tuple[str, ...]:
    """Return texts with the caller's key redacted; a field name may contain it."""
    return tuple(texts) if secret is None else tuple(strike(text, secret) for text in texts)


def _struck(headers: Sequence[tuple[bytes, bytes]], secret: str | None) -> Sequence[tuple[bytes, bytes]]:
    """Return headers with the caller's key redacted."""
    if secret is None:
        return headers
    return [(name, strike(value.decode("latin-1"), secret).encode("latin-1")) for name, value in headers]


def blake3_of(body: bytes) -> str:
    """BLAKE3-256 in hex, as the emulator hashes files."""
    from blake3 import blake3

    return blake3(body).hexdigest()
