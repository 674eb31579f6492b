"""The middlewares of the pipeline, one per module; `pipeline/perform.py` has their order.

A middleware returns an awaitable of the result of the call: that of what comes next, or one of its own. Those before
`decode` know the call alone; those after it get the decoded request as an argument, and may pass on another.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulator.operations.base import Call
from emulator.state.services import Services

Next = Callable[[Services, Call], Awaitable[Any]]
Middleware = Callable[[Next, Services, Call], Awaitable[Any]]
NextDecoded = Callable[[Services, Call, Any], Awaitable[Any]]
DecodedMiddleware = Callable[[NextDecoded, Services, Call, Any], Awaitable[Any]]
