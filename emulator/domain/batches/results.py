"""From what a responder said to the result the API shows: the envelope of each kind, usage and cost.

A responder may say as little as one string. Whatever it leaves out is filled in here, so that every result is whole:
what was used is counted from the text, and a batch's cost is the sum of its results'.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from emulator.domain.batches.batch import KINDS, RequestKind, ResultKind
from emulator.domain.batches.chat import Json, chat_of, messages_of, parts_of, prompt_of, text_of

# Prices in ticks of 1e-10 US dollar, of the size of a published batch price. Assumed: only their sum is a promise.
TICKS_PER_PROMPT_TOKEN = 24_000
TICKS_PER_COMPLETION_TOKEN = 120_000
TICKS_PER_IMAGE = 160_000_000
TICKS_PER_VIDEO_SECOND = 400_000_000
TICKS_MAX = 10**13  # of one request, 1000 US dollars: the sum of a batch has 63 bits

CHARACTERS_PER_TOKEN = 4
TOKENS_PER_IMAGE = 256
IMAGES_MAX = 10  # OpenAPI: GenerateImageRequest.n
FINGERPRINT = "fp_emulator"
DEFAULT_MODELS = {ResultKind.IMAGE: "grok-imagine-image", ResultKind.VIDEO: "grok-imagine-video"}
_SECONDS = {RequestKind.VIDEO_GENERATION: 8, RequestKind.VIDEO_EXTENSION: 6}  # OpenAPI: the default of `duration`


@dataclass(frozen=True)
class BatchRequest:
    """A request as a responder sees it. `kind` is its key in `batch_request`, `body` the JSON of its REST endpoint."""

    batch_id: str
    batch_request_id: str
    kind: str
    model: str
    body: Json = field(repr=False)

    @cached_property
    def prompt(self) -> str:
        """The last user message of a conversation, or the prompt of a picture or film."""
        return prompt_of(RequestKind(self.kind), self.body)

    @cached_property
    def chat(self) -> Json:
        """The body of a chat or `responses` request, as a chat completions body."""
        return chat_of(RequestKind(self.kind), self.body)

    @cached_property
    def result_kind(self) -> ResultKind:
        return KINDS[RequestKind(self.kind)].result

    @property
    def count(self) -> int:
        """How many choices, or pictures, are wanted."""
        n = self.body.get("n")
        return n if isinstance(n, int) and not isinstance(n, bool) and n > 0 else 1

    @property
    def seconds(self) -> int:
        """How long a film is to be."""
        given = self.body.get("duration") or self.body.get("seconds")
        try:
            return max(1, int(given))  # type: ignore[arg-type]  # what is no number is not one second either
        except (TypeError, ValueError):
            return _SECONDS.get(RequestKind(self.kind), 1)


class BadAnswer(ValueError):
    """A responder said something that is no answer to the request; the message says what."""


def result_of(request: BatchRequest, said: Any, *, id: str, created: int) -> Json:
    """The whole result; `created` is in Unix seconds. Raises BadAnswer."""
    return _RESULTS[request.result_kind](request, said, id, created)


def cost_of(result: Json) -> int:
    """What a result cost, in ticks. Raises BadAnswer for what cannot be summed up."""
    usage = result.get("usage")
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, dict) else None
    if not isinstance(ticks, int) or isinstance(ticks, bool):
        return 0
    if not 0 <= ticks <= TICKS_MAX:
        raise BadAnswer(f"a cost lies between 0 and {TICKS_MAX} ticks, unlike {_shown(ticks)}")
    return ticks


# --- chat


def _chat_result(request: BatchRequest, said: Any, id: str, created: int) -> Json:
    whole = said if isinstance(said, dict) else {}
    if isinstance(whole.get("choices"), list):
        choices = [_choice(index, choice) for index, choice in enumerate(whole["choices"])]
    else:
        choices = [_choice(index, {"message": _message(said)}) for index in range(request.count)]
        whole = {}
    result: Json = {
        "id": id,
        "object": "chat.completion",
        "created": created,
        "model": request.model,
        "choices": choices,
        "usage": None,
        "system_fingerprint": FINGERPRINT,
        "service_tier": "default",
        **{key: value for key, value in whole.items() if value is not None},
    }
    return {**result, "choices": choices, "usage": _chat_usage(request, choices, whole.get("usage"))}


def _message(said: Any) -> Json:
    if isinstance(said, str):
        return {"content": said}
    if isinstance(said, dict) and said.keys() & {"content", "tool_calls", "refusal", "reasoning_content"}:
        return said
    raise BadAnswer(f"a chat answer is a text, a message or a chat completion, not {_shown(said)}")


def _choice(index: int, given: Any) -> Json:
    if not isinstance(given, dict) or not isinstance(given.get("message"), dict):
        raise BadAnswer(f"a choice has a message, unlike {_shown(given)}")
    message = {"role": "assistant", "content": None, "refusal": None, **given["message"]}
    if message.get("tool_calls"):
        message["tool_calls"] = [_tool_call(number, call) for number, call in enumerate(message["tool_calls"])]
    reason = "tool_calls" if message.get("tool_calls") else "stop"
    return {"index": index, "finish_reason": reason, **given, "message": message}


def _tool_call(number: int, given: Any) -> Json:
    """A call of a client's tool: `{"name": …, "arguments": {…}}` will do."""
    if not isinstance(given, dict):
        raise BadAnswer(f"a tool call is an object, not {_shown(given)}")
    function = dict(given["function"]) if isinstance(given.get("function"), dict) else given
    if not isinstance(function.get("name"), str):
        raise BadAnswer(f"a tool call has a name, unlike {_shown(given)}")
    arguments = function.get("arguments", {})
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    call = {"name": function["name"], "arguments": text}
    return {"id": given.get("id") or f"call_{number}", "type": given.get("type") or "function", "function": call}


