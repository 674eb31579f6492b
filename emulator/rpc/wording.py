"""Messages of refusals that differ between the two APIs.

Operations raise the message of the REST API. "Batch not found" is from the tests of the TypeScript SDK, the messages
over gRPC are from xAI's test server for xai-sdk; both are client code, so neither is certain.
"""

from __future__ import annotations

from emulator.core.errors import ApiError
from emulator.operations.base import Operation
from emulator.operations.chat.completions import DeferredId
from emulator.operations.chat.responses import ResponseId

NO_BATCH = "Cannot find batch with ID {}"
NOT_FOUND: dict[type, str] = {DeferredId: "Invalid request ID", ResponseId: "Response not found"}  # by request


def reword(error: ApiError, operation: Operation) -> None:
    """Replace the message of a refusal by that of the gRPC API, unless a planned fault set it."""
    if error.rule != "not_found":
        return
    if error.message == "Batch not found" and error.subject is not None:
        error.message = NO_BATCH.format(error.subject)
    else:
        error.message = NOT_FOUND.get(operation.request, error.message)
