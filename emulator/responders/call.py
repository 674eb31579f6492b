"""`call:MODULE:FUNCTION`: asks a Python function, `function(request) -> answer`.

It gets a `ModelRequest` and returns a text, a message (`{"tool_calls": [{"name": …, "arguments": {…}}]}`) or a whole
result. What it raises lets the request fail with that message. It is called from several threads at once.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Sequence
from typing import Any

from emulator.core.threads import map_in_threads
from emulator.domain.chat.requests import ModelRequest


class Call:
    """Answers off the loop, for a function may take its time."""

    requests_max = 64

    def __init__(self, function: Callable[[ModelRequest], Any]) -> None:
        self._function = function

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """What the function says to each."""
        return await map_in_threads(self._ask, requests)

    def _ask(self, request: ModelRequest) -> Any:
        said = self._function(request)
        return asyncio.run(_awaited(said)) if inspect.isawaitable(said) else said


async def _awaited(said: Any) -> Any:
    return await said
