"""Canned rules: which requests a rule answers, how often, and with what. A rule is checked before it is used."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from emulator.domain.batches.batch import ResultKind
from emulator.domain.chat.conversation import text_of
from emulator.domain.chat.pace import Pace
from emulator.domain.chat.requests import ModelRequest

SECONDS_MAX = 86_400
RATE_MAX = 1_000_000
COUNT_MAX = 2**31 - 1

Seconds = Annotated[float, Meta(ge=0, le=SECONDS_MAX)]
Count = Annotated[int, Meta(ge=0, le=COUNT_MAX)]


class BadRule(ValueError):
    """An invalid rule; the message says why."""


class CannedError(Struct, forbid_unknown_fields=True, omit_defaults=True):
    """A refusal; the gRPC status is derived from its HTTP status."""

    message: Annotated[str, Meta(description="What the refusal says.")]
    status: Annotated[int, Meta(ge=400, le=599, description="The HTTP status, which decides that of gRPC.")] = 400
    code: Annotated[str, Meta(description="The code of the refusal, in place of the usual one.")] | None = None
    retry_after: Annotated[int, Meta(ge=0, le=SECONDS_MAX, description="Seconds for `Retry-After`.")] | None = None


class ToolCall(Struct, forbid_unknown_fields=True):
    """A call of a function of the client, flat or as the API writes it."""

    name: str | None = None
    arguments: Any = None
    id: str | None = None
    type: str | None = None
    function: dict[str, Any] | None = None


class Message(Struct, forbid_unknown_fields=True):
    """A response with more than a text."""

    content: Annotated[str | list[Any] | None, Meta(description="The text.")] = None
    json: Annotated[Any, Meta(description="A value whose JSON is the text.")] = None
    reasoning: Annotated[str, Meta(description="The reasoning before the text.")] | None = None
    tool_calls: Annotated[list[ToolCall], Meta(description="Calls of functions: `name`, `arguments`, `id`.")] | None = (
        None
    )
    finish_reason: Annotated[str, Meta(description="Why the answer ends, such as `length`.")] | None = None
    refusal: Annotated[str, Meta(description="The member `refusal` of the message.")] | None = None
    citations: Annotated[list[str], Meta(description="The sources, in place of those that the text quotes.")] | None = (
        None
    )
    model: Annotated[str, Meta(description="The model that the answer names.")] | None = None
    usage: Annotated[dict[str, Any], Meta(description="Counts that replace those of the emulator.")] | None = None
    reasoning_content: Annotated[str, Meta(description="The reasoning, as the API names it.")] | None = None
    role: Annotated[Literal["assistant"], Meta(description="Always the assistant.")] | None = None


# A response with one of these members is a whole result in the format of the API, and is sent unchanged.
_WHOLE = ("choices", "data", "video", "url", "b64_json")
_EVIDENCE = ("file", "collection", "found")
_PACE = ("ttft", "tokens_per_second", "chunk", "cut_after")


class CannedRule(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Conditions, all of which must be true, and the answer."""

    contains: Annotated[str, Meta(description="Part of the last user text.")] = ""
    regex: Annotated[str, Meta(description="A regular expression that is found in the last user text.")] | None = None
    system: Annotated[str | list[str], Meta(description="Part of the system messages; of several each.")] | None = None
    model: Annotated[str, Meta(description="Pattern of the model that is asked for: `grok-4*`.")] = "*"
    endpoint: (
        Annotated[Literal["chat", "responses", "grpc", "batch"], Meta(description="Where the request came in.")] | None
    ) = None
    stream: Annotated[bool, Meta(description="Whether the answer is streamed.")] | None = None
    turn: Annotated[int, Meta(ge=1, description="1 and the assistant messages so far.")] | None = None
    tool_result: (
        Annotated[
            str | Literal[True], Meta(description="Part of a result that a function returned in this turn; true: any.")
        ]
        | None
    ) = None
    tool: Annotated[str, Meta(description="A function, or a type of tool, that is offered.")] | None = None
    format: (
        Annotated[Literal["text", "json_object", "json_schema"], Meta(description="The format that is demanded.")]
        | None
    ) = None
    file: Annotated[str, Meta(description="Pattern of the name of an attached file.")] | None = None
    collection: Annotated[str, Meta(description="Id of a collection that was searched.")] | None = None
    found: Annotated[bool, Meta(description="Whether a search had a match.")] | None = None
    id: Annotated[str, Meta(description="Pattern of the id of a batch request.")] = "*"
    kind: Annotated[str, Meta(description="Kind of a batch request, such as `image_generation`.")] | None = None
    times: Annotated[int, Meta(ge=1, le=COUNT_MAX, description="How many requests it answers at most.")] | None = None
    response: Annotated[Any, Meta(description="A text, a message, or a whole result.")] = UNSET
    responses: (
        Annotated[list[Any], Meta(min_length=1, description="One after the other; the last one stays.")] | UnsetType
    ) = UNSET
    error: Annotated[str | CannedError, Meta(description="A refusal in place of a response.")] | None = None
    search: (
        Annotated[
            str | Literal[False], Meta(description="The query of the search, in place of the user's; false: none runs.")
        ]
        | None
    ) = None
    delay: Annotated[Seconds, Meta(description="Seconds until the answer begins.")] = 0.0
    ttft: Annotated[Seconds, Meta(description="Seconds from there to the first token.")] = 0.0
    tokens_per_second: Annotated[float, Meta(gt=0, le=RATE_MAX, description="Pace of what is written.")] | None = None
    chunk: Annotated[int, Meta(ge=1, le=COUNT_MAX, description="Words of a delta.")] = 1
    cut_after: Annotated[Count, Meta(description="Deltas after which a stream is cut.")] | None = None

    @property
    def pace(self) -> Pace | None:
        """Return the pace of the answer; None for at once."""
        pace = Pace(self.delay, self.ttft, self.tokens_per_second, self.chunk, self.cut_after)
        return None if pace == _AT_ONCE else pace

    @property
    def depends_on_evidence(self) -> bool:
        """Return whether a condition depends on the results of a search."""
        return any(getattr(self, name) is not None for name in _EVIDENCE)

    def response_of(self, number: int) -> Any:
        """Return the response to the n-th request that the rule answers, from 1 on."""
        if isinstance(self.responses, UnsetType):
            return self.response
        return self.responses[min(number, len(self.responses)) - 1]

    def fits(self, request: ModelRequest) -> bool:
        """Return whether all conditions are true for a request."""
        return self.fits_before_search(request) and self._fits_evidence(request)

    def fits_before_search(self, request: ModelRequest) -> bool:
        """Return whether all conditions are true, except those on the results of a search."""
        is_asked = (
            fnmatchcase(request.batch_request_id, self.id)
            and self.kind in (None, request.kind)
            and fnmatchcase(request.model, self.model)
            and self.endpoint in (None, request.endpoint.value)
            and self.stream in (None, request.is_streamed)
            and self.contains in request.prompt
            and (self.regex is None or re.search(self.regex, request.prompt) is not None)
        )
        if not is_asked or request.result_kind is not ResultKind.CHAT:
            return is_asked and not self._is_about_chat
        return self._fits_conversation(request)

    @property
    def _is_about_chat(self) -> bool:
        conditions = (self.system, self.turn, self.tool_result, self.tool, self.format)
        return self.depends_on_evidence or any(each is not None for each in conditions)

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
        if not self.depends_on_evidence:
            return True
        targets = [target for search in request.evidence for target in search.targets]
        has_match = any(search.passages for search in request.evidence)
        return (
            (self.file is None or any(fnmatchcase(target, self.file) for target in targets))
            and (self.collection is None or self.collection in targets)
            and self.found in (None, has_match)
        )


