"""An answer in the form that all renderers use: choices, searches, citations, usage and cost.

A responder's answer may be a single string. `answer_of` fills in missing members, counts and prices it, so that one
request has one text, one count and one cost through REST, gRPC and a batch. An answer can be stored: it is msgspec.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from emulator.core import ids
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import text_of
from emulator.domain.chat.evidence import Search, SearchTool
from emulator.domain.chat.images import image_tokens
from emulator.domain.chat.models import LONG_CONTEXT_FACTOR, LONG_CONTEXT_THRESHOLD, LanguageModel, model_name
from emulator.domain.chat.pace import Pace
from emulator.domain.chat.requests import ModelRequest

CHARACTERS_PER_TOKEN = 4
QUOTE_CHARS_MAX = 500
PRIORITY_FACTOR = 2  # of the price of the priority tier (recorded, 2026-09)


class BadAnswer(ValueError):
    """A responder returned an invalid answer; the message says why."""


class FunctionCall(msgspec.Struct, frozen=True):
    """A call of a function of the client; `arguments` is JSON text."""

    id: str
    name: str
    arguments: str
    type: str = "function"


class Choice(msgspec.Struct, frozen=True):
    """A choice of an answer. `extra` and `message_extra` are additional members from a responder."""

    text: str = ""
    reasoning: str = ""
    encrypted_reasoning: str = ""  # for a client that stores the conversation itself
    calls: tuple[FunctionCall, ...] = ()
    finish_reason: str = "stop"
    refusal: str | None = None
    extra: Json = {}
    message_extra: Json = {}


class Annotation(msgspec.Struct, frozen=True):
    """A citation in the text of the first choice, with positions in code points; both are 0 if there is no marker."""

    uri: str
    title: str
    start: int = 0
    end: int = 0


class Usage(msgspec.Struct, frozen=True):
    """The usage of an answer. `completion_tokens` are without `reasoning_tokens`; `extra` is added by a responder."""

    prompt_tokens: int
    completion_tokens: int
    reasoning_tokens: int = 0
    cached_tokens: int = 0
    image_tokens: int = 0
    context_tokens: int = 0  # the prompt without results of searches
    tools: tuple[SearchTool, ...] = ()  # one for each call
    cost_in_usd_ticks: int = 0
    num_sources_used: int = 0
    extra: Json = {}

    @property
    def total_tokens(self) -> int:
        return self.prompt_tokens + self.completion_tokens + self.reasoning_tokens

    def count(self, tool: SearchTool) -> int:
        """Return how often a tool was called."""
        return self.tools.count(tool)


class Answer(msgspec.Struct, frozen=True):
    """The answer to a request. `extra` contains additional members of a whole completion from a responder.

    `settings` are the members of the request that an answer repeats.
    """

    id: str
    created: int  # Unix seconds
    model: str
    system_fingerprint: str
    choices: tuple[Choice, ...]
    usage: Usage
    searches: tuple[Search, ...] = ()
    citations: tuple[str, ...] = ()
    annotations: tuple[Annotation, ...] = ()
    service_tier: str = "default"
    extra: Json = {}
    settings: Json = {}
    pace: Pace | None = None  # None: without delay

    @property
    def characters(self) -> int:
        """Return the length of all text, over which a pace distributes time."""
        return sum(
            len(choice.reasoning) + len(choice.text) + sum(len(call.arguments) for call in choice.calls)
            for choice in self.choices
        )

    def search_call_id(self, number: int) -> str:
        """Return the id of a call of a search tool."""
        return call_id(self.id, number)


def call_id(answer_id: str, number: int) -> str:
    """Return the id of the n-th tool call of an answer, in the form of mid 2026."""
    return f"call-{ids.fixed_uuid(answer_id, '', 'calls')}-{number}"


def tokens(text: str) -> int:
    """Return the estimated tokens of a text: a quarter of its characters, rounded up."""
    return tokens_of(len(text))


def tokens_of(characters: int) -> int:
    """Return the estimated tokens of a number of characters."""
    return -(-characters // CHARACTERS_PER_TOKEN)


def answer_of(request: ModelRequest, said: Any, *, id: str, created: int) -> Answer:
    """Return the complete answer for a responder's answer; `created` is in Unix seconds. Raises BadAnswer."""
    whole = said if isinstance(said, dict) and isinstance(said.get("choices"), list) else {}
    if whole and not whole["choices"]:
        raise BadAnswer("a chat completion has at least one choice")
    searches = request.evidence
    first_call = len(searches)
    given = [_given_choice(choice) for choice in whole["choices"]] if whole else [({}, _message(said))] * request.count
    choices = tuple(
        [
            _bounded(request, _choice(choice, message, id, first_call + 100 * number))
            for number, (choice, message) in enumerate(given)
        ]
    )
    model = request.language_model
    uris = _cited(choices, searches, whole)
    answer = Answer(
        id=id,
        created=created,
        model=model_name(request.model),
        system_fingerprint=model.fingerprint,
        choices=choices,
        usage=usage_of(request, choices, whole.get("usage")),
        searches=searches,
        citations=uris,
        annotations=_annotations(request, choices, uris),
        service_tier=request.tier,
        settings=request.settings,
    )
    return _as_given(answer, whole) if whole else answer


