"""`call:MODULE:FUNCTION`: calls a Python function, `function(request) -> answer`.

It gets a `ModelRequest` and returns a text, a message (`{"tool_calls": [{"name": …, "arguments": {…}}]}`) or a whole
result. If it raises an exception, the request fails with that message. It is called from several threads at once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from emulator.core.threads import map_in_threads
from emulator.domain.chat.requests import ModelRequest


class Call:
    """Calls the function in threads, because it may block."""

    requests_max = 64

    def __init__(self, function: Callable[[ModelRequest], Any]) -> None:
        self._function = function

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Return the function's answer to each request."""
        return await map_in_threads(self._ask, requests)

    def _ask(self, request: ModelRequest) -> Any:
        said = self._function(request)
        return asyncio.run(_awaited(said)) if inspect.isawaitable(said) else said


async def _awaited(said: Any) -> Any:
    return await said
