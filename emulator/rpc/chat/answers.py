"""Whole answers as messages; their form is as recorded, 2026-01 to 2026-08."""

from __future__ import annotations

from collections.abc import Iterator

from emulator.domain.chat.answers import Answer
from emulator.domain.chat.completions import completion_json
from emulator.operations.chat.completions import Fetched, Started
from emulator.rpc.chat.messages import CHAT_RESPONSE, ROLE, SETTINGS
from emulator.rpc.chat.parts import (
    OUTPUTS_PER_SEARCH,
    found_citations,
    inline_citations,
    is_included,
    search_call,
    usage_message,
)
from emulator.rpc.messages import load
from emulator.rpc.requests import Message

_message = load().message
# The reported settings if the request has none (recorded, 2026-08).
_DEFAULTS = {"parallel_tool_calls": True, "temperature": 0.7, "top_p": 0.95}


def write_answer(answer: Answer) -> Message:
    """Render a whole answer: the outputs of its searches, then its choices."""
    message = CHAT_RESPONSE.to_message(completion_json(answer))
    choices = list(message.outputs)
    for choice in choices:
        choice.index += OUTPUTS_PER_SEARCH * len(answer.searches)
    if choices:
        choices[0].message.citations.extend(inline_citations(answer))
    outputs = [*_search_outputs(answer), *choices]
    message.ClearField("outputs")
    message.outputs.extend(outputs)
    message.usage.CopyFrom(usage_message(answer.usage))
    message.settings.CopyFrom(SETTINGS.to_message({**_DEFAULTS, **answer.settings}))
    return message


def _search_outputs(answer: Answer) -> Iterator[Message]:
    make, content = _message("xai_api.CompletionOutput"), _message("xai_api.CompletionMessage")
    for number, search in enumerate(answer.searches):
        index = OUTPUTS_PER_SEARCH * number
        call = search_call(answer, number, search, "completed")
        yield make(index=index, message=content(role=ROLE.to_message("assistant"), tool_calls=[call]))
        if is_included(answer, search):
            returned = content(
                role=ROLE.to_message("tool"),
                content=search.output,
                tool_calls=[call],
                citations=found_citations(search),
            )
            yield make(index=index + 1, message=returned)


def write_started(started: Started) -> Message:
    """Render the id of a deferred answer."""
    return _message("xai_api.StartDeferredResponse")(request_id=started.request_id)


def write_fetched(fetched: Fetched) -> Message:
    """Render a deferred answer, or the status pending or expired."""
    make = _message("xai_api.GetDeferredCompletionResponse")
    status = load().enum("xai_api.DeferredStatus").values_by_name
    if fetched.answer is None:
        return make(status=status["EXPIRED" if fetched.is_expired else "PENDING"].number)
    return make(status=status["DONE"].number, response=write_answer(fetched.answer))
