"""What can be done with the API: one async function per verb, the same for both doors."""

from __future__ import annotations

from emulator.operations import auth, collections, documents, files, search, uploads
from emulator.operations.base import Operation
from emulator.operations.batches import lifecycle as batches
from emulator.operations.batches import results as batch_results
from emulator.operations.chat import completions, models, tokenize

_MODULES = (
    *(files, uploads, collections, documents, search, batches, batch_results, auth),
    *(models, completions, tokenize),
)
OPERATIONS: dict[str, Operation] = {operation.name: operation for module in _MODULES for operation in module.OPERATIONS}
