"""`echo`: quotes the best passage, or repeats the prompt. The same request always has the same answer.

The rules, in this order:

1. If `tool_choice` requires a call: a call with minimal arguments, of the next function that was not called in this
turn, or of the last one once all were. 2. After the result of a tool: that result. 3. If JSON is required: a minimal
instance of the schema, or the prompt as JSON. 4. If collections or attached files were searched: a quote of the best
passage of each search. 5. Otherwise: the prompt.

Functions are only called if a call is required, and nothing is paraphrased.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.core.errors import Kind
from emulator.core.threads import map_in_threads
from emulator.domain.batches.batch import Failure, ResultKind
from emulator.domain.chat.answers import marker, quote_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import text_of
from emulator.domain.chat.evidence import Search, SearchTool
from emulator.domain.chat.images import describe_image
from emulator.domain.chat.requests import ATTACHMENT_TOOL, COLLECTION_TOOLS, ModelRequest
from emulator.responders.instances import TooLarge, instance

CHARACTERS_MAX = 500  # of an echo: prompts can be very long, and all results are stored
ALL_CHOICES_CHARACTERS_MAX = 1024 * 1024  # of all choices together; assumed


class Echo:
    """Answers in a thread, because a schema may require a large answer."""

    requests_max = 40

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Return an echo for each request; for one without JSON a thread would take longer than the answer."""
        if len(requests) == 1 and not (requests[0].schema_demanded or requests[0].forced_functions):
            return [echo(requests[0])]
        return await map_in_threads(echo, requests, threads=1)


def echo(request: ModelRequest) -> Any:
    """Return the answer to one request. The emulator adds media itself.

    Returns a failure if the answer would exceed the bounds.
    """
    if request.result_kind is not ResultKind.CHAT:
        return {}
    try:
        return _chat(request)
    except TooLarge as error:
        return Failure(Kind.INVALID_ARGUMENT, str(error))


def _chat(request: ModelRequest) -> Any:
    forced = _forced_function(request)
    if forced is not None:
        name, arguments = forced["name"], json.dumps(instance(forced.get("parameters")))
        _check_choices(len(name) + len(arguments), request.count)
        return {"tool_calls": [{"name": name, "arguments": arguments}]}
    text = _text(request)
    _check_choices(len(text), request.count)
    return text


def _check_choices(characters: int, count: int) -> None:
    """Refuse choices that are too long together: each contains the whole answer."""
    if characters * count > ALL_CHOICES_CHARACTERS_MAX:
        raise TooLarge(
            f"All choices of an answer have at most {ALL_CHOICES_CHARACTERS_MAX} characters, not {characters * count}."
        )


def _forced_function(request: ModelRequest) -> Json | None:
    """Return the function that must be called. Several functions are called in turn, so that a loop of calls ends."""
    functions = request.forced_functions
    if not functions:
        return None
    called = {name for message in request.turn for name in _called(message)}
    return next((each for each in functions if each["name"] not in called), functions[-1])


def _called(message: Json) -> Iterator[str]:
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        function = call.get("function") if isinstance(call, dict) else None
        if isinstance(function, dict) and isinstance(function.get("name"), str):
            yield function["name"]


def _text(request: ModelRequest) -> str:
    if request.format == "json_object":
        return json.dumps({"echo": _shortened(request.prompt)})
    if request.format == "json_schema":
        return json.dumps(instance(request.schema))
    if request.answers_tool_result:
        return _tool_result(request)
    if not (request.evidence or request.has_parts or request.tools):
        return _shortened(request.prompt)
    quotes = [_quote(request, number, search) for number, search in enumerate(request.evidence)]
    text = "\n".join(quotes) or _shortened(request.prompt)
    images = [f"[image {number}: {describe_image(each)}]" for number, each in enumerate(request.asked_images, 1)]
    return "\n".join([text, *images] if text else images) + _not_run(request)


def _tool_result(request: ModelRequest) -> str:
    last = request.messages[-1]
    names = {}
    for message in request.messages:
        calls = message.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict) and isinstance(call.get("function"), dict):
                names[call.get("id")] = call["function"].get("name")
    name = names.get(last.get("tool_call_id")) or last.get("name") or "tool"
    return f"{name}: {_shortened(text_of(last))}"


def _quote(request: ModelRequest, number: int, search: Search) -> str:
    """Return a quote of the best passage of a search, with its citation if citations are inline."""
    best = search.best
    if best is None:
        if search.notes:
            return "\n".join(search.notes)
        where = "collections" if search.tool is SearchTool.COLLECTIONS else "files"
        return f'No passage of the searched {where} matches: "{search.query}"'
    sentence = f'From {best.filename}: "{quote_of(best.text)}"'
    if best.uri is not None and request.inline_citations:
        sentence += f" {marker(_citation_number(request, number), best.uri)}"
    return "\n".join([sentence, *search.notes])


def _citation_number(request: ModelRequest, number: int) -> int:
    """Return the number of the quoted passage among the sources of the answer."""
    uris = [search.best.uri for search in request.evidence[: number + 1] if search.best is not None]
    return list(dict.fromkeys(uri for uri in uris if uri is not None)).index(uris[-1] or "") + 1


def _shortened(prompt: str) -> str:
    return f"{prompt[: CHARACTERS_MAX - 1]}…" if len(prompt) > CHARACTERS_MAX else prompt


def _not_run(request: ModelRequest) -> str:
    """Return a sentence with the server tools that are accepted but not run."""
    tools = [each for each in request.server_tools if each not in (*COLLECTION_TOOLS, ATTACHMENT_TOOL)]
    return f"\n\n[xai-emulator: accepted, but not run: {', '.join(tools)}]" if tools else ""
