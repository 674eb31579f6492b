"""Draft cases of the contract kit from a recording, for a person to read, correct and name.

Each kind of exchange becomes one case: the calls that lead to it, and what the service answered in the words of
`contract_tests/matchers.py`. What depends on the run (ids, times, hashes) is expected by its kind, all else exactly.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import msgspec
from msgspec import UNSET

from emulator.comparing.differences import masked
from emulator.comparing.rules import KIND, LISTS_OF_THE_TEAM, PAGE_TOKENS, SKIP, TIME_NAMES, treatment
from emulator.comparing.run import DIFFERS, IN_PROGRESS, NOT_COMPARED, Comparison, Outcome
from emulator.comparing.send import INFERENCE, MANAGEMENT
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import ID, UUID, Chain, Chains, Link, answer_of, asked_text, is_wait, succeeded
from emulator.recordings.entries import RECORDER, Entry, Grpc, Param, PostData, header
from emulator.recordings.order import in_order
from emulator.rpc.plain import fill

HEAD = """\
# Drafts of cases from {file}: read each, shorten what it expects, and give it a name and a sentence.
# The kit refuses a case without a sentence.
"""
FILLER_CHARS_MAX = 1_000  # of a file's content that stands in a case; more are zero bytes
WAIT_SECONDS = 60
_RUN_PREFIX = re.compile(r"contract-[0-9a-f]{8}-")  # that the kit itself gives
_VARIABLE = re.compile(r"\{\w+(?::\d+)?\}")
_SHOWN_KEY = re.compile(r"\w{2}(?:\\?\*){3}\w{2}")  # the ends of a key, also where `re.escape` has been
_MASKED_KEY = r"\w\w\*\*\*\w\w"
_NAMES = ("name", "collection_name", "collectionName", "filename")
_PAGES = frozenset({*PAGE_TOKENS, "page_token", "pageToken"})
_HEADERS = ("range", "accept", "if-none-match", "if-modified-since")
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
    """An exchange that no case as data can say; the message says why."""


class Drafts(msgspec.Struct):
    """The text of the cases, how many they are, and what was left out, by reason."""

    text: str
    count: int
    left_out: Counter[str]


def draft_cases(comparison: Comparison) -> Drafts:
    """Draft one case for each kind of exchange, those that differ first."""
    entries = in_order(comparison.recording.entries)
    chains, by_number = Chains(entries), {entry.number: entry for entry in entries}
    about = comparison.recording.log.about
    recorded = getattr(about, "recorded", "") or "on an unknown day"
    lacking = {outcome.number for outcome in comparison.outcomes if outcome.why.startswith("lacks")}
    unfinished = {outcome.number for outcome in comparison.outcomes if outcome.outcome == IN_PROGRESS}
    pieces, seen, left_out = [HEAD.format(file=comparison.recording.path.name)], set(), Counter[str]()
    for outcome in sorted(comparison.outcomes, key=lambda each: each.outcome != DIFFERS):
        entry = by_number[outcome.number]
        try:
            if (kind := _kind(outcome, entry)) in seen:
                continue
            source = f"recorded {recorded}, {comparison.recording.path.name} #{outcome.number}"
            chain = chains.of(entry)
            if any(link.entry.number in lacking for link in chain.links):
                raise CannotDraft("after a call that lacks its content")
            draft = _Draft(chain, unfinished, comparison.recording.contents_left_out)
            pieces.append("\n".join(draft.lines(outcome, source, len(pieces))))
            seen.add(kind)
        except CannotDraft as error:
            left_out[str(error)] += 1
    return Drafts("\n\n".join(pieces) + "\n", len(pieces) - 1, left_out)


def _kind(outcome: Outcome, entry: Entry) -> tuple[Any, ...]:
    """What makes an exchange the same as another one, as far as a reader cares."""
    if outcome.outcome == NOT_COMPARED and not outcome.why.startswith("needs"):
        raise CannotDraft(outcome.why)
    if outcome.outcome == IN_PROGRESS:
        raise CannotDraft("in progress when recorded, which a case cannot wait for")
    _check(entry)
    answer = answer_of(entry)
    shape = masked(json.dumps(answer)) if not succeeded(entry) else list(answer) if isinstance(answer, dict) else ""
    names = sorted(name for name, _ in parse_qsl(urlsplit(entry.request.url).query))
    differences = tuple((each.what, each.place) for each in outcome.differences)
    return (outcome.operation, outcome.title, entry.response.status, str(shape), *names, *differences)


def _check(entry: Entry) -> None:
    if isinstance(entry.grpc, Grpc):
        raise CannotDraft("over gRPC, which a case as data cannot call")
    if any(name in _PAGES for name, _ in parse_qsl(urlsplit(entry.request.url).query)):
        raise CannotDraft("with a page token, which belongs to one list")
    if entry.by == RECORDER or not entry.operation:
        raise CannotDraft("not of the service, or of operations that are not emulated")


class _Draft:
    """One case."""

    def __init__(self, chain: Chain, unfinished: Collection[int], left_out: bool) -> None:
        """`unfinished` are the numbers of the exchanges that were answered while the service still worked."""
        self._chain, self._unfinished, self._left_out = chain, unfinished, left_out
        for link in chain.links:
            _check(link.entry)
        self._asked = {name for link in chain.links for name in ID.findall(asked_text(link.entry))}
        self._client_names = {name for link in chain.links for name in _names_of(link.entry) if len(name) > 2}

    def lines(self, outcome: Outcome, source: str, number: int) -> Iterator[str]:
        """Yield the lines of the case."""
        for difference in outcome.differences:
            there, here = (_short(value) for value in (difference.there, difference.here))
            yield f"# differs: {difference.what} {difference.place}: {there} there, {here} here"
        yield "[[case]]"
        yield f"id = {_toml(f'{_feature(outcome.operation)}.draft-{number}')}"
        yield 'sentence = ""'
        operations = dict.fromkeys([outcome.operation])
        yield f"operations = {_toml(list(operations))}"
        yield 'evidence = "recorded"'
        yield f"source = {_toml(source)}"
        if any((link.entry.operation or "").startswith("batches.") for link in self._chain.links):
            yield "destructive = true"
        *before, last = self._chain.links
        for link in before:
            yield from self._step(link)
            if is_wait(link.entry) and link.entry.number not in self._unfinished:
                yield from self._expectation(link.entry)
                continue
            yield f"expect.status = {link.entry.response.status}"
        yield from self._step(last)
        yield from self._expectation(last.entry)

    # --- the request

    def _step(self, link: Link) -> Iterator[str]:
        entry = link.entry
        request = entry.request
        parts = urlsplit(request.url)
        target = self._words(parts.path + (f"?{parts.query}" if parts.query else ""))
        yield "[[case.step]]"
        yield f"request = {_toml(f'{request.method} {target}')}"
        is_managed = parts.path.startswith("/v1/collections")
        if is_managed and entry.plane == "inference":
            yield 'host = "inference"'
            is_managed = False
        if (key := _key(entry, is_managed=is_managed)) != "own":
            yield f"key = {_toml(key)}"
        headers = {name: value for name in _HEADERS if (value := header(request.headers, name)) not in (None, "*/*")}
        if headers:
            yield f"headers = {_toml(headers)}"
        yield from self._body(request.body, succeeded(entry))
        if link.saves:
            yield f"save = {_toml(link.saves)}"
        if _is_progress(entry):
            yield f"within_seconds = {WAIT_SECONDS}"

    def _body(self, body: PostData | msgspec.UnsetType, is_success: bool) -> Iterator[str]:
        if not isinstance(body, PostData):
            return
        if body.params is not UNSET:
            yield f"form = {_toml([[self._words(param.name), self._part(param)] for param in body.params])}"
            return
        if body.size is not UNSET and body.size:
            raise CannotDraft("a request whose content was left out")
        try:
            value = loads(body.text) if body.text else None
        except ValueError:
            value = None
        if is_success and isinstance(value, dict) and "null" not in body.text:  # TOML has no null
            yield f"json = {_toml(self._named(value))}"
        elif body.text:  # of a refusal the bytes: it may name a column
            yield f"body = {_toml(self._words(body.text))}"
            yield f"type = {_toml(body.mime_type or 'application/json')}"

    def _part(self, param: Param) -> Any:
        if isinstance(param.value, str):
            return self._words(param.value)
        size = 0 if param.size is UNSET else param.size
        content = {"text": fill(size).decode()} if size <= FILLER_CHARS_MAX else {"bytes_count": size}
        part: dict[str, Any] = {"name": self._name(param.filename)} if isinstance(param.filename, str) else {}
        part |= content
        return part | ({"type": param.content_type} if isinstance(param.content_type, str) else {})

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

    # --- the answer

    def _expectation(self, entry: Entry) -> Iterator[str]:
        yield f"expect.status = {entry.response.status}"
        if entry.request.method == "HEAD":
            return
        answer = answer_of(entry)
        if isinstance(answer, dict):
            yield f"expect.keys = {_toml(list(answer))}"
            yield f"expect.json = {_toml(self._expected(answer, '$', entry.operation or ''))}"
        elif isinstance(answer, list):
            yield f"expect.json = {_toml(self._expected(answer, '$', entry.operation or ''))}"
        elif isinstance(answer, str) and not self._left_out | succeeded(entry):
            yield f"expect.text = {_toml(self._exactly(answer))}"

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


def _feature(operation: str) -> str:
    family, _, verb = operation.partition(".")
    return "search" if verb == "search" else "collections" if family == "documents" else family


def _names_of(entry: Entry) -> Iterator[str]:
    """The names that a request gives to what it makes."""
    body = entry.request.body
    if not isinstance(body, PostData) or not succeeded(entry):
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


def _key(entry: Entry, *, is_managed: bool) -> str:
    """The word of a step for the key that was sent."""
    recorded = header(entry.request.headers, "authorization")
    if recorded is None:
        return "own" if entry.response.status != 401 else "none"
    label = recorded.partition(" ")[2]
    if label not in (INFERENCE, MANAGEMENT):
        return "wrong" if entry.response.status in (400, 401, 403) else "own"
    return "own" if (label == MANAGEMENT) is is_managed else "other"


def _is_progress(entry: Entry) -> bool:
    """Whether the answer depends on how far the service is."""
    family, _, verb = (entry.operation or "").partition(".")
    return family in ("documents", "batches") and verb.startswith(("get", "list", "search")) and succeeded(entry)


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 80 else f"{text[:80]}…"


def _toml(value: Any) -> str:
    """A value of TOML on one line."""
    match value:
        case bool():
            return "true" if value else "false"
        case dict():
            return "{ " + ", ".join(f"{_toml_key(name)} = {_toml(item)}" for name, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(map(_toml, value)) + "]"
        case str():
            return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
        case _:
            return repr(value)


def _toml_key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _toml(name)
