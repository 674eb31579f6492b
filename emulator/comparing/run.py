"""Compare a recording with an emulator, exchange by exchange, in the order in which the requests began."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from emulator.comparing.binding import Binding
from emulator.comparing.differences import Difference, Noise
from emulator.comparing.judge import Judge
from emulator.comparing.recorded import RecordedAnswers
from emulator.comparing.rules import HEADERS, HEADERS_OF_TRANSPORT, LISTS_OF_THE_TEAM
from emulator.comparing.send import OTHER, NotComparable, RestAnswer, Sender, Target
from emulator.core.clock import MICROSECONDS, Instant, rfc3339
from emulator.recordings.bounded_json import loads
from emulator.recordings.chains import ID, answered_text, asked_text, succeeded
from emulator.recordings.entries import RECORDER, Entry, Grpc, header
from emulator.recordings.har import Recording
from emulator.recordings.order import in_order, moment
from emulator.recordings.planes import complete, keeps_request, keeps_response
from emulator.rpc.ask import RpcAnswer

ALIKE, DIFFERS, NOT_COMPARED, IN_PROGRESS = "alike", "differs", "not compared", "in progress"
SHOWN_CHARS_MAX = 160
KEY_MAKERS = ("keys.create", "keys.rotate")
SECONDS_BETWEEN = 1  # the requests of a file without times
_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"')
_SEPARATOR = re.compile(r"[:,]\s*")
_AS_TEXT = re.compile(r"[?&]format=|\"format\"")
_INPUT_FILE = re.compile(r'"input_?file_?id"', re.IGNORECASE)


class Outcome(msgspec.Struct):
    """The result of one exchange. `waits_for` is the number of the exchange that this one depends on."""

    number: int
    operation: str
    title: str  # the method and the path, or the gRPC method
    outcome: str
    why: str = ""
    differences: list[Difference] = []
    page: str | None = None
    waits_for: int | None = None


class Comparison(msgspec.Struct):
    """All outcomes, and the headers that the service sends and the emulator never does."""

    recording: Recording
    outcomes: list[Outcome]
    headers_there: list[str] = []
    other: Recording | None = None  # the second recording, instead of an emulator
    unpaired: int = 0  # exchanges of that one which the recording has no counterpart of


def compare(recording: Recording, target: Target, only: str = "*") -> Comparison:
    """Send a recording to an emulator. All exchanges are sent; `only` is a pattern of the operations to compare."""
    binding = Binding()
    sender = Sender(target, binding, recording.path, foreign=is_foreign(recording))
    run = _Run(recording, binding, sender, only)
    try:
        return Comparison(recording, list(run.outcomes()), sorted(run.headers_there - run.headers_here))
    finally:
        sender.close()


def is_foreign(recording: Recording) -> bool:
    """Return whether another program made a recording; `record --from` may have sanitized it.

    Such a recording does not say from which service it is.
    """
    about = recording.log.about
    return about is UNSET or not about.to


def compare_with(recording: Recording, other: Recording, only: str = "*") -> Comparison:
    """Compare two recordings: "there" is the first, "here" the other."""
    binding = Binding()
    answers = RecordedAnswers(recording, other, binding)
    run = _Run(recording, binding, answers, only)
    run.left_out = run.left_out or other.contents_left_out
    run.lists_others |= _lists_of_others(other.entries)
    found = Comparison(recording, list(run.outcomes()), sorted(run.headers_there - run.headers_here))
    found.other, found.unpaired = other, answers.unpaired
    return found


class NothingInCommon(ValueError):
    """No exchange of two recordings can be compared; the message is one line."""


def noise_between(recording: Recording, other: Recording) -> frozenset[Noise]:
    """Return where two recordings of one script differ, because the service's responses vary.

    Raises NothingInCommon for recordings of different scripts.
    """
    outcomes = compare_with(recording, other).outcomes
    if not any(outcome.outcome in (ALIKE, DIFFERS) for outcome in outcomes):
        raise NothingInCommon(f"{other.path}: it has no exchange in common with {recording.path}")
    return frozenset(
        Noise(outcome.operation, difference.what, difference.place)
        for outcome in outcomes
        for difference in outcome.differences
    )


class _Run:
    def __init__(self, recording: Recording, binding: Binding, sender: Sender | RecordedAnswers, only: str) -> None:
        self._recording, self._binding, self._sender, self._only = recording, binding, sender, only
        self.left_out = recording.contents_left_out
        self.lists_others = _lists_of_others(recording.entries)
        self._foreign = is_foreign(recording)
        self._keys_made = False  # by calls of the recording, which has none of them
        self._times_known = any(moment(entry.started) is not None for entry in recording.entries)
        self.headers_there: set[str] = set()
        self.headers_here: set[str] = set()

    def outcomes(self) -> Iterator[Outcome]:
        now: Instant | None = None
        for number, entry in enumerate(in_order(self._recording.entries), 1):
            if entry.number is UNSET:
                entry.number = number
            at = moment(entry.started)
            if number == 1:
                self._sender.freeze(None if at is None else rfc3339(at))
            elif not self._times_known:
                self._sender.advance(SECONDS_BETWEEN * MICROSECONDS)
            else:  # also for no time: what is due runs before the next request
                self._sender.advance(0 if at is None or now is None else max(0, at - now))
            now = at if now is None else max(at or now, now)
            yield self._outcome(entry)

    def _outcome(self, entry: Entry) -> Outcome:
        assert isinstance(entry.number, int)
        outcome = Outcome(
            entry.number,
            entry.operation or "",
            title_of(entry),
            NOT_COMPARED,
            page=entry.page if isinstance(entry.page, str) else None,
        )
        asked, answered = asked_text(entry), answered_text(entry)
        maker = self._binding.waits_for(asked)
        self._binding.asked(asked)
        self._binding.answered(answered, entry.number)
        why = self._reason_not_to(entry, asked)
        self._keys_made = self._keys_made or (entry.operation in KEY_MAKERS and succeeded(entry))
        if why is None and maker is not None and self._sender.needs_makers:
            why, outcome.waits_for = "needs what another exchange made", maker
        if why is not None:
            outcome.why = why
            return outcome
        try:
            differences, in_progress = self._judged(entry)
        except NotComparable as error:
            outcome.why = str(error)
            return outcome
        except ConnectionError as error:
            differences, in_progress = [Difference("status", "", _status(entry), str(error))], False
        if self._is_about_older(entry, asked, differences):
            outcome.why = "needs what was there before the recording"
            return outcome
        if entry.operation and not fnmatchcase(entry.operation, self._only):
            outcome.why = "not asked for (--only)"
            return outcome
        outcome.differences = sorted(differences, key=lambda each: each.weight)
        outcome.outcome = DIFFERS if differences else IN_PROGRESS if in_progress else ALIKE
        return outcome

    def _reason_not_to(self, entry: Entry, asked: str) -> str | None:
        if entry.by == RECORDER:
            return "xai-emulator answered it, not the service"
        if entry.operation is None:
            return "of operations that are not emulated"
        if isinstance(entry.grpc, Grpc):
            if entry.grpc.messages is not UNSET:
                return "of messages that are not understood"
        elif entry.response.status == 0:
            return "without an answer"
        elif entry.response.status >= 500 or entry.response.status == 429:
            return "which the service could not answer (429 or 5xx)"
        if self._keys_made and self._sender.needs_makers and _is_of_another_key(entry):
            return "with a key that the file does not have"
        if entry.request.method == "OPTIONS":
            return "of browsers (OPTIONS)"
        if not keeps_request(entry.operation or None):
            return "of operations whose bodies are not recorded"
        if self._foreign and _lacks_its_answer(entry):
            return "whose answers are not in the file, or not readable"
        # 422 is about the form of the request, whatever the file has.
        if self.left_out and _INPUT_FILE.search(asked) and entry.response.status != 422:
            return "lacks its content: a batch from an input file"
        if self.left_out and entry.operation == "files.content" and _AS_TEXT.search(asked):
            return "lacks its content: the text of a file"
        return None

    def _is_about_older(self, entry: Entry, asked: str, differences: list[Difference]) -> bool:
        """Return whether the service knew an id that is not found here, and that is in no response of the recording."""
        here = next((str(each.here) for each in differences if each.what == "status"), "")
        not_found = here.startswith(("404:", "NOT_FOUND:"))
        return not_found and succeeded(entry) and self._sender.needs_makers and self._binding.is_older(asked)

    def _judged(self, entry: Entry) -> tuple[list[Difference], bool]:
        call = entry.grpc
        judge = Judge(
            entry.operation or "",
            self._binding,
            entry.number or 0,
            over_grpc=isinstance(call, Grpc),
            left_out=self.left_out,
            lists_others=entry.operation in self.lists_others,
            shifts=self._sender.shifts,
            times_known=self._times_known,
        )
        if isinstance(call, Grpc):
            found = list(self._grpc(judge, call, self._sender.grpc(entry, call)))
        else:
            found = list(self._rest(judge, entry, self._sender.rest(entry)))
        if judge.lists_others and entry.operation:
            self.lists_others.add(entry.operation)
        return found, judge.in_progress

    # --- REST

    def _rest(self, judge: Judge, entry: Entry, answer: RestAnswer) -> Iterator[Difference]:
        there = entry.response
        if there.status != answer.status:
            here = f"{answer.status}: {_shown(answer.body.decode('utf-8', 'replace'))}"
            yield Difference("status", "", _status(entry), here)
            return
        yield from self._headers(entry, answer)
        if entry.request.method == "HEAD":
            return
        text = there.body.text
        if not isinstance(text, str) or there.body.encoding == "base64":
            if there.body.digest is not UNSET and there.body.size != answer.length:
                yield Difference("value", "length of the content", there.body.size, answer.length)
            return
        here = answer.body.decode("utf-8", "replace")
        try:
            values = loads(text), loads(here)
        except ValueError:
            yield from judge.words(text, here, "body")
            return
        found = judge.compare(*values)
        yield from found
        if not found and is_spaced_otherwise(text, here):
            yield Difference("format", "spaces between members", _shown(text), _shown(here))

    def _headers(self, entry: Entry, answer: RestAnswer) -> Iterator[Difference]:
        there = {pair.name.lower(): pair.value for pair in entry.response.headers}
        self.headers_there |= there.keys() - HEADERS_OF_TRANSPORT
        self.headers_here |= answer.headers.keys()
        # A file with no header but Content-Type was not made from a recording.
        for name in sorted(HEADERS if len(there) > 1 else {"content-type"}):
            recorded, present = there.get(name), answer.headers.get(name)
            if recorded is not None:
                recorded = self._binding.text(recorded)
            if recorded != present and not (
                name.startswith("access-control-") and header(entry.request.headers, "origin")
            ):
                yield Difference("header", name, recorded, present)

    # --- gRPC

    def _grpc(self, judge: Judge, call: Grpc, answer: RpcAnswer) -> Iterator[Difference]:
        if call.status != answer.code:
            yield Difference("status", "", f"{call.status}: {call.message}", f"{answer.code}: {answer.message}")
            return
        yield from judge.words(call.message, answer.message, "details")
        there, here = _joined(call.response), _joined(answer.responses)
        if len(there) != len(here):
            yield Difference("items", "messages", len(there), len(here))
        for number, (one, other) in enumerate(zip(there, here, strict=False)):
            yield from judge.compare(one, other, "$" if len(there) == 1 else f"$[{number}]")
        for name in call.unknown:
            if name.startswith("response.") and name not in answer.unknown:
                yield Difference("extra there", f"$.<field {name.removeprefix('response.')}>", "a field", None)


def _is_of_another_key(entry: Entry) -> bool:
    """Return whether a call used a key that the service knows, but not one of the run."""
    status = entry.grpc.status if isinstance(entry.grpc, Grpc) else entry.response.status
    is_unknown = status in (400, 401, "UNAUTHENTICATED", "INVALID_ARGUMENT")
    return not is_unknown and OTHER in (header(entry.request.headers, "authorization") or "")


def _lists_of_others(entries: list[Entry]) -> set[str]:
    """Return the operations that list objects of other clients: no other exchange of the recording names these."""
    known: set[str] = set()
    listed: dict[str, set[str]] = {}
    for entry in entries:
        if entry.operation is UNSET:
            complete(entry)
        asked, answered = asked_text(entry), answered_text(entry)
        if entry.operation in LISTS_OF_THE_TEAM:
            listed.setdefault(entry.operation, set()).update(ID.findall(answered))
            known.update(ID.findall(asked))
        else:
            known.update(ID.findall(asked + answered))
    return {operation for operation, ids in listed.items() if ids - known}


def spacing(text: str) -> set[str]:
    """Return the separators of JSON with the spaces after them."""
    return set(_SEPARATOR.findall(_STRING.sub('""', text)))


def is_spaced_otherwise(there: str, here: str) -> bool:
    """Return whether the same separator has other spaces. An empty list or object has no separators."""
    marks, others = spacing(there), spacing(here)
    return any(
        {each for each in marks if each[0] == mark} != {each for each in others if each[0] == mark}
        for mark in {each[0] for each in marks} & {each[0] for each in others}
    )


def _lacks_its_answer(entry: Entry) -> bool:
    """Return whether the body of a response with ids for later exchanges is missing."""
    body = entry.response.body
    if isinstance(entry.grpc, Grpc) or isinstance(body.text, str) or entry.request.method in ("HEAD", "DELETE"):
        return False
    return entry.response.status not in (204, 304) and keeps_response(
        entry.operation or None, entry.response.status, body.mime_type
    )


def title_of(entry: Entry) -> str:
    """Return the method and the path with ids as `*`, or the gRPC method."""
    path = urlsplit(entry.request.url).path
    if isinstance(entry.grpc, Grpc):
        return path.removeprefix("/")
    return f"{entry.request.method} {ID.sub('*', path)}"


def _joined(messages: list[Any]) -> list[Any]:
    """Return the messages of a response; those of a download joined."""
    sizes = [
        message["data"]["_bytes"]
        for message in messages
        if isinstance(message, dict)
        and isinstance(message.get("data"), dict)
        and isinstance(message["data"].get("_bytes"), int)
    ]
    return [{"data": {"_bytes": sum(sizes)}}] if messages and len(sizes) == len(messages) else messages


def _status(entry: Entry) -> str:
    if isinstance(entry.grpc, Grpc):
        return f"{entry.grpc.status}: {entry.grpc.message}"
    text = entry.response.body.text
    return f"{entry.response.status}: {_shown(text)}" if isinstance(text, str) and text else str(entry.response.status)


def _shown(text: str) -> str:
    return text if len(text) <= SHOWN_CHARS_MAX else f"{text[:SHOWN_CHARS_MAX]}…"
