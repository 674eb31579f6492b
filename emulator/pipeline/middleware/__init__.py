"""The middlewares of the pipeline, one per module; `pipeline/perform.py` has their order.

A middleware returns an awaitable of the result of the call: that of `call_next(services, call)`, or one of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulator.operations.base import Call
from emulator.state.services import Services

Next = Callable[[Services, Call], Awaitable[Any]]
Middleware = Callable[[Next, Services, Call], Awaitable[Any]]
