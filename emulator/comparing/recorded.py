"""Compare with a second recording of the service instead of an emulator.

Exchanges are paired by their requests, ignoring ids and numbers: the first of a kind with the first, and so on. A
request that is repeated at once is polling, of which the last answer counts. What both requests name at the same place,
such as ids that a client chose, is bound before the answers are compared.
"""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET

from emulator.comparing.binding import Binding
from emulator.comparing.differences import masked
from emulator.comparing.send import NotComparable, RestAnswer
from emulator.core.clock import Instant
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import ID
from emulator.recordings.entries import RECORDER, Entry, Grpc, PostData
from emulator.recordings.har import Recording
from emulator.recordings.order import in_order, moment
from emulator.recordings.planes import complete
from emulator.rpc.ask import RpcAnswer

BOUND_CHARS_MIN = 8  # a shorter text is a word, which would be replaced everywhere
_MICROSECONDS = 1_000_000


class RecordedAnswers:
    """Answers the requests of one recording with the responses of another one."""

    needs_makers = False  # a recorded answer does not depend on the exchanges before

    def __init__(self, recording: Recording, other: Recording, binding: Binding) -> None:
        """Pair the exchanges of `recording` with those of `other`."""
        self._binding = binding
        self._pairs: dict[int, Entry] = {}
        asked, others = _calls(recording), _calls(other)
        waiting: dict[Any, deque[Entry]] = defaultdict(deque)
        for entry in _last_of_each_poll(others):
            waiting[_kind(entry)].append(entry)
        last = _last_of_each_poll(asked)
        self._polls = {id(entry) for entry in asked} - {id(entry) for entry in last}
        for entry in last:
            if queue := waiting[_kind(entry)]:
                self._pairs[id(entry)] = queue.popleft()
        self.unpaired = sum(map(len, waiting.values()))
        shifts = [_seconds(self._pairs[id(entry)]) - _seconds(entry) for entry in last if id(entry) in self._pairs]
        self.shifts = (min(shifts, default=0.0), max(shifts, default=0.0))

    def close(self) -> None:
        """Nothing is open."""

    def freeze(self, at: str | None) -> None:
        """A recording has no clock."""

    def advance(self, microseconds: Instant) -> None:
        """A recording has no clock."""

    def rest(self, entry: Entry) -> RestAnswer:
        """Return the other answer. Raises NotComparable where there is none."""
        response = self._other(entry).response
        if isinstance(entry.response.body.text, str) and not isinstance(response.body.text, str):
            raise NotComparable("lacks its content in the other recording")
        headers = {pair.name.lower(): pair.value for pair in response.headers}
        text = response.body.text if isinstance(response.body.text, str) else ""
        return RestAnswer(response.status, headers, text.encode(), response.body.size)

    def grpc(self, entry: Entry, call: Grpc) -> RpcAnswer:
        """Return the other answer. Raises NotComparable where there is none."""
        found = self._other(entry).grpc
        if not isinstance(found, Grpc) or found.messages is not UNSET:
            raise NotComparable("of messages that are not understood")
        trailers = {pair.name: pair.value for pair in found.trailers}
        return RpcAnswer(found.status, found.message, found.response, trailers, found.unknown)

    def _other(self, entry: Entry) -> Entry:
        if id(entry) in self._polls:
            raise NotComparable("asked again at once: the last answer counts")
        found = self._pairs.get(id(entry))
        if found is None:
            raise NotComparable("not in the other recording")
        if found.by == RECORDER or (found.grpc is UNSET and found.response.status in (0, 429, *range(500, 600))):
            raise NotComparable("which the service could not answer (429 or 5xx)")
        self._bind(_asked(entry), _asked(found))
        return found

    def _bind(self, there: Any, here: Any) -> None:
        """Bind the ids of both requests, place by place."""
        if isinstance(there, dict) and isinstance(here, dict):
            for name in there.keys() & here.keys():
                self._bind(there[name], here[name])
        elif isinstance(there, list) and isinstance(here, list):
            for one, other in zip(there, here, strict=False):
                self._bind(one, other)
        elif isinstance(there, str) and isinstance(here, str):
            ids = ID.findall(there), ID.findall(here)
            if ids[0] and len(ids[0]) == len(ids[1]):
                for pair in zip(*ids, strict=True):
                    self._binding.bind_asked(*pair)
            elif there != here and min(len(there), len(here)) >= BOUND_CHARS_MIN:
                self._binding.bind_asked(there, here)


def _calls(recording: Recording) -> list[Entry]:
    """The exchanges of known operations, in the order in which they began."""
    for entry in recording.entries:
        if entry.operation is UNSET:
            complete(entry)
    return [entry for entry in in_order(recording.entries) if entry.operation]


def _last_of_each_poll(entries: list[Entry]) -> list[Entry]:
    repeated = {id(one) for one, next in pairwise(entries) if _is_read(one) and _asked(one) == _asked(next)}
    return [entry for entry in entries if id(entry) not in repeated]


def _is_read(entry: Entry) -> bool:
    return (entry.operation or "").partition(".")[2].startswith(("get", "list"))


def _kind(entry: Entry) -> tuple[Any, ...]:
    """Return the kind of an exchange: its request without the parts that vary between runs."""
    case = entry.page if isinstance(entry.page, str) else None
    return (case, masked(json.dumps(_asked(entry), sort_keys=True)))


def _asked(entry: Entry) -> list[Any]:
    """A request as JSON values: method, path, query, and the body or the messages."""
    request = entry.request
    parts = urlsplit(request.url)
    value: list[Any] = [request.method, parts.path.split("/"), dict(parse_qsl(parts.query, keep_blank_values=True))]
    if isinstance(entry.grpc, Grpc):
        return [*value, list(_without_sizes(entry.grpc.request))]
    body = request.body
    if not isinstance(body, PostData) or (not body.text and body.params is UNSET and not body.size):
        return value
    if body.params is not UNSET:
        return [*value, [[param.name, _or_none(param.value), _or_none(param.filename)] for param in body.params]]
    try:
        asked = loads(body.text)
    except ValueError:
        asked = body.text
    return [*value, asked]


def _without_sizes(messages: Iterable[Any]) -> Iterator[Any]:
    """Return the messages of a stream without its pieces, whose sizes vary."""
    for message in messages:
        if not (isinstance(message, dict) and isinstance(message.get("data"), dict)):
            yield message


def _or_none(value: Any) -> Any:
    return None if value is UNSET else value


def _seconds(entry: Entry) -> float:
    return (moment(entry.started) or 0) / _MICROSECONDS
