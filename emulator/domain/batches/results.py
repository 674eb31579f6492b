"""From what a responder said to the result the API shows: the envelope of each kind, usage and cost.

A responder may say as little as one string. Whatever it leaves out is filled in here, so that every result is whole:
what was used is counted from the text, and a batch's cost is the sum of its results'.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.domain.batches.batch import ResultKind
from emulator.domain.chat.answers import BadAnswer, answer_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.completions import completion_json
from emulator.domain.chat.requests import ModelRequest

# Prices in ticks of 1e-10 US dollar, of the size of a published batch price. Assumed: only their sum is a promise.
TICKS_PER_IMAGE = 160_000_000
TICKS_PER_VIDEO_SECOND = 400_000_000
TICKS_MAX = 10**13  # of one request, 1000 US dollars: the sum of a batch has 63 bits

IMAGES_MAX = 10  # OpenAPI: GenerateImageRequest.n
DEFAULT_MODELS = {ResultKind.IMAGE: "grok-imagine-image", ResultKind.VIDEO: "grok-imagine-video"}


def result_of(request: ModelRequest, said: Any, *, id: str, created: int) -> Json:
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


def _chat_result(request: ModelRequest, said: Any, id: str, created: int) -> Json:
    return completion_json(answer_of(request, said, id=id, created=created))


# --- images and videos


def _image_result(request: ModelRequest, said: Any, id: str, created: int) -> Json:
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


def _video_result(request: ModelRequest, said: Any, id: str, created: int) -> Json:
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


_RESULTS: dict[ResultKind, Callable[[ModelRequest, Any, str, int], Json]] = {
    ResultKind.CHAT: _chat_result,
    ResultKind.IMAGE: _image_result,
    ResultKind.VIDEO: _video_result,
}


def _number(members: Json, name: str, otherwise: int) -> int:
    value = members.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else otherwise


def _shown(value: Any) -> str:
    return repr(value)[:80]