def _as_given(answer: Answer, whole: Json) -> Answer:
    """Copy the members of a whole completion from a responder."""
    return msgspec.structs.replace(
        answer,
        id=_text(whole, "id") or answer.id,
        created=_number(whole, "created", answer.created),
        model=_text(whole, "model") or answer.model,
        system_fingerprint=_text(whole, "system_fingerprint") or answer.system_fingerprint,
        service_tier=_text(whole, "service_tier") or answer.service_tier,
        extra=_others(whole, _COMPLETION_MEMBERS),
    )


_COMPLETION_MEMBERS = (
    *("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "citations"),
)


# --- choices


def _given_choice(given: Any) -> tuple[Json, Json]:
    if not isinstance(given, dict) or not isinstance(given.get("message"), dict):
        raise BadAnswer(f"a choice has a message, unlike {_shown(given)}")
    return given, given["message"]


def _message(said: Any) -> Json:
    if isinstance(said, str):
        return {"content": said}
    if isinstance(said, dict) and said.keys() & {"content", "tool_calls", "refusal", "reasoning_content"}:
        return said
    raise BadAnswer(f"a chat answer is a text, a message or a chat completion, not {_shown(said)}")


_MESSAGE_MEMBERS = ("role", "content", "tool_calls", "reasoning_content", "refusal", "finish_reason")
_CHOICE_MEMBERS = ("index", "message", "finish_reason")


def _choice(given: Json, message: Json, answer_id: str, first_call: int) -> Choice:
    given_calls = message.get("tool_calls") or ()
    calls = tuple([_call(each, call_id(answer_id, first_call + place)) for place, each in enumerate(given_calls)])
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise BadAnswer(f"the content of a message is a text or a list of parts, not {_shown(content)}")
    reason = given.get("finish_reason") or message.get("finish_reason") or ("tool_calls" if calls else "stop")
    return Choice(
        text=text_of(message),
        reasoning=_text(message, "reasoning_content"),
        calls=calls,
        finish_reason=str(reason),
        refusal=message.get("refusal"),
        extra=_others(given, _CHOICE_MEMBERS),
        message_extra=_others(message, _MESSAGE_MEMBERS),
    )


def _others(members: Json, known: Sequence[str]) -> Json:
    if not members:
        return {}
    return {key: value for key, value in members.items() if key not in known and value is not None}


def _call(given: Any, id: str) -> FunctionCall:
    """Return a call of a client's function: `{"name": …, "arguments": {…}}` is enough."""
    if not isinstance(given, dict):
        raise BadAnswer(f"a tool call is an object, not {_shown(given)}")
    function = given["function"] if isinstance(given.get("function"), dict) else given
    if not isinstance(function.get("name"), str):
        raise BadAnswer(f"a tool call has a name, unlike {_shown(given)}")
    arguments = function.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return FunctionCall(str(given.get("id") or id), function["name"], text, str(given.get("type") or "function"))


def _bounded(request: ModelRequest, choice: Choice) -> Choice:
    """Truncate the text at a stop sequence or at the token limit."""
    text, reason = choice.text, choice.finish_reason
    if request.language_model.accepts_stop:
        ends = [place for stop in request.stops if (place := text.find(stop)) >= 0]
        text = text[: min(ends)] if ends else text
    most = request.tokens_max
    if most is not None and tokens(text) > most:
        text, reason = text[: most * CHARACTERS_PER_TOKEN], "length"
    if text is choice.text and reason is choice.finish_reason:
        return choice
    return msgspec.structs.replace(choice, text=text, finish_reason=reason)


# --- citations


def _cited(choices: Sequence[Choice], searches: Sequence[Search], whole: Json) -> tuple[str, ...]:
    """Return the sources that the text of the first choice quotes: only results of searches can be cited."""
    given = whole.get("citations")
    if isinstance(given, list):
        return tuple(each for each in given if isinstance(each, str))
    if not searches:
        return ()
    text = " ".join(choices[0].text.split()) if choices else ""
    uris = []
    for search in searches:
        for passage in search.passages:
            if passage.uri is not None and (passage.uri in text or quote_of(passage.text) in text):
                uris.append(passage.uri)
                break
    return tuple(dict.fromkeys(uris))


def quote_of(text: str) -> str:
    """Return the beginning of a passage for a quote: white space normalised, truncated at a word."""
    folded = " ".join(text.split())
    if len(folded) <= QUOTE_CHARS_MAX:
        return folded
    cut = folded[: QUOTE_CHARS_MAX + 1].rpartition(" ")[0]
    return cut or folded[:QUOTE_CHARS_MAX]


def marker(number: int, uri: str) -> str:
    """Return the marker of a citation in a text (tools guide, June 2026)."""
    return f"[[{number}]]({uri})"


def _annotations(request: ModelRequest, choices: Sequence[Choice], uris: Sequence[str]) -> tuple[Annotation, ...]:
    found = []
    for number, uri in enumerate(uris, 1):
        mark = marker(number, uri)
        start = choices[0].text.find(mark) if choices else -1
        if request.inline_citations and start >= 0:
            found.append(Annotation(uri, str(number), start, start + len(mark)))
        else:
            found.append(Annotation(uri, uri))
    return tuple(found)


# --- usage


def usage_of(request: ModelRequest, choices: Sequence[Choice], given: Any = None) -> Usage:
    """Count and price an answer; usage from a responder has priority over counting."""
    images = sum([image_tokens(image) for image in request.images])
    context = sum([tokens(text_of(message)) for message in request.messages]) + images
    context += sum([tokens(json.dumps(each)) for each in request.functions])
    usage = Usage(
        prompt_tokens=context + sum([tokens(search.output) for search in request.evidence]),
        completion_tokens=sum([_written(choice) for choice in choices]),
        reasoning_tokens=sum([tokens(choice.reasoning) for choice in choices if choice.reasoning]),
        image_tokens=images,
        context_tokens=context,
        tools=tuple([search.tool for search in request.evidence]),
    )
    if isinstance(given, dict) and given:
        details = given.get("completion_tokens_details")
        usage = msgspec.structs.replace(
            usage,
            prompt_tokens=_number(given, "prompt_tokens", usage.prompt_tokens),
            completion_tokens=_number(given, "completion_tokens", usage.completion_tokens),
            reasoning_tokens=_number(
                details if isinstance(details, dict) else {}, "reasoning_tokens", usage.reasoning_tokens
            ),
            extra=_others(given, ()),
        )
    ticks = cost(usage, request.language_model, priority=request.tier == "priority")
    return msgspec.structs.replace(usage, cost_in_usd_ticks=ticks)


def cost(usage: Usage, model: LanguageModel, *, priority: bool = False) -> int:
    """Price a usage, in ticks of 1e-10 US dollar (reproduces eight recordings exactly, 2026-04 to 2026-08).

    From the long context threshold on, tokens cost twice as much, as they do in the priority tier.
    """
    text = max(0, usage.prompt_tokens - usage.cached_tokens - usage.image_tokens)
    ticks = text * model.prompt_price + usage.cached_tokens * model.cached_price
    ticks += usage.image_tokens * model.image_token_price
    ticks += (usage.completion_tokens + usage.reasoning_tokens) * model.completion_price
    if usage.prompt_tokens >= LONG_CONTEXT_THRESHOLD:
        ticks *= LONG_CONTEXT_FACTOR
    ticks += sum([tool.price for tool in usage.tools])
    return ticks * PRIORITY_FACTOR if priority else ticks


def _written(choice: Choice) -> int:
    return tokens(choice.text) + sum([tokens(call.arguments) for call in choice.calls])


def _number(members: Json, name: str, otherwise: int) -> int:
    value = members.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _text(members: Json, name: str) -> str:
    value = members.get(name)
    return value if isinstance(value, str) else ""


def _shown(value: Any) -> str:
    return repr(value)[:80]
