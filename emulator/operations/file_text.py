"""The text of a file, extracted as it is for search, off the loop."""

from __future__ import annotations

from collections.abc import AsyncIterator

from emulator.core.errors import invalid, not_found
from emulator.domain import content_types
from emulator.domain.files import File
from emulator.operations.base import Content
from emulator.search.extraction.result import ExtractionError
from emulator.state.world import World
from emulator.store.blobs import READ_BYTES


async def text_of(world: World, file: File) -> Content:
    """The text of a file as content; a file that has none is refused, in the words of the extraction.

    Raises OSError where the disk has lost it.
    """
    world.store.blobs.present(file.blob, file.size)
    try:
        text = await _extract(world, file)
    except ExtractionError as error:
        sentence = f"Text extraction is not supported for this file. {error}"
        raise invalid(sentence, rule="format_text", param="format") from None
    except FileNotFoundError:  # deleted, or given other bytes, meanwhile
        raise not_found("File") from None

    async def read(start: int = 0, stop: int | None = None) -> AsyncIterator[bytes]:
        stop = len(text) if stop is None else stop
        for place in range(start, stop, READ_BYTES):
            yield text[place : min(place + READ_BYTES, stop)]

    return Content(len(text), content_types.UNKNOWN, read)  # OpenAPI: the content is octets in either format


async def _extract(world: World, file: File) -> bytes:
    from emulator.search.extraction.extract import extract, is_large

    path, processes = world.store.blobs.path(file.blob), world.readers.processes
    large = is_large(file.size, file.content_type, file.filename)
    return await world.readers.run(
        lambda: extract(path, file.content_type, file.filename, processes=processes).text.encode(), large=large
    )
