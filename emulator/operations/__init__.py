"""The operations of the API: one async function per verb, shared by both transports."""

from __future__ import annotations

from emulator.operations import api_keys, audit, auth, collections, documents, search
from emulator.operations.base import Operation
from emulator.operations.batches import lifecycle, requests, results
from emulator.operations.chat import completions, models, responses, tokenize
from emulator.operations.files import chunked_upload, public_urls, read, update, upload
from emulator.operations.media import images, videos

_MODULES = (
    *(read, upload, chunked_upload, update, public_urls, collections, documents, search),
    *(lifecycle, requests, results, auth),
    *(models, completions, responses, tokenize, images, videos),
    *(api_keys, audit),
)
OPERATIONS: dict[str, Operation] = {operation.name: operation for module in _MODULES for operation in module.OPERATIONS}
