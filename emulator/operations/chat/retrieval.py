"""Retrieval: run the searches of a model request before a responder gets it.

Collections are searched as POST /v1/documents/search does; attached files are chunked and ranked by their words.
Nothing is ever fetched: a URL gives text only if it is a public URL of this emulator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, Kind, invalid
from emulator.domain import content_types
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.evidence import Passage, Search, SearchTool
from emulator.domain.chat.images import data_of
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.chunk_configurations import ChunkConfiguration
from emulator.domain.files import File, live_public_url, public_name
from emulator.domain.search import Mode, keyword_query
from emulator.operations.search import Match, SearchDocuments, find
from emulator.search.extraction.result import ExtractionError
from emulator.state.services import Services
from emulator.state.teams import Team

_CDN = "/_files-cdn/"
IMAGE_TYPES = ("image/jpeg", "image/jpg", "image/png", "image/webp")  # OpenAPI: ImageUrl.file_id


async def gather(services: Services, team: Team, at: Instant, request: ModelRequest) -> tuple[Search, ...]:
    """Run the searches of a request. Raises ApiError for a collection or file that does not exist."""
    if not request.has_parts and not request.tools:
        return ()
    check_attachments(services, team, at, request)
    if not request.searches:
        return ()
    found = [await _search_collections(services, team, at, request, tool) for tool in request.collection_tools]
    if request.files:
        found.append(await _search_attachments(services, team, at, request))
    return tuple(search for search in found if search is not None)


def check_attachments(services: Services, team: Team, at: Instant, request: ModelRequest) -> None:
    """Refuse a file that is deleted, expired, of another team, or too large."""
    most = team.limits.attachment_bytes_max
    for is_image, attached in [(False, file) for file in request.files] + [(True, image) for image in request.images]:
        id = attached.get("file_id")
        if not isinstance(id, str) or not id:
            continue
        file = attached_file(services, team, at, id)
        if most is not None and file.size > most:
            sentence = f"File {id} has {file.size} bytes, at most {most} can be attached."
            raise invalid(sentence, rule="attachment_bytes_max")
        if is_image and file.content_type not in IMAGE_TYPES:
            raise invalid(f"File {id} is not an image: it is {file.content_type}.", rule="image_type", param="messages")


def attached_file(services: Services, team: Team, at: Instant, id: str) -> File:
    """Return a living file of the team, or refuse."""
    file = services.store.files.get(team.name, id, at)
    if file is None:
        raise ApiError(Kind.NOT_FOUND, f"File {id[:200]} not found", rule="not_found")
    return file


# --- collections


async def _search_collections(
    services: Services, team: Team, at: Instant, request: ModelRequest, tool: Json
) -> Search | None:
    ids = tool.get("vector_store_ids") or tool.get("collection_ids") or ()
    ids = [id for id in ids if isinstance(id, str)] if isinstance(ids, list) else []
    most = team.limits.chat_collections_max
    if most is not None and len(ids) > most:
        raise invalid("Argument not supported: vector_store_ids", rule="chat_collections_max", param="tools")
    given = tool.get("max_num_results", tool.get("limit"))
    limit = bounded_limit(given, team)
    if not request.query or not ids:
        return None
    mode = _mode(tool)
    matches = await find(services, team, at, SearchDocuments(request.query, ids, limit=limit, mode=mode))
    passages = tuple(_passage(match) for match in matches)
    return Search(SearchTool.COLLECTIONS, request.query, limit, mode=mode.value, passages=passages, targets=tuple(ids))


def bounded_limit(given: object, team: Team) -> int:
    """Return how many passages a search returns: the number of the tool, within the limit of searches."""
    if not isinstance(given, int) or isinstance(given, bool) or given <= 0:
        return team.limits.search_limit_default
    most = team.limits.search_limit_max
    return given if most is None else min(given, most)


def _mode(tool: Json) -> Mode:
    """The retrieval mode: over gRPC a member of its own, in JSON a word."""
    wanted = tool.get("retrieval_mode")
    kind = wanted.get("type") if isinstance(wanted, dict) else wanted
    for mode in Mode:
        if kind == mode.value or f"{mode.value}_retrieval" in tool:
            return mode
    return Mode.HYBRID


def _passage(match: Match) -> Passage:
    return Passage(
        text=match.chunk.content,
        score=match.score,
        file_id=match.document.file.id,
        filename=match.document.file.filename,
        chunk_id=match.chunk.id,
        collection_ids=(match.document.collection_id,),
        page_number=match.chunk.page_number,
    )


# --- attachments


class _Attachment(msgspec.Struct, frozen=True):
    """One attached file: its bytes, or a sentence that says why there are none."""

    name: str
    file_id: str = ""
    content: Any = None  # a path of the blob, or bytes
    size: int = 0
    content_type: str = ""
    note: str = ""


async def _search_attachments(services: Services, team: Team, at: Instant, request: ModelRequest) -> Search:
    attachments = [_attachment(services, team, at, file) for file in request.files]
    cut = [await _chunks(services, each) for each in attachments]
    notes = [each.note for each in attachments if each.note]
    passages: list[Passage] = []
    for attachment, chunks in zip(attachments, cut, strict=True):
        if chunks is None:
            notes.append(f"{attachment.name} has no text that can be searched")
        for number, text in enumerate(chunks or ()):
            id = attachment.file_id
            passages.append(Passage(text, 0.0, id, attachment.name, f"{id}_{number}" if id else ""))
    limit = bounded_limit(next((tool.get("limit") for tool in request.attachment_tools), None), team)
    ranked = await services.readers.run(lambda: _ranked(passages, request.query, limit), large=False)
    return Search(
        SearchTool.ATTACHMENTS,
        request.query,
        limit,
        mode=Mode.KEYWORD.value,
        passages=ranked,
        opening=None if ranked or not passages else passages[0],
        notes=tuple(notes),
        targets=tuple(each.name for each in attachments),
    )


def _attachment(services: Services, team: Team, at: Instant, given: Json) -> _Attachment:
    name = given.get("filename") if isinstance(given.get("filename"), str) else ""
    if given.get("file_id"):
        return _of_file(services, attached_file(services, team, at, str(given["file_id"])))
    if given.get("file_data"):
        content = data_of(str(given["file_data"]))
        kind = given.get("mime_type") or _media_type(str(given["file_data"]))
        return _Attachment(name or "the attached file", content=content, size=len(content), content_type=str(kind))
    url = str(given.get("url") or "")
    file = _public_file(services, at, url)
    if file is None:
        return _Attachment(name or url[:200], note=f"{url[:200]} is not fetched: the emulator reads no other server")
    return _of_file(services, file)


def _of_file(services: Services, file: File) -> _Attachment:
    path = services.store.blobs.require(file.blob, file.size)
    return _Attachment(file.filename, file.id, path, file.size, file.content_type)


def _media_type(data: str) -> str:
    return data[5:].partition(";")[0] if data.startswith("data:") else content_types.UNKNOWN


def _public_file(services: Services, at: Instant, url: str) -> File | None:
    """Return the file behind a public URL of this emulator."""
    token, _, name = url.partition(_CDN)[2].partition("/")
    found = services.store.files.by_public_url(token) if token else None
    if found is None:
        return None
    team, file = found
    now = services.teams.get(team).clock.now()
    is_live = file.alive(now) and live_public_url(file, now) is not None and name == public_name(file)
    return file if is_live else None


async def _chunks(services: Services, attachment: _Attachment) -> list[str] | None:
    """Return the chunks of an attachment's text; None if it has no text."""
    if attachment.note:
        return []
    from emulator.search.extraction.extract import is_large

    large = is_large(attachment.size, attachment.content_type, attachment.name)
    try:
        return await services.readers.run(lambda: list(_cut(services, attachment)), large=large)
    except ExtractionError:
        return None
    except FileNotFoundError:  # deleted meanwhile
        raise ApiError(Kind.NOT_FOUND, f"File {attachment.file_id} not found", rule="not_found") from None


def _cut(services: Services, attachment: _Attachment) -> Iterator[str]:
    from emulator.search.chunking.chunks import split
    from emulator.search.extraction.extract import extract

    processes = services.readers.processes
    text = extract(attachment.content, attachment.content_type, attachment.name, processes=processes).text
    return (chunk.text for chunk in split(text, ChunkConfiguration()))


def _ranked(passages: Sequence[Passage], query: str, limit: int) -> tuple[Passage, ...]:
    """Return the passages that contain words of the query, best first."""
    from emulator.store.index.live_index import rank_texts

    ranking = rank_texts([passage.text for passage in passages], keyword_query(query), limit)
    return tuple(msgspec.structs.replace(passages[place], score=float(f"{score:.7g}")) for place, score in ranking)
