"""Draft cases of the contract kit as TOML, from a recording. A person reviews, corrects and names them.

Each has the calls that an exchange depends on, and the response of the service in the syntax of
`contract_tests/matchers.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from emulator.comparing.case_values import CannotDraft, Draft, feature_of
from emulator.comparing.run import Outcome
from emulator.comparing.send import INFERENCE, MANAGEMENT
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import Link, answer_of, is_wait, succeeded
from emulator.recordings.entries import Entry, Grpc, Param, PostData, header
from emulator.rpc.plain import fill

HEAD = """\
# Drafts of cases from {file}: read each, shorten what it expects, and give it a name and a sentence.
# The kit refuses a case without a sentence.
"""
FILLER_CHARS_MAX = 1_000  # of a file's content in a case; the rest are zero bytes
WAIT_SECONDS = 60
_HEADERS = ("range", "accept", "if-none-match", "if-modified-since")


class RestDraft(Draft):
    """One case as TOML."""

    def lines(self, outcome: Outcome, source: str, number: int) -> Iterator[str]:
        """Yield the lines of the case."""
        if any(isinstance(link.entry.grpc, Grpc) for link in self._chain.links):
            raise CannotDraft("after a call over gRPC, which a case as data cannot make")
        yield from self._notes(outcome)
        yield "[[case]]"
        yield f"id = {_toml(f'{feature_of(outcome.operation)}.draft-{number}')}"
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


def _key(entry: Entry, *, is_managed: bool) -> str:
    """Return the word for the key in a step."""
    recorded = header(entry.request.headers, "authorization")
    if recorded is None:
        return "own" if entry.response.status != 401 else "none"
    label = recorded.partition(" ")[2]
    if label not in (INFERENCE, MANAGEMENT):
        return "wrong" if entry.response.status in (400, 401, 403) else "own"
    return "own" if (label == MANAGEMENT) is is_managed else "other"


def _is_progress(entry: Entry) -> bool:
    """Return whether the response depends on the progress of the service."""
    family, _, verb = (entry.operation or "").partition(".")
    return family in ("documents", "batches") and verb.startswith(("get", "list", "search")) and succeeded(entry)


def _toml(value: Any) -> str:
    """Return a TOML value on one line."""
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
