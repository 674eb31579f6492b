"""The order of the middlewares, and the one function through which every call goes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Sequence
from functools import cache
from types import MethodType
from typing import Any, TypeVarTuple, cast

from emulator.operations.base import Call
from emulator.pipeline.middleware import DecodedMiddleware, Middleware, Next
from emulator.pipeline.middleware.audit import CHANGES, audit
from emulator.pipeline.middleware.authentication import authenticate, authenticate_decoded
from emulator.pipeline.middleware.chaos import apply_chaos, apply_chaos_to_request
from emulator.pipeline.middleware.decoding import decode
from emulator.pipeline.middleware.faults import apply_planned_faults
from emulator.pipeline.middleware.inference_keys import CONTRACTS, check_contract
from emulator.pipeline.middleware.journal import record
from emulator.pipeline.middleware.key_limits import check_key_limits
from emulator.pipeline.middleware.real_keys import warn_of_real_key
from emulator.pipeline.middleware.run import run_operation
from emulator.pipeline.middleware.validation import check_limits
from emulator.state.services import Services

Ts = TypeVarTuple("Ts")

BEFORE_DECODING: tuple[Middleware, ...] = (
    record,
    warn_of_real_key,
    apply_planned_faults,
    apply_chaos,
    authenticate,
)
AFTER_DECODING: tuple[DecodedMiddleware, ...] = (
    check_contract,
    check_limits,
    check_key_limits,
    apply_chaos_to_request,
    audit,
)
# The operations that a middleware is for, where it is not for all.
OF_OPERATIONS: dict[DecodedMiddleware, Container[str]] = {check_contract: CONTRACTS, audit: CHANGES}


def order(operation: str, decode_first: bool) -> tuple[Sequence[Middleware], Sequence[DecodedMiddleware]]:
    """Return the middlewares of an operation before and after its request is decoded, without those it is not for.

    `decode_first` is for operations of which the real service reads the body before it checks the key.
    """
    after = [each for each in AFTER_DECODING if operation in OF_OPERATIONS.get(each, (operation,))]
    if decode_first:
        return [each for each in BEFORE_DECODING if each is not authenticate], [authenticate_decoded, *after]
    return BEFORE_DECODING, after


def chain(
    middlewares: Sequence[Callable[[Callable[[*Ts], Awaitable[Any]], *Ts], Awaitable[Any]]],
    handler: Callable[[*Ts], Awaitable[Any]],
) -> Callable[[*Ts], Awaitable[Any]]:
    """Return a function that passes a call through the middlewares, the first one outermost, to the handler."""
    for middleware in reversed(middlewares):
        # As functools.partial(middleware, handler); a method of the handler is called without a frame of its own.
        handler = cast(Any, MethodType(middleware, handler))
    return handler


@cache
def _chain_of(operation: str, decode_first: bool) -> Next:
    """Return the chain of an operation."""
    before, after = order(operation, decode_first)
    return chain(before, MethodType(decode, chain(after, run_operation)))


def perform(services: Services, call: Call) -> Awaitable[Any]:
    """Run a call that has begun; await the result.

    Raises ApiError for a refusal or a defect, CallerGone if the client is gone, and asyncio.CancelledError. The
    transport reports a response to the journal; without one, the pipeline has done that.
    """
    return _chain_of(call.operation.name, call.operation.decode_first)(services, call)
