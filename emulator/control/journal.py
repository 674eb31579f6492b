"""The journal of calls: list, count, verify and watch them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Annotated, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute, JournalCall, TeamQuery
from emulator.control.server import Cleared
from emulator.core.errors import Kind
from emulator.domain.keys import DEFAULT_TEAM, INFERENCE_KEY, MANAGEMENT_KEY, Plane
from emulator.http.near_misses import NearMiss, near_misses
from emulator.http.responses import EventStream, FileDownload
from emulator.pipeline.journal.journal import Entry, Ring
from emulator.pipeline.journal.query import CallQuery, Expectation, Inconclusive, find, holds, nearest
from emulator.pipeline.journal.views import CallShown, shown

SHOWN = 500
NEAREST = 3
ALIVE_SECONDS = 15  # between keep-alive comments on an idle stream

Limit = Annotated[int, Meta(ge=1, le=2_000)]


class CallsQuery(TeamQuery, forbid_unknown_fields=True):
    """The calls of a team after a number, the last ones if there are more than the limit."""

    after: Annotated[int, Meta(ge=0, le=2**31)] = 0
    limit: Limit = SHOWN
    operation: str | UnsetType = UNSET
    outcome: str | UnsetType = UNSET
    transport: Literal["rest", "grpc"] | UnsetType = UNSET


class Find(CallQuery, forbid_unknown_fields=True, kw_only=True):
    """Which calls to show, the last ones if there are more than the limit."""

    limit: Limit = SHOWN


class Calls(Answer):
    """Calls, oldest first. `evicted` counts those dropped from the full journal; `last` is the highest number."""

    evicted: int
    last: int
    requests: list[CallShown]


class Counted(Answer):
    """How many calls in the journal match."""

    count: int
    evicted: int


class Code(Answer):
    """A call as a curl command (grpcurl for gRPC) and as a test; null if that is impossible, with the reason."""

    curl: str | None
    pytest: str | None
    reason: str | None


class Nearest(Struct):
    """A call that nearly matches, and the fields that do not."""

    differs: list[str]
    request: CallShown


class Verified(Answer):
    """Whether the expected number of calls match; if not, the calls that match, or that nearly do."""

    passed: bool
    count: int
    requests: list[CallShown]
    nearest: list[Nearest]


class Unmatched(Struct):
    """A request that matches no route, and the nearest routes; none if the route is known but not emulated."""

    request: CallShown
    near_misses: list[NearMiss]


class AllUnmatched(Answer):
    """The requests that match no route, oldest first."""

    evicted: int
    requests: list[Unmatched]


def _ring(request: ControlRequest) -> Ring:
    return request.parts.journal.ring(request.team.name)


def _calls(request: ControlRequest, wanted: CallQuery, limit: int) -> Calls:
    ring, team = _ring(request), request.team.name
    found = find(ring, wanted, limit)
    return Calls(evicted=ring.evicted, last=ring.last, requests=[shown(entry, team) for entry in found])


async def list_all(request: ControlRequest) -> Calls:
    """List the calls in the journal of a team, oldest first."""
    query: CallsQuery = request.query
    return _calls(request, _wanted(query), query.limit)


async def export(request: ControlRequest) -> FileDownload:
    """Download the calls in the journal as a HAR file, oldest first, the last ones if there are more than the limit.

    Any HAR viewer reads it, and `xai-emulator compare` sends it to another emulator. It has no keys, no contents of
    files, and no bodies that the journal truncated.
    """
    wanted = _wanted(request.query)
    calls = _shown(request, find(_ring(request), wanted, request.query.limit))
    content = await asyncio.to_thread(request.parts.exports.har, calls, request.services.address.origin)
    return FileDownload.of(content, f"{request.team.name}.har")


async def code(request: ControlRequest) -> Code:
    """Return a call as a command line for this emulator, and as a test with the pytest plugin.

    The test starts with an empty team, so it first makes the earlier calls that created the objects of this one, if the
    journal has them. The journal does not keep contents of files, so the test sends fillers of their size.
    """
    number = request.path["number"]
    entries = [entry for entry in _ring(request).entries if entry.operation is not None or str(entry.number) == number]
    place = next((place for place, entry in enumerate(entries, 1) if str(entry.number) == number), None)
    if place is None:
        raise ControlError(404, f"the journal has no call {number[:20]}; it may have been evicted")
    if entries[place - 1].outcome is None:
        raise ControlError(409, f"call {number} has not ended yet")
    address, suffix = request.services.address, "" if request.team.name == DEFAULT_TEAM else f"@{request.team.name}"
    keys = {Plane.INFERENCE: INFERENCE_KEY + suffix, Plane.MANAGEMENT: MANAGEMENT_KEY + suffix}
    calls = _shown(request, entries[:place])
    found = await asyncio.to_thread(request.parts.exports.snippets, calls, address.origin, keys)
    return Code(curl=found.curl, pytest=found.pytest, reason=found.reason)


def _wanted(query: CallsQuery) -> CallQuery:
    given = {
        name: value for name in ("operation", "outcome", "transport") if (value := getattr(query, name)) is not UNSET
    }
    return CallQuery(**given, after=query.after)


def _shown(request: ControlRequest, entries: list[Entry]) -> list[JournalCall]:
    return [(entry, shown(entry, request.team.name)) for entry in entries]


async def find_calls(request: ControlRequest) -> Calls:
    """List the calls that match a description."""
    return _calls(request, request.body, request.body.limit)


async def count(request: ControlRequest) -> Counted:
    """Count the calls that match a description."""
    return Counted(count=len(find(_ring(request), request.body)), evicted=_ring(request).evicted)


async def verify(request: ControlRequest) -> Verified:
    """Check how many calls match a description against the expected number.

    409 if calls that could change the answer were evicted from the journal: give `after`, or clear the journal first.
    """
    ring, expected, team = _ring(request), request.body, request.team.name
    low, high = expected.range
    if high is not None and low > high:
        raise ControlError(422, f"at_least {low} and at_most {high} exclude each other")
    found = find(ring, expected)
    try:
        passed = holds(ring, expected, len(found))
    except Inconclusive:
        raise ControlError(
            409,
            f"{len(found)} calls fit, but {ring.evicted_since(expected.after)} calls were evicted and may fit as well",
        ) from None
    near = [] if passed or len(found) >= low else nearest(ring, expected, NEAREST)
    return Verified(
        passed=passed,
        count=len(found),
        requests=[] if passed else [shown(entry, team) for entry in found[-NEAREST:]],
        nearest=[Nearest(differs, shown(entry, team)) for entry, differs in near],
    )


async def unmatched(request: ControlRequest) -> AllUnmatched:
    """List the requests that match no route, or no method of it, with the nearest routes."""
    ring, team = _ring(request), request.team.name
    entries = [entry for entry in ring.entries if entry.operation is None]
    answer = AllUnmatched(evicted=ring.evicted, requests=[])
    for entry in entries[-SHOWN:]:
        is_known = entry.outcome == Kind.NOT_EMULATED.name
        near = [] if is_known else near_misses(entry.method, entry.target, request.parts.api.routes)
        answer.requests.append(Unmatched(shown(entry, team), near))
        await asyncio.sleep(0)  # comparing a long path takes milliseconds
    return answer


async def clear(request: ControlRequest) -> Cleared:
    """Clear the journal of a team. Call numbers continue."""
    return Cleared(cleared={"requests": request.parts.journal.clear(request.team.name)})


async def stream(request: ControlRequest) -> EventStream:
    """Stream the calls of a team as they complete, as server-sent events: `event: call`, the call as JSON in `data`.

    A listener that reads too slowly misses calls: `event: missed` has their number.
    """
    return EventStream(_events(request))


async def _events(request: ControlRequest) -> AsyncGenerator[bytes, None]:
    team = request.team.name
    with request.parts.journal.watch(team) as watcher:
        yield b": watching\n\n"
        while True:
            dropped, entry = await watcher.next(ALIVE_SECONDS)
            if dropped:
                yield b'event: missed\ndata: {"calls":%d}\n\n' % dropped
            if entry is not None:
                yield b"id: %d\nevent: call\ndata: %b\n\n" % (entry.number, msgspec.json.encode(shown(entry, team)))
            elif not dropped:
                yield b": alive\n\n"
            await asyncio.sleep(0)  # a listener with much to read does not block others, and can be cancelled


ROUTES = (
    ControlRoute("GET", "/requests", list_all, Calls, query=CallsQuery),
    ControlRoute("DELETE", "/requests", clear, Cleared),
    ControlRoute("POST", "/requests/find", find_calls, Calls, Find, reads=True),
    ControlRoute("POST", "/requests/count", count, Counted, CallQuery, reads=True),
    ControlRoute("POST", "/requests/verify", verify, Verified, Expectation, reads=True, refusals=(409, 422)),
    ControlRoute("GET", "/requests/unmatched", unmatched, AllUnmatched),
    ControlRoute("GET", "/requests/stream", stream, EventStream),
    ControlRoute("GET", "/requests/har", export, FileDownload, query=CallsQuery),
    ControlRoute("GET", "/requests/{number}/code", code, Code, refusals=(404, 409)),
)
