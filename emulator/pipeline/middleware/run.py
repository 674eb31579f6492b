"""Run the operation, at the end of the chain."""

from __future__ import annotations

from typing import Any

from emulator.domain.files import File
from emulator.operations.base import Call, Stream
from emulator.pipeline.faults.effects import uploads
from emulator.pipeline.paced_streams import pace_stream
from emulator.state.services import Services


async def run_operation(services: Services, call: Call, request: Any) -> Any:
    """Run the operation of a call; note the hash of an uploaded file for the journal, which keeps no content."""
    result = await call.operation.run(services, call, request)
    if isinstance(result, Stream) and result.answer.pace is not None:
        return pace_stream(services, call, result, result.answer.pace)
    if uploads(call.operation.request):
        call.upload_hash = _hash_of(result)
    return result


def _hash_of(result: Any) -> str | None:
    """Return the hash of the file that an upload made or changed; the result is the file or has it as a member."""
    file = result if isinstance(result, File) else getattr(result, "file", None)
    return file.hash if isinstance(file, File) else None
