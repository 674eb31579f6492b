"""`canned:FILE`: answers from a JSONL file, by what the request holds and by what was found for it.

    {"contains": "ferns", "found": true, "response": "{quote} {citation}"}
    {"regex": "(?i)weather", "tool": "weather", "turn": 1, "response": {"tool_calls": [{"name": "weather"}]}}
    {"tool_result": "rain", "response": "Take an umbrella: {tool_result}."}
    {"kind": "image_generation", "error": "the prompt was refused"}
    {"strict": true}

A line fits when all conditions that it has hold (`Rule`); the first line that fits answers, with `response` or with
`error`. Where none fits, the request is echoed, unless a line says that the file is strict: then it is refused.

A response is a text, a message (`content` or `json`, `reasoning`, `tool_calls`, `finish_reason`) or a whole result. Its
texts may name `{prompt}`, `{quote}`, `{file_name}`, `{file_id}`, `{collection_id}`, `{chunk_id}`, `{score}`,
`{citation}`, `{tool_result}` and `{turn}`; what is not known is left empty, other braces stay as they are. An error is
a text, or an object with `status`, `code`, `message` and `retry_after` in seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct

from emulator.core.errors import WIRE, ApiError, Kind
from emulator.core.threads import map_in_threads
from emulator.domain.batches.batch import ResultKind
from emulator.domain.chat.answers import marker, quote_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import text_of
from emulator.domain.chat.evidence import Passage
from emulator.domain.chat.requests import ModelRequest
from emulator.responders.echo import echo

NO_RULE_CODE = "emulator:no-rule"
_PROMPT_CHARS_SHOWN = 80
_PLACEHOLDER = re.compile(
    r"\{(prompt|quote|file_name|file_id|collection_id|chunk_id|score|citation|tool_result|turn)\}"
)
_KINDS_BY_STATUS = {
    **{wire.http: kind for kind, wire in reversed(WIRE.items())},
    400: Kind.INVALID_ARGUMENT,
    422: Kind.INVALID_ARGUMENT,
    500: Kind.INTERNAL,
}


class Refusal(Struct, forbid_unknown_fields=True):
    """A refusal: its HTTP status decides the status of gRPC."""

    message: str
    status: Annotated[int, Meta(ge=400, le=599)] = 400
    code: str | None = None
    retry_after: Annotated[int, Meta(ge=0)] | None = None


class Rule(Struct, forbid_unknown_fields=True):
    """One answer, and what it answers to: the conditions, all of which must hold, then the answer."""

    id: str = "*"  # pattern of the id of a batch request
    kind: str | None = None
    model: str = "*"  # pattern
    endpoint: Literal["chat", "responses", "grpc", "batch"] | None = None
    contains: str = ""  # in the last user text
    regex: str | None = None  # found in the last user text
    system: str | list[str] | None = None  # in the system messages; of several each
    turn: int | None = None  # 1 and the assistant messages so far
    tool_result: str | Literal[True] | None = None  # in a result of this turn; true for any
    tool: str | None = None  # the name of a function, or the type of a tool, that is offered
    format: Literal["text", "json_object", "json_schema"] | None = None
    file: str | None = None  # pattern of the name of a file that was searched
    collection: str | None = None  # id of a collection that was searched
    found: bool | None = None  # whether a search had a match
    strict: bool | None = None
    response: Any = UNSET
    error: str | Refusal | None = None

    def fits(self, request: ModelRequest) -> bool:
        """Whether this is the answer to a request."""
        is_asked = (
            fnmatchcase(request.batch_request_id, self.id)
            and self.kind in (None, request.kind)
            and fnmatchcase(request.model, self.model)
            and self.endpoint in (None, request.endpoint.value)
            and self.contains in request.prompt
            and (self.regex is None or re.search(self.regex, request.prompt) is not None)
        )
        if not is_asked or request.result_kind is not ResultKind.CHAT:
            return is_asked and not self._is_about_chat
        return self._fits_conversation(request) and self._fits_evidence(request)

    @property
    def _is_about_chat(self) -> bool:
        conditions = (self.system, self.turn, self.tool_result, self.tool, self.format, self.file, self.collection)
        return any(each is not None for each in (*conditions, self.found))

    def _fits_conversation(self, request: ModelRequest) -> bool:
        wanted = [self.system] if isinstance(self.system, str) else self.system or []
        system = "\n".join(text_of(each) for each in request.messages if each.get("role") in ("system", "developer"))
        tools = {*(function["name"] for function in request.functions), *request.server_tools}
        return (
            all(text in system for text in wanted)
            and self.turn in (None, turn_of(request))
            and self._fits_result(results_of(request))
            and (self.tool is None or self.tool in tools)
            and self.format in (None, request.format)
        )

    def _fits_result(self, results: Sequence[str]) -> bool:
        if self.tool_result is None:
            return True
        return bool(results) if self.tool_result is True else any(self.tool_result in each for each in results)

    def _fits_evidence(self, request: ModelRequest) -> bool:
        targets = [target for search in request.evidence for target in search.targets]
        has_match = any(search.passages for search in request.evidence)
        return (
            (self.file is None or any(fnmatchcase(target, self.file) for target in targets))
            and (self.collection is None or self.collection in targets)
            and self.found in (None, has_match)
        )


def turn_of(request: ModelRequest) -> int:
    """Return the number of the turn: 1 and the assistant messages so far."""
    return 1 + sum(1 for message in request.messages if message.get("role") == "assistant")


def results_of(request: ModelRequest) -> list[str]:
    """Return the results of tools after the last user message."""
    return [text_of(message) for message in request.turn if message.get("role") in ("tool", "function")]


class Canned:
    """Answers in a thread: the file may have many lines, and an echo may take its time."""

    requests_max = 40

    def __init__(self, rules: Sequence[Rule], name: str = "the file") -> None:
        self._rules = [rule for rule in rules if rule.strict is None]
        self._is_strict = any(rule.strict for rule in rules)
        self._name = name

    @classmethod
    def from_file(cls, path: str) -> Canned:
        """The answers of a file. Raises ValueError naming the line that is none."""
        try:
            texts = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        rules = [_rule(f"{path}, line {number}", text) for number, text in enumerate(texts, 1) if text.strip()]
        return cls(rules, Path(path).name)

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """The answer of the first rule that fits, or an echo, for each."""
        return await map_in_threads(self._answer, requests, threads=1)

    def _answer(self, request: ModelRequest) -> Any:
        rule = next((rule for rule in self._rules if rule.fits(request)), None)
        if rule is not None:
            return _response(rule, request) if rule.error is None else _refusal(rule.error)
        if not self._is_strict:
            return echo(request)
        # Not a 5xx, which clients would send again and again.
        shown = request.prompt[:_PROMPT_CHARS_SHOWN]
        sentence = f'No rule of {self._name} matches: "{shown}"'
        return ApiError(Kind.FAILED_PRECONDITION, sentence, rule="no_rule", status=400, code=NO_RULE_CODE)


def _refusal(error: str | Refusal) -> Exception:
    if isinstance(error, str):
        return RuntimeError(error)
    kind = _KINDS_BY_STATUS.get(error.status, Kind.INTERNAL if error.status >= 500 else Kind.INVALID_ARGUMENT)
    return ApiError(
        kind, error.message, rule="canned", status=error.status, code=error.code, retry_after=error.retry_after
    )


# --- responses


def _response(rule: Rule, request: ModelRequest) -> Any:
    response = rule.response
    if request.result_kind is not ResultKind.CHAT:
        return response
    values = _values(request)
    if isinstance(response, str):
        return _filled(response, values)
    if not isinstance(response, dict) or "choices" in response:
        return response
    return _message(response, values)


def _message(response: Json, values: dict[str, str]) -> Json:
    """A message as answers take it, with its texts filled in."""
    message = {name: value for name, value in response.items() if name not in ("json", "reasoning")}
    if "content" in message:
        message["content"] = _filled(message["content"], values)
    if "json" in response:
        message["content"] = json.dumps(_filled(response["json"], values))
    if "reasoning" in response:
        message["reasoning_content"] = _filled(response["reasoning"], values)
    if isinstance(message.get("tool_calls"), list):
        message["tool_calls"] = _filled(message["tool_calls"], values)
    return message


def _filled(value: Any, values: dict[str, str]) -> Any:
    """A value whose texts have the values of what they name."""
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda name: values[name[1]], value)
    if isinstance(value, list):
        return [_filled(each, values) for each in value]
    if isinstance(value, dict):
        return {name: _filled(each, values) for name, each in value.items()}
    return value


def _values(request: ModelRequest) -> dict[str, str]:
    """What a response may name."""
    found = (search.best for search in request.evidence)
    best = next((passage for passage in found if passage is not None), None) or Passage("", 0.0, "", "")
    results = results_of(request)
    return {
        "prompt": request.prompt,
        "quote": quote_of(best.text),
        "file_name": best.filename,
        "file_id": best.file_id,
        "collection_id": best.collection_ids[0] if best.collection_ids else "",
        "chunk_id": best.chunk_id,
        "score": str(best.score) if best.text else "",
        "citation": marker(1, best.uri) if best.uri is not None else "",
        "tool_result": results[-1] if results else "",
        "turn": str(turn_of(request)),
    }


# --- loading


def _rule(place: str, text: bytes) -> Rule:
    try:
        rule = msgspec.json.decode(text, type=Rule)
        re.compile(rule.regex or "")
    except (msgspec.DecodeError, re.error) as error:
        raise ValueError(f"{place}: {error}") from None
    if rule.strict is not None and (rule.response is not UNSET or rule.error is not None):
        raise ValueError(f"{place}: strict stands on a line of its own")
    if rule.strict is None and (rule.response is UNSET) == (rule.error is None):
        raise ValueError(f"{place}: one of response and error is needed")
    return rule
