"""Find the exchanges that another one depends on.

An exchange depends on those that created the objects it names, and on all later changes of these: a search depends on
its collection, the file, the call that added the file, and the one that saw it indexed. An id that a request contains
before any response does is the client's own choice.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import unquote

import msgspec
from msgspec import UNSET

from emulator.recordings.bounded_json import loads
from emulator.recordings.entries import Entry, Grpc, PostData

UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
# A prefix starts at a word boundary; otherwise the match would be tried from each letter of a long text.
ID = re.compile(rf"(?:(?<![a-z_])(?:[a-z]++_)+)?{UUID}")
_READS = (
    "get",
    "list",
    "content",
    "search",
    "public_content",
    "media",
    "me",
    "api_key",
    "describe",
    "tokenize",
    "batch_get",
)
_KINDS = ("file", "collection", "batch")


class Link(msgspec.Struct):
    """An exchange of a chain: `saves` are the variables for the ids that later ones name, with their paths."""

    entry: Entry
    saves: dict[str, str] = {}


class Chain(msgspec.Struct):
    """Exchanges in order, ending with the requested one; `names` are the variables of ids."""

    links: list[Link]
    names: dict[str, str]

    def text(self, text: str, pattern: str = "{{{}}}") -> str:
        """Return a text with variables in the place of ids."""
        return ID.sub(lambda found: pattern.format(self.names[found[0]]) if found[0] in self.names else found[0], text)


class Chains:
    """The chains of one recording."""

    def __init__(self, entries: Sequence[Entry]) -> None:
        """Take exchanges in the order in which they began."""
        self._entries = list(entries)
        self._places = {id(entry): place for place, entry in enumerate(entries)}
        self._asked = [set(ID.findall(asked_text(entry))) for entry in entries]
        self._makers: dict[str, int] = {}
        said: set[str] = set()
        for place, entry in enumerate(self._entries):
            said |= self._asked[place] - self._makers.keys()
            for name in ID.findall(answered_text(entry)):
                if name not in said:
                    self._makers.setdefault(name, place)

    def of(self, entry: Entry) -> Chain:
        """Return the exchanges that lead to one, and that one."""
        last = self._places[id(entry)]
        places, needed = {last}, set(self._asked[last])
        while True:
            found = {self._makers[name] for name in needed if self._makers.get(name, last) < last}
            found |= {
                place for place in range(last) if self._asked[place] & needed and _is_change(self._entries[place])
            }
            if found <= places:
                break
            places |= found
            needed |= {name for place in found for name in self._asked[place]}
        if not is_wait(entry):
            places |= self._wait(last, max(places - {last}, default=last), needed)
        return self._chain(sorted(places), needed)

    def _wait(self, last: int, after: int, needed: set[str]) -> set[int]:
        """Return the last poll of the service's progress between the last change and an exchange."""
        waits = (place for place in range(last - 1, after, -1) if is_wait(self._entries[place]))
        return {next((place for place in waits if self._asked[place] and self._asked[place] <= needed), last)}

    def _changes(self, place: int, needed: set[str]) -> bool:
        """Return whether an exchange changed one of these."""
        return bool(self._asked[place] & needed) and _is_change(self._entries[place])

    def _chain(self, places: list[int], needed: set[str]) -> Chain:
        links = {place: Link(self._entries[place]) for place in places}
        names: dict[str, str] = {}
        for name in sorted(needed, key=lambda name: (self._makers.get(name, -1), name)):
            maker = self._makers.get(name)
            link = None if maker is None else links.get(maker)
            path = None if link is None else path_of(answer_of(link.entry), name)
            if link is not None and path is not None and maker != places[-1]:
                names[name] = variable = _variable(name, names.values())
                link.saves[variable] = path
        return Chain(list(links.values()), names)


def _variable(name: str, taken: Any) -> str:
    prefix = name[: name.rfind("_")] if "_" in name else ""
    kind = prefix if prefix in _KINDS else "id"
    number = 2
    found = kind
    while found in taken:
        found, number = f"{kind}_{number}", number + 1
    return found


def _is_change(entry: Entry) -> bool:
    verb = (entry.operation or "").partition(".")[2]
    return bool(verb) and not verb.startswith(_READS) and succeeded(entry)


def is_wait(entry: Entry) -> bool:
    """Return whether an exchange polls the progress of a document or a batch."""
    return entry.operation in ("documents.get", "batches.get") and succeeded(entry)


def succeeded(entry: Entry) -> bool:
    """Return whether the call succeeded."""
    if isinstance(entry.grpc, Grpc):
        return entry.grpc.status == "OK"
    return 200 <= entry.response.status < 300


def answer_of(entry: Entry) -> Any:
    """Return the response as JSON values, or as text if it is no JSON; for gRPC the first message."""
    if isinstance(entry.grpc, Grpc):
        return entry.grpc.response[0] if entry.grpc.response else None
    text = entry.response.body.text
    if not isinstance(text, str):
        return None
    try:
        return loads(text)
    except ValueError:
        return text


def path_of(value: Any, wanted: str) -> str | None:
    """Return the path of a value in JSON, such as `data.0.id`; None if it is not there."""
    return next((path for path, leaf in leaves(value) if leaf == wanted), None)


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every scalar value with its path."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from leaves(item, f"{path}.{name}".lstrip("."))
    else:
        yield path, value


def asked_text(entry: Entry) -> str:
    """Return the text of a request, to search it for ids."""
    request = entry.request
    asked = [unquote(request.url)]
    if isinstance(request.body, PostData):
        asked.append(request.body.text)
        for param in [] if request.body.params is UNSET else request.body.params:
            asked += [text for text in (param.value, param.filename) if isinstance(text, str)]
    if isinstance(entry.grpc, Grpc):
        asked.append(json.dumps(entry.grpc.request))
    return "\n".join(asked)


def answered_text(entry: Entry) -> str:
    """Return the text of a response, to search it for ids."""
    answered = [pair.value for pair in entry.response.headers]
    if isinstance(entry.response.body.text, str):
        answered.append(entry.response.body.text)
    if isinstance(entry.grpc, Grpc):
        answered += [json.dumps(entry.grpc.response), entry.grpc.message]
    return "\n".join(answered)
