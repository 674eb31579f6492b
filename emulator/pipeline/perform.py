"""The order of the middlewares, and the one function through which every call goes."""

from __future__ import annotations

from collections.abc import Awaitable, Container, Sequence
from functools import cache, reduce
from types import MethodType
from typing import Any

from emulator.operations.base import Call
from emulator.pipeline.middleware import Middleware, Next
from emulator.pipeline.middleware.audit import CHANGES, audit
from emulator.pipeline.middleware.authentication import authenticate
from emulator.pipeline.middleware.chaos import apply_chaos, hide_new_objects
from emulator.pipeline.middleware.decoding import decode
from emulator.pipeline.middleware.faults import apply_planned_faults
from emulator.pipeline.middleware.inference_keys import CONTRACTS, check_contract
from emulator.pipeline.middleware.journal import record
from emulator.pipeline.middleware.key_limits import check_key_limits
from emulator.pipeline.middleware.real_keys import warn_of_real_key
from emulator.pipeline.middleware.run import run_operation
from emulator.pipeline.middleware.validation import check_limits
from emulator.state.services import Services

MIDDLEWARES: tuple[Middleware, ...] = (
    record,
    warn_of_real_key,
    apply_planned_faults,
    apply_chaos,
    authenticate,
    decode,
    check_contract,
    check_limits,
    check_key_limits,
    hide_new_objects,
    audit,
)
# The operations that a middleware is for, where it is not for all.
OF_OPERATIONS: dict[Middleware, Container[str]] = {check_contract: CONTRACTS, audit: CHANGES}


def decode_before_authentication(middlewares: Sequence[Middleware]) -> list[Middleware]:
    """Return the order for operations of which the real service reads the body before it checks the key."""
    swapped: dict[Middleware, Middleware] = {authenticate: decode, decode: authenticate}
    return [swapped.get(middleware, middleware) for middleware in middlewares]


def chain(middlewares: Sequence[Middleware], handler: Next) -> Next:
    """Return a function that passes a call through the middlewares, the first one outermost, to the handler."""
    return reduce(_bind, reversed(middlewares), handler)


def _bind(call_next: Next, middleware: Middleware) -> Next:
    # As functools.partial(middleware, call_next); a method of what comes next is called without a frame of its own.
    return MethodType(middleware, call_next)


@cache
def _chain_of(operation: str, decode_first: bool) -> Next:
    """Return the chain of an operation, without the middlewares that do nothing for it."""
    idle = {middleware for middleware, operations in OF_OPERATIONS.items() if operation not in operations}
    middlewares = [middleware for middleware in MIDDLEWARES if middleware not in idle]
    return chain(decode_before_authentication(middlewares) if decode_first else middlewares, run_operation)


def perform(services: Services, call: Call) -> Awaitable[Any]:
    """Run a call that has begun; await the result.

    Raises ApiError for a refusal or a defect, CallerGone if the client is gone, and asyncio.CancelledError. The
    transport reports a response to the journal; without one, the pipeline has done that.
    """
    return _chain_of(call.operation.name, call.operation.decode_first)(services, call)
