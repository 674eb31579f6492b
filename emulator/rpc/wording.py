"""Sentences of refusals that the two APIs word differently.

Operations raise the sentence of the REST API. "Batch not found" is known from the tests of the TypeScript SDK, the
sentences over gRPC from xAI's own test server for xai-sdk; both are client code, so neither is certain.
"""

from __future__ import annotations

from typing import Any

from emulator.core.errors import ApiError, Kind
from emulator.operations.chat.completions import DeferredId
from emulator.operations.chat.responses import ResponseId

NO_BATCH = "Cannot find batch with ID {batch_id}"
NO_DEFERRED = "Invalid request ID"
NO_RESPONSE = "Response not found"


def reword(error: ApiError, request: Any) -> None:
    """Give a refusal the sentence of the gRPC API; `request` is None where it was not decoded."""
    if error.kind is Kind.NOT_FOUND and error.message == "Batch not found" and hasattr(request, "batch_id"):
        error.message = NO_BATCH.format(batch_id=request.batch_id)
    elif error.kind is Kind.NOT_FOUND and isinstance(request, DeferredId):
        error.message = NO_DEFERRED
    elif error.kind is Kind.NOT_FOUND and isinstance(request, ResponseId):
        error.message = NO_RESPONSE
