"""The chunks of a document, which the API itself shows only as matches of a search."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute, TeamQuery

SHOWN = 20


class ChunksQuery(TeamQuery, forbid_unknown_fields=True):
    """A page of chunks: at most `limit` after a number. Numbers begin with 0."""

    after: Annotated[int, Meta(ge=-1, le=2**31)] = -1
    limit: Annotated[int, Meta(ge=1, le=1_000)] = SHOWN


class ChunkShown(Struct):
    """A chunk. `indexed_text` is the searched text: with the name and the fields that the collection injects."""

    chunk_id: str
    number: int
    content: str
    indexed_text: str
    page_number: int | None


class ChunksShown(Answer):
    """Chunks of a document, in their order."""

    chunks: list[ChunkShown]


async def read(request: ControlRequest) -> ChunksShown:
    """List the chunks of a document; none until it is indexed."""
    collection_id, file_id = request.path["collection_id"], request.path["file_id"]
    team, store, query = request.team, request.services.store, request.query
    if store.documents.get(team.name, collection_id, file_id, team.clock.now()) is None:
        raise ControlError(404, f"team {team.name} has no such document")
    found = store.chunks.of_document(team.name, collection_id, file_id, query.after, query.limit)
    return ChunksShown(
        chunks=[
            ChunkShown(each.chunk_id, each.ordinal, each.content, each.indexed_text, each.page_number) for each in found
        ]
    )


ROUTES = (
    ControlRoute(
        "GET",
        "/collections/{collection_id}/documents/{file_id}/chunks",
        read,
        ChunksShown,
        query=ChunksQuery,
        refusals=(404,),
    ),
)