def _chat_usage(request: BatchRequest, choices: list[Json], given: Any) -> Json:
    """Counted where it is not given. Reasoning tokens are not part of completion_tokens (observed live, 2026-08)."""
    given = given if isinstance(given, dict) else {}
    details = given.get("completion_tokens_details")
    images = TOKENS_PER_IMAGE * len(parts_of(request.chat, "image_url"))
    text = sum(tokens(text_of(message)) for message in messages_of(request.chat))
    thoughts = sum(tokens(choice["message"].get("reasoning_content") or "") for choice in choices)
    prompt = _number(given, "prompt_tokens", text + images)
    completion = _number(given, "completion_tokens", sum(_written(choice["message"]) for choice in choices))
    reasoning = _number(details if isinstance(details, dict) else {}, "reasoning_tokens", thoughts)
    usage: Json = {
        "prompt_tokens": prompt,
        "completion_tokens": completion,
        "total_tokens": prompt + completion + reasoning,
        "prompt_tokens_details": {
            "text_tokens": max(0, prompt - images),
            "audio_tokens": 0,
            "image_tokens": images,
            "cached_tokens": 0,
        },
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
        "num_sources_used": 0,
        "cost_in_usd_ticks": TICKS_PER_PROMPT_TOKEN * prompt + TICKS_PER_COMPLETION_TOKEN * (completion + reasoning),
    }
    return {**usage, **{key: value for key, value in given.items() if value is not None}}


def _written(message: Json) -> int:
    calls = message.get("tool_calls") or []
    return tokens(text_of(message)) + sum(tokens(call["function"]["arguments"]) for call in calls)


def tokens(text: str) -> int:
    """A plausible number of tokens: one for every four characters begun."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


# --- pictures and films


def _image_result(request: BatchRequest, said: Any, id: str, created: int) -> Json:
    whole = said if isinstance(said, dict) else {}
    if isinstance(said, str):
        whole = {"data": [{"url": said}] * request.count}
    elif not isinstance(whole.get("data"), list):
        whole = {**whole, "data": [{} for _ in range(request.count)]}
    if not all(isinstance(image, dict) for image in whole["data"]):
        raise BadAnswer(f"an image answer is a URL or has data, unlike {_shown(said)}")
    if sum(is_to_be_made(image) for image in whole["data"]) > IMAGES_MAX:
        raise BadAnswer(f"at most {IMAGES_MAX} images are made for one request")
    cost = TICKS_PER_IMAGE * len(whole["data"])
    return {"model": request.model or DEFAULT_MODELS[ResultKind.IMAGE], **whole, "usage": _media_usage(whole, cost)}


def is_to_be_made(image: Json) -> bool:
    """Whether an image is left to the emulator."""
    return not image.get("url") and not image.get("b64_json")


def _video_result(request: BatchRequest, said: Any, id: str, created: int) -> Json:
    whole = said if isinstance(said, dict) else {}
    if isinstance(said, str):
        whole = {"video": {"url": said}}
    video = whole.get("video") or {}
    if not isinstance(video, dict):
        raise BadAnswer(f"a video answer is a URL or has a video, unlike {_shown(said)}")
    video = {"duration": request.seconds, "respect_moderation": True, **video}
    return {
        "status": "done",
        "model": request.model or DEFAULT_MODELS[ResultKind.VIDEO],
        "progress": 100,
        **whole,
        "video": video,
        "usage": _media_usage(whole, TICKS_PER_VIDEO_SECOND * _number(video, "duration", request.seconds)),
    }


def _media_usage(whole: Json, cost: int) -> Json:
    given = whole.get("usage")
    return {"cost_in_usd_ticks": cost, **(given if isinstance(given, dict) else {})}


_RESULTS: dict[ResultKind, Callable[[BatchRequest, Any, str, int], Json]] = {
    ResultKind.CHAT: _chat_result,
    ResultKind.IMAGE: _image_result,
    ResultKind.VIDEO: _video_result,
}


def _number(members: Json, name: str, otherwise: int) -> int:
    value = members.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _shown(value: Any) -> str:
    return repr(value)[:80]
