"""Convert a responder's answer to the result in the API: the envelope of each kind, usage and cost.

An answer may be a single string. Missing members are filled in, so that every result is complete: the usage is counted
from the text, and the cost of a batch is the sum of its results.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulator.domain.batches.batch import ResultKind
from emulator.domain.chat.answers import BadAnswer, answer_of
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.completions import completion_json
from emulator.domain.chat.media import image_result, video_result
from emulator.domain.chat.requests import ModelRequest

TICKS_MAX = 10**13  # of one request, 1000 US dollars: the sum of a batch has 63 bits


def result_of(request: ModelRequest, said: Any, *, id: str, created: int) -> Json:
    """Return the complete result; `created` is in Unix seconds. Raises BadAnswer."""
    return _RESULTS[request.result_kind](request, said, id, created)


def cost_of(result: Json) -> int:
    """Return the cost of a result, in ticks. Raises BadAnswer for an invalid cost."""
    usage = result.get("usage")
    ticks = usage.get("cost_in_usd_ticks") if isinstance(usage, dict) else None
    if not isinstance(ticks, int) or isinstance(ticks, bool):
        return 0
    if not 0 <= ticks <= TICKS_MAX:
        raise BadAnswer(f"a cost lies between 0 and {TICKS_MAX} ticks, unlike {_shown(ticks)}")
    return ticks


def _chat_result(request: ModelRequest, said: Any, id: str, created: int) -> Json:
    return completion_json(answer_of(request, said, id=id, created=created))


_RESULTS: dict[ResultKind, Callable[[ModelRequest, Any, str, int], Json]] = {
    ResultKind.CHAT: _chat_result,
    ResultKind.IMAGE: lambda request, said, id, created: image_result(request, said),
    ResultKind.VIDEO: lambda request, said, id, created: video_result(request, said),
}


def _shown(value: Any) -> str:
    return repr(value)[:80]
