"""A bounded record of calls: the caller, the request, the transport and the outcome.

To note a call is cheap: what went over the wire is kept as it is, cut to size, and only shown as JSON when somebody
asks (`pipeline/journal_views.py`). Keys are never kept, and of uploads and downloads only how long they were.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from emulator.clock import Instant, monotonic_ms, wall
from emulator.errors import ApiError
from emulator.operations.base import Call, Codec, Door, Envelope
from emulator.pipeline.redact import presented, strike
from emulator.redaction import REDACTED

ENTRIES_MAX = 2_000  # of one team
BYTES_MAX = 4 * 1024 * 1024  # of one team
ALL_BYTES_MAX = 64 * 1024 * 1024  # of all teams; beyond it the team that holds most forgets
BODY_BYTES_MAX = 8 * 1024
TARGET_BYTES_MAX = 2 * 1024
HEADER_BYTES_MAX = 512
REASON_CHARS_MAX = 512
WATCHED_MAX = 1_000  # entries that wait for a listener that reads too slowly; more are dropped and counted

_ENTRY_BYTES = 1_500  # about what an entry takes besides its bodies

# The only headers and metadata that are kept: what tells clients and their attempts apart.
HEADERS_KEPT = frozenset(
    (
        *(b"user-agent", b"content-type", b"content-length", b"range", b"x-client-request-id"),
        *(b"x-stainless-lang", b"x-stainless-package-version", b"x-stainless-read-timeout", b"x-stainless-retry-count"),
        *(b"xai-sdk-version", b"xai-sdk-language"),
    )
)


class Body:
    """A request's or reply's bytes as far as they are kept. `hash` is the BLAKE3 of all of them."""

    def __init__(self, body: bytes, secret: str | None) -> None:
        self.size = len(body)
        self.truncated = self.size > BODY_BYTES_MAX
        self.hash: str | None = None  # while what is kept is what came, it need not be known before somebody asks
        key = b"" if secret is None else secret.encode("utf-8", "surrogateescape")
        if self.truncated or (key and key in body):
            self.hash = blake3_of(body)
        if key:
            body = body[: BODY_BYTES_MAX + len(key)].replace(key, REDACTED.encode())
        self.kept = body[:BODY_BYTES_MAX]


class Length:
    """An upload or download: how long it was and, where that is known, its BLAKE3."""

    kept = b""

    def __init__(self, size: int | None, hash: str | None = None) -> None:
        self.size, self.hash = size, hash


class Entry:
    """One call, or a request that fits no route: that has no operation."""

    # What a call does not set stays here, which is cheaper than to set it each time.
    outcome: str | None = None  # "ok" or the kind of the refusal; None while the call runs
    rule: str | None = None
    reason: str | None = None  # of a request without an operation
    faults: tuple[str, ...] = ()
    status: int | str | None = None  # of HTTP, or the name of a gRPC code; None where nobody was answered
    ms: float = 0.0
    request: Body | Length | None = None
    response: Body | Length | None = None
    response_headers: Sequence[tuple[bytes, bytes]] = ()  # over gRPC the metadata
    unread: Iterable[str] = ()
    warnings: Iterable[str] = ()
    size: int = _ENTRY_BYTES
    ring: Ring  # that it is in, or was: a team of the same name may have another by the time the call is over

    def __init__(self, number: int, at: Instant, door: Door, operation: str | None, envelope: Envelope) -> None:
        self.number, self.at, self.door, self.operation = number, at, door, operation
        self.real_at = wall()
        self.method, self.target = envelope.method, envelope.target[:TARGET_BYTES_MAX]
        self.headers = [(name, value[:HEADER_BYTES_MAX]) for name, value in envelope.headers if name in HEADERS_KEPT]
        self.codec: Codec | None = envelope.codec
        self._started = monotonic_ms()

    def refused(self, error: ApiError) -> None:
        """The call ends with a refusal."""
        self.outcome, self.rule = error.kind.name, error.rule

    def end(self, outcome: str | None = None) -> None:
        """The operation is over."""
        self.ms = monotonic_ms() - self._started
        self.outcome = outcome or self.outcome or "ok"


class Watcher:
    """The completed entries of a team that one listener has still to read: at most so many, and a count beyond that."""

    def __init__(self, waiting_max: int) -> None:
        self._waiting: deque[tuple[int, Entry]] = deque()  # each with the number of those dropped just before it
        self._waiting_max = waiting_max
        self._dropped = 0  # after the last one that waits
        self._arrived = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def publish(self, entry: Entry) -> None:
        """Add an entry, or drop it where the listener is too slow."""
        if len(self._waiting) < self._waiting_max:
            self._waiting.append((self._dropped, entry))
            self._dropped = 0
        else:
            self._dropped += 1
        self._arrived.set()

    async def next(self, seconds: float) -> tuple[int, Entry | None]:
        """Return how many entries were dropped, and the entry that follows them; None where so long nothing came."""
        if not self._waiting and not self._dropped:
            self._arrived.clear()
            with suppress(TimeoutError):
                # not wait_for: Python 3.11's loses a cancellation that comes together with an entry
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()
        if self._waiting:
            return self._waiting.popleft()
        dropped, self._dropped = self._dropped, 0
        return dropped, None


class Ring:
    """What is remembered of one team. Numbers go on for ever; `evicted` tells how many entries were forgotten."""

    def __init__(self) -> None:
        self.entries: deque[Entry] = deque()
        self.last = 0  # the number given last
        self.cleared = 0  # the last number that was forgotten on demand
        self.bytes = 0
        self.forgotten = False  # there is no such team any more
        self.watchers: set[Watcher] = set()

    @property
    def evicted(self) -> int:
        """How many entries were forgotten for want of room."""
        return self.evicted_since(0)

    def evicted_since(self, number: int) -> int:
        """How many of the entries after a number were forgotten for want of room."""
        first = self.entries[0].number if self.entries else self.last + 1
        return max(0, first - 1 - max(number, self.cleared))

    def evict(self) -> int:
        """Forget the oldest entry; the bytes that frees."""
        size = self.entries.popleft().size
        self.bytes -= size
        return size


class Journal:
    """The last calls of every team."""

    def __init__(
        self,
        *,
        entries_max: int = ENTRIES_MAX,
        bytes_max: int = BYTES_MAX,
        all_max: int = ALL_BYTES_MAX,
        on_completed: Callable[[str, Entry], None] | None = None,
    ) -> None:
        """Keep entries within these bounds; `on_completed` is called with the team and each completed entry."""
        self._rings: dict[str, Ring] = {}
        self._bytes = 0
        self._on_completed = on_completed
        self._entries_max, self._bytes_max, self._all_max = entries_max, bytes_max, all_max

    def ring(self, team: str) -> Ring:
        """What is remembered of a team."""
        ring = self._rings.get(team)
        if ring is None:
            ring = self._rings[team] = Ring()
        return ring

    def begin(self, call: Call) -> Entry:
        """Start the entry of a call; that of an internal call is not kept."""
        if call.envelope.is_internal:
            return Entry(0, call.at, call.door, call.operation.name, call.envelope)
        entry = self._add(call.team.name, call.at, call.door, call.operation.name, call.envelope)
        call.secret = presented(call.credentials)
        if call.secret is not None:
            _scrub(entry, call.secret)
        return entry

    def unmatched(
        self,
        team: str,
        at: Instant,
        door: Door,
        envelope: Envelope,
        credentials: str | None,
        error: ApiError,
        status: int | str,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Note a request that fits no route, or its path but not its method."""
        entry = self._add(team, at, door, None, envelope)
        secret = presented(credentials)
        if secret is not None:
            _scrub(entry, secret)
        entry.refused(error)
        reason = error.message if secret is None else strike(error.message, secret)
        entry.reason = reason[:REASON_CHARS_MAX]
        entry.status, entry.response_headers = status, _struck(headers, secret)
        entry.end()
        self._publish(team, entry.ring, entry)

    def replied(
        self,
        call: Call,
        status: int | str | None,
        reply: bytes | None,
        size: int | None = None,
        headers: Sequence[tuple[bytes, bytes]] = (),
    ) -> None:
        """Note what was answered: a body, or the size of content; a status of None means that nobody was."""
        if call.envelope.is_internal:
            return
        entry: Entry = call.entry
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
        self._grow(ring, entry)
        self._publish(call.team.name, ring, entry)

    def clear(self, team: str) -> int:
        """Forget what is remembered of a team; how many entries that were."""
        ring = self.ring(team)
        count = len(ring.entries)
        self._bytes -= ring.bytes
        ring.entries.clear()
        ring.bytes, ring.cleared = 0, ring.last
        return count

    def forget(self, team: str) -> None:
        """Forget that there was a team; who watches goes on to watch for the next of its name."""
        if team in self._rings:
            self.clear(team)
            self._rings[team].forgotten = True
            self._drop_if_unused(team)

    def _drop_if_unused(self, team: str) -> None:
        ring = self._rings.get(team)
        if ring is not None and ring.forgotten and not ring.entries and not ring.watchers:
            del self._rings[team]

    @contextmanager
    def watch(self, team: str) -> Iterator[Watcher]:
        """The entries of a team as they are completed."""
        watcher = Watcher(WATCHED_MAX)
        watchers = self.ring(team).watchers
        watchers.add(watcher)
        try:
            yield watcher
        finally:
            watchers.discard(watcher)
            self._drop_if_unused(team)

    def _add(self, team: str, at: Instant, door: Door, operation: str | None, envelope: Envelope) -> Entry:
        ring = self.ring(team)
        ring.forgotten = False
        ring.last += 1
        entry = Entry(ring.last, at, door, operation, envelope)
        entry.ring = ring
        ring.entries.append(entry)
        ring.bytes += entry.size
        self._bytes += entry.size
        if len(ring.entries) > self._entries_max:
            self._bytes -= ring.evict()
        return entry

    def _grow(self, ring: Ring, entry: Entry) -> None:
        """Count the bodies of an entry in, and make room for them."""
        if not ring.entries or entry.number < ring.entries[0].number:
            return  # forgotten before it was over
        bodies = 0
        if entry.request is not None:
            bodies += len(entry.request.kept)
        if entry.response is not None:
            bodies += len(entry.response.kept)
        entry.size += bodies
        ring.bytes += bodies
        self._bytes += bodies
        while ring.bytes > self._bytes_max:
            self._bytes -= ring.evict()
        while self._bytes > self._all_max:
            self._bytes -= max(self._rings.values(), key=lambda each: each.bytes).evict()

    def _publish(self, team: str, ring: Ring, entry: Entry) -> None:
        if self._on_completed is not None:
            self._on_completed(team, entry)
        for watcher in ring.watchers:
            watcher.publish(entry)


def _scrub(entry: Entry, secret: str) -> None:
    """Take the caller's key out of the places where a client may repeat it."""
    entry.target = strike(entry.target, secret)
    entry.headers = _struck(entry.headers, secret)


def _without(texts: Iterable[str], secret: str | None) -> tuple[str, ...]:
    """Texts without the caller's key, which a field may be named like."""
    return tuple(texts) if secret is None else tuple(strike(text, secret) for text in texts)


def _struck(headers: Sequence[tuple[bytes, bytes]], secret: str | None) -> list[tuple[bytes, bytes]]:
    """Headers without the caller's key."""
    if secret is None:
        return list(headers)
    return [(name, strike(value.decode("latin-1"), secret).encode("latin-1")) for name, value in headers]


def blake3_of(body: bytes) -> str:
    """BLAKE3-256 in hex, as the emulator hashes files."""
    from blake3 import blake3

    return blake3(body).hexdigest()
