"""`echo`: says back what it was asked. Always the same to the same request, and of the form that is asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from emulator.domain.batches import ResultKind
from emulator.domain.batches_chat import Json, server_tools
from emulator.domain.batches_results import BatchRequest
from emulator.jobs.responders.instances import instance

CHARACTERS_MAX = 500  # of an echo: no answer is as long as the longest prompts, and all results are kept


class Echo:
    """Answers without waiting, on the loop."""

    requests_max = 40

    async def answer(self, requests: Sequence[BatchRequest]) -> list[Any]:
        """An echo for each."""
        return [echo(request) for request in requests]


def echo(request: BatchRequest) -> Any:
    """The prompt; as JSON or as a tool call where that is demanded. Media are left to the emulator's own."""
    if request.result_kind is not ResultKind.CHAT:
        return {}
    forced = _forced_tool(request.chat)
    if forced is not None:
        arguments = instance(forced.get("parameters"))
        return {"tool_calls": [{"name": forced.get("name"), "arguments": arguments}]}
    return _formatted(request) + _not_run(request.chat)


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
        return json.dumps({"echo": request.prompt})
    if wanted.get("type") == "json_schema":
        described = wanted.get("json_schema")
        schema = described.get("schema", described) if isinstance(described, dict) else None
        return json.dumps(instance(schema))
    long = len(request.prompt) > CHARACTERS_MAX
    return f"{request.prompt[: CHARACTERS_MAX - 1]}…" if long else request.prompt


def _not_run(chat: Json) -> str:
    tools = server_tools(chat)
    return f"\n\n[xai-emulator: accepted, but not run: {', '.join(tools)}]" if tools else ""
