"""`echo`: says back what it was asked. Always the same to the same request, and of the form that is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from emulator.core.errors import Kind
from emulator.core.threads import each_in_threads
from emulator.domain.batches.batch import Failure, ResultKind
from emulator.domain.batches.chat import Json, server_tools
from emulator.domain.batches.results import BatchRequest
from emulator.responders.instances import TooLarge, instance

CHARACTERS_MAX = 500  # of an echo: no answer is as long as the longest prompts, and all results are kept
ALL_CHOICES_CHARACTERS_MAX = 1024 * 1024  # of all choices together; assumed


class Echo:
    """Answers in a thread: a schema may demand a large answer."""

    requests_max = 40

    async def answer(self, requests: Sequence[BatchRequest]) -> list[Any]:
        """An echo for each."""
        return await each_in_threads(echo, requests, threads=1)


def echo(request: BatchRequest) -> Any:
    """Return the prompt; as JSON or as a tool call where that is demanded. Media are left to the emulator's own.

    A demand for more than the bounds allow is a failure that says so.
    """
    if request.result_kind is not ResultKind.CHAT:
        return {}
    try:
        return _chat(request)
    except TooLarge as error:
        return Failure(Kind.INVALID_ARGUMENT, str(error))


def _chat(request: BatchRequest) -> Any:
    forced = _forced_tool(request.chat)
    if forced is None:
        text = _formatted(request) + _not_run(request.chat)
        _check_choices(len(text), request.count)
        return text
    name, arguments = forced["name"], json.dumps(instance(forced.get("parameters")))
    _check_choices(len(name) + len(arguments), request.count)
    return {"tool_calls": [{"name": name, "arguments": arguments}]}


def _check_choices(characters: int, count: int) -> None:
    """Refuse choices that are too long together: each holds the whole answer."""
    if characters * count > ALL_CHOICES_CHARACTERS_MAX:
        raise TooLarge(
            f"All choices of an answer have at most {ALL_CHOICES_CHARACTERS_MAX} characters, not {characters * count}."
        )


def _forced_tool(chat: Json) -> Json | None:
    """The function that `tool_choice` demands, if it is among the tools."""
    choice, tools = chat.get("tool_choice"), chat.get("tools")
    functions = [tool.get("function") for tool in tools if isinstance(tool, dict)] if isinstance(tools, list) else []
    named = choice.get("function") if isinstance(choice, dict) else None
    for function in functions:
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            continue
        if choice == "required" or (isinstance(named, dict) and named.get("name") == function["name"]):
            return function
    return None


def _formatted(request: BatchRequest) -> str:
    """The prompt, or JSON of the demanded schema."""
    wanted = request.chat.get("response_format")
    wanted = wanted if isinstance(wanted, dict) else {}
    if wanted.get("type") == "json_object":
        return json.dumps({"echo": _shortened(request.prompt)})
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        schema = described.get("schema", described) if isinstance(described, dict) else None
        return json.dumps(instance(schema))
    return _shortened(request.prompt)


def _shortened(prompt: str) -> str:
    return f"{prompt[: CHARACTERS_MAX - 1]}…" if len(prompt) > CHARACTERS_MAX else prompt


def _not_run(chat: Json) -> str:
    tools = server_tools(chat)
    return f"\n\n[xai-emulator: accepted, but not run: {', '.join(tools)}]" if tools else ""
