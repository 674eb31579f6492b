"""The outcome of a call for the journal, and the refusal for an unexpected exception."""

from __future__ import annotations

import asyncio

from emulator.core.errors import ApiError, CallerGone, Dropped, Kind, disk_unusable, is_of_disk
from emulator.operations.base import Call

LEFT = "CANCELLED"  # the client has gone: before the response, or before its end


def outcome_of(error: BaseException) -> str:
    """Return the outcome of a call that ends with an exception, as the journal names it."""
    match error:
        case ApiError():
            return error.kind.name
        case Dropped():
            return "DROPPED"
        case CallerGone() | asyncio.CancelledError():
            return LEFT
        case OSError() if is_of_disk(error):
            return disk_unusable(error).kind.name
    return Kind.INTERNAL.name


def refusal_of(call: Call, error: Exception) -> ApiError:
    """Return the refusal for an exception that is no ApiError: a disk error, or a defect, which is reported."""
    if isinstance(error, OSError) and is_of_disk(error):
        return disk_unusable(error)
    context = {"message": f"{call.operation.name} failed", "exception": error}
    asyncio.get_running_loop().call_exception_handler(context)
    return ApiError(Kind.INTERNAL, "Internal error", rule="defect")
