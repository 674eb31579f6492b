"""Values of requests and responses in drafts of cases, in the syntax of the contract kit.

Values that depend on the run (ids, times, hashes) are matched by kind, all others exactly.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import UNSET

from emulator.comparing.rules import KIND, LISTS_OF_THE_TEAM, PAGE_TOKENS, SKIP, TIME_NAMES, treatment
from emulator.comparing.run import Outcome
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import ID, UUID, Chain, asked_text, leaves, succeeded
from emulator.recordings.entries import RECORDER, Entry, Grpc, PostData

_RUN_PREFIX = re.compile(r"contract-[0-9a-f]{8}-")  # prefix of the kit's own names
_VARIABLE = re.compile(r"\{\w+(?::\d+)?\}")
_SHOWN_KEY = re.compile(r"\w{2}(?:\\?\*){3}\w{2}")  # the ends of a key, also where `re.escape` has been
_MASKED_KEY = r"\w\w\*\*\*\w\w"
_NAMES = ("name", "collection_name", "collectionName", "filename")
_PAGES = frozenset({*PAGE_TOKENS, "page_token", "pageToken"})
_KINDS = {
    "$file_id": rf"file_{UUID}",
    "$collection_id": rf"collection_{UUID}",
    "$batch_request_id": rf"batch_request_{UUID}",
    "$batch_id": rf"batch_{UUID}",
    "$uuid": UUID,
    "$timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z",
    "$date": r"\d{4}-\d\d-\d\d",
    "$blake3": "[0-9a-f]{64}",
    "$text": r"\d{4}-\d\d-\d\dT\S+|https?://\S+",
}


class CannotDraft(Exception):
    """An exchange cannot be a case as data; the message says why."""


def check(entry: Entry) -> None:
    """Refuse an exchange that no case can repeat. Raises CannotDraft."""
    if any(name in _PAGES for name, _ in parse_qsl(urlsplit(entry.request.url).query)):
        raise CannotDraft("with a page token, which belongs to one list")
    if entry.by == RECORDER or not entry.operation:
        raise CannotDraft("not of the service, or of operations that are not emulated")


class Draft:
    """One case: the values of its requests, with variables in braces, and of its answers, as the matchers have them."""

    def __init__(self, chain: Chain, unfinished: Collection[int], left_out: bool) -> None:
        """`unfinished` are the numbers of the exchanges that were answered while the service still worked."""
        self._chain, self._unfinished, self._left_out = chain, unfinished, left_out
        for link in chain.links:
            check(link.entry)
        self._asked = {name for link in chain.links for name in ID.findall(asked_text(link.entry))}
        self._client_names = {name for link in chain.links for name in names_of(link.entry) if len(name) > 2}

    def _notes(self, outcome: Outcome) -> Iterator[str]:
        """Yield what differs, as comments."""
        for difference in outcome.differences:
            there, here = (_short(value) for value in (difference.there, difference.here))
            yield f"# differs: {difference.what} {difference.place}: {there} there, {here} here"

    @staticmethod
    def has_variables(text: str) -> bool:
        """Whether a text has variables in braces."""
        return _VARIABLE.search(text) is not None

    # --- of the request

    def _named(self, value: Any, key: str = "") -> Any:
        """JSON values of a request: names begin with the run's prefix, and ids are variables."""
        match value:
            case str():
                return self._name(value) if key in _NAMES and value else self._words(value)
            case list():
                return [self._named(item, key) for item in value]
            case dict():
                return {name: self._named(item, name) for name, item in value.items()}
            case _:
                return value

    def _name(self, name: str) -> str:
        return "{run}" + _RUN_PREFIX.sub("", name)

    def _words(self, text: str) -> str:
        """A text with variables for the ids that earlier answers have, and with the names of this run."""
        if _VARIABLE.search(text):
            raise CannotDraft("a text with {braces}, which a case takes for a variable")
        for name in sorted(self._client_names, key=len, reverse=True):
            if text == name:
                return self._name(name)
        return self._chain.text(_RUN_PREFIX.sub("{run}", text))

    # --- of the answer

    def _expected(self, value: Any, path: str, operation: str) -> Any:
        """What to expect of a value: its kind where it differs each time, else itself."""
        treat = treatment(operation, path, left_out=self._left_out)
        if path.rpartition(".")[2] in PAGE_TOKENS:
            return "$any"
        if treat == SKIP or (operation in LISTS_OF_THE_TEAM and isinstance(value, list) and path.count(".") == 1):
            return "$any"
        match value:
            case None:
                return "$null"
            case dict():
                return {name: self._expected(item, f"{path}.{name}", operation) for name, item in value.items()}
            case list():
                return [self._expected(item, f"{path}[*]", operation) for item in value]
            case bool():
                return value
            case int() | float():
                is_time = path.rpartition(".")[2].endswith(TIME_NAMES)
                return "$number" if treat == KIND or is_time else value
            case _:
                return self._expected_text(str(value), treat)

    def _expected_text(self, value: str, treat: str | None) -> Any:
        if value in self._chain.names:
            return f"{{{self._chain.names[value]}}}"
        kind = next((kind for kind, pattern in _KINDS.items() if re.fullmatch(pattern, value)), None)
        if kind is not None:
            return kind
        if ID.fullmatch(value):
            return {"$starts": value[: value.rfind("_") + 1]}
        return ("$text" if value else "$any") if treat is not None else self._exactly(value)

    def _exactly(self, text: str) -> Any:
        found = self._words(text)
        if set(ID.findall(found)) - self._asked:  # of something that no call of the case names
            return "$text"
        if _SHOWN_KEY.search(found):
            return {"$matches": f"^{_SHOWN_KEY.sub(lambda key: _MASKED_KEY, re.escape(found))}$"}
        return {"$is": found} if found.startswith("$") else found


def feature_of(operation: str) -> str:
    """Return the feature of the kit that an operation belongs to."""
    family, _, verb = operation.partition(".")
    return "search" if verb == "search" else "collections" if family == "documents" else family


def names_of(entry: Entry) -> Iterator[str]:
    """The names that a request gives to what it makes."""
    body = entry.request.body
    if not succeeded(entry):
        return
    if isinstance(entry.grpc, Grpc):
        for message in entry.grpc.request:
            yield from (str(value) for path, value in leaves(message) if path.rpartition(".")[2] in _NAMES and value)
    if not isinstance(body, PostData):
        return
    for param in [] if body.params is UNSET else body.params:
        if isinstance(param.filename, str):
            yield param.filename
    try:
        value = loads(body.text)
    except ValueError:
        return
    if isinstance(value, dict):
        yield from (value[name] for name in _NAMES if isinstance(value.get(name), str) and value[name])


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"