_AT_ONCE = Pace()


def turn_of(request: ModelRequest) -> int:
    """Return the number of the turn: 1 and the assistant messages so far."""
    return 1 + sum(1 for message in request.messages if message.get("role") == "assistant")


def results_of(request: ModelRequest) -> list[str]:
    """Return the results of tools after the last user message."""
    return [text_of(message) for message in request.turn if message.get("role") in ("tool", "function")]


# --- checks


def check(rule: CannedRule) -> None:
    """Check what types cannot express. Raises BadRule."""
    if rule.regex is not None:
        try:
            re.compile(rule.regex)
        except (re.error, RecursionError, OverflowError) as error:
            raise BadRule(f"regex: {error}") from None
    given = [name for name in ("response", "responses", "error") if getattr(rule, name) not in (UNSET, None)]
    if len(given) > 1:
        raise BadRule(f"{given[0]} and {given[1]} exclude each other")
    if not given and rule.response is UNSET:
        raise BadRule("one of response, responses and error is needed")
    for place, response in _responses(rule):
        _check_response(place, response)
    if rule.times is not None and not isinstance(rule.responses, UnsetType):
        raise BadRule("times and responses exclude each other: the last response is repeated")
    pace = next((name for name in _PACE if getattr(rule, name) != getattr(_AT_ONCE, name)), None)
    if rule.error is not None and pace is not None:
        raise BadRule(f"{pace} needs a response: an error can only have a delay")
    condition = next((name for name in _EVIDENCE if getattr(rule, name) is not None), None)
    if rule.search is not None and condition is not None:
        raise BadRule(f"search decides what is searched, so the rule cannot depend on it: {condition}")


def _responses(rule: CannedRule) -> Iterator[tuple[str, Any]]:
    if not isinstance(rule.responses, UnsetType):
        yield from ((f"responses[{number}]", each) for number, each in enumerate(rule.responses))
    elif rule.error is None:
        yield "response", rule.response


def _check_response(place: str, response: Any) -> None:
    """Refuse an invalid response, and unknown members of a message."""
    if isinstance(response, dict) and response.get("choices") == []:
        raise BadRule(f"{place}: a chat completion has at least one choice")
    if isinstance(response, str) or is_whole(response):
        return
    if not isinstance(response, dict) or not response:
        shown = msgspec.json.encode(response)[:80].decode("utf-8", "replace")
        raise BadRule(f"{place}: a response is a text, a message or a whole result, not {shown}")
    try:
        message = msgspec.convert(response, Message)
    except msgspec.ValidationError as error:
        raise BadRule(f"{place}: {error}") from None
    if message.content is not None and "json" in response:
        raise BadRule(f"{place}: content and json exclude each other")
    for number, call in enumerate(message.tool_calls or ()):
        if not isinstance(call.name or (call.function or {}).get("name"), str):
            raise BadRule(f"{place}: tool_calls[{number}] has no name")


def is_whole(response: Any) -> bool:
    """Return whether a response is a whole result, which is used unchanged."""
    return isinstance(response, dict) and not response.keys().isdisjoint(_WHOLE)


def rule_of(members: Any) -> CannedRule:
    """Return the rule of JSON values, checked. Raises BadRule."""
    try:
        rule = msgspec.convert(members, CannedRule)
    except msgspec.ValidationError as error:
        raise BadRule(str(error)) from None
    check(rule)
    return rule
