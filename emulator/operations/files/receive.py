"""Stream received bytes into a blob: an upload, chunks, or new content of a file.

The store is written once, at the end: an upload that is refused or interrupted leaves nothing behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

from emulator.domain.files import (
    too_large,
)
from emulator.operations.base import Bytes, Call
from emulator.state.services import Services
from emulator.store.blob_writers import BlobWriter
from emulator.store.blobs import READ_BYTES


@asynccontextmanager
async def receive_blob(
    services: Services, call: Call, content: AsyncIterator[Bytes], row: str, most: int | None, present: int = 0
) -> AsyncIterator[BlobWriter]:
    """Receive content into a blob, for a `with` block that stores it; if the block fails, the blob is deleted.

    `present` is the number of bytes that the file already has.
    """
    blob = services.store.blobs.new()
    try:
        await receive(blob, content, row, most, present)
        blob.keep()
        yield blob
    except BaseException:
        blob.discard()
        raise


async def receive(
    blob: BlobWriter, content: AsyncIterator[Bytes], row: str, most: int | None, present: int = 0
) -> None:
    """Write content into a blob. Raises ApiError as soon as it is too large."""
    # async generators are closed here, not by the garbage collector, so that the transport can stop reading at once
    async with aclosing(content) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            if most is not None and present + blob.size + len(piece) > most:
                raise too_large(row, most)
            await _write(blob, piece)
            del piece  # before the next one is made: over gRPC it is a few megabytes


async def _write(blob: BlobWriter, piece: Bytes) -> None:
    """Write a piece in slices: a piece of megabytes, as gRPC messages can be, must not block the loop."""
    view = memoryview(piece)
    for start in range(0, len(view), READ_BYTES):
        if start:
            await asyncio.sleep(0)
        blob.write(view[start : start + READ_BYTES])
