"""Check that the API key of a call may use the model, and count the tokens that the call used."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from emulator.domain.api_keys import ApiKey, check_model
from emulator.operations.base import Call
from emulator.pipeline.middleware import NextDecoded
from emulator.state.services import Services


def check_key_limits(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Awaitable[Any]:
    """Refuse a model that is not in the access list of the key."""
    key = call.principal.api_key
    return call_next(services, call, request) if key is None else _check(call_next, services, call, request, key)


async def _check(call_next: NextDecoded, services: Services, call: Call, request: Any, key: ApiKey) -> Any:
    model = getattr(getattr(request, "request", request), "model", None)  # the request of a model may be a member
    if isinstance(model, str):
        check_model(key, model)
    result = await call_next(services, call, request)
    usage = getattr(getattr(result, "answer", result), "usage", None)
    if usage is not None:
        call.team.key_rates.count_tokens(key, call.at, usage.total_tokens)
    return result
