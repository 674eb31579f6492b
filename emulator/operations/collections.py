"""Collections: create, list, get, change, delete, describe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Protocol

import msgspec

from emulator.core.errors import ApiError, Kind, not_found
from emulator.core.limits import Confidence, Items, PageSize
from emulator.core.time_slices import TimeSlices
from emulator.domain import descriptions
from emulator.domain.chunk_configurations import STRATEGIES, ChunkConfiguration, ConfigurationError, check
from emulator.domain.collections import (
    DEFAULT_MODEL,
    Collection,
    CollectionsSortBy,
    FieldDefinition,
    FieldDefinitionUpdate,
    MetricSpace,
    check_definitions,
    check_name,
    check_size,
    deleted_keys,
    form_error,
    updated_definitions,
    value_taken,
)
from emulator.domain.documents import DocumentsSortBy, DocumentStatus
from emulator.domain.keys import Plane
from emulator.domain.paging import Cursor, Page
from emulator.operations import pagination
from emulator.operations.base import Call, Operation
from emulator.operations.list_filters import list_filter
from emulator.state.services import Services


class CreateCollection(msgspec.Struct, frozen=True):
    """A new collection."""

    collection_name: str
    collection_description: str | None = None
    model_name: str | None = None
    chunk_configuration: ChunkConfiguration | None = None
    metric_space: MetricSpace = MetricSpace.UNKNOWN
    field_definitions: Annotated[Sequence[FieldDefinition], Items("field_definitions_max")] = ()
    team_id: str | None = None


class ListCollections(msgspec.Struct, frozen=True):
    """A page of the team's collections."""

    limit: Annotated[int, PageSize()]
    descending: bool
    sort_by: CollectionsSortBy
    pagination_token: str | None = None
    filter: str | None = None
    team_id: str | None = None


class CollectionId(msgspec.Struct, frozen=True):
    """One collection."""

    collection_id: str
    team_id: str | None = None


class UpdateCollection(msgspec.Struct, frozen=True):
    """Changes to a collection; None changes nothing."""

    collection_id: str
    collection_name: str | None = None
    collection_description: str | None = None
    chunk_configuration: ChunkConfiguration | None = None
    field_definition_updates: Annotated[Sequence[FieldDefinitionUpdate], Items("field_definitions_max")] = ()
    team_id: str | None = None


class OfCollection(Protocol):
    """A request about one collection."""

    @property
    def collection_id(self) -> str: ...
    @property
    def team_id(self) -> str | None: ...


def check_team_id(services: Services, call: Call, team_id: str | None) -> None:
    """Refuse a team other than the key's. The id may be absent, or be the name of the team."""
    if team_id and team_id not in (call.team.name, services.ids.of_team(call.team)):
        raise ApiError(
            Kind.PERMISSION_DENIED, "The key does not belong to the team of team_id.", rule="team_id", param="team_id"
        )


def get_collection(services: Services, call: Call, request: OfCollection) -> Collection:
    """Return the collection of a request. Raises ApiError if it does not exist."""
    check_team_id(services, call, request.team_id)
    collection = services.store.collections.get(call.team.name, request.collection_id, call.at)
    if collection is None:
        raise not_found("Collection")
    return collection


def _check_chunking(call: Call, configuration: ChunkConfiguration) -> None:
    try:
        check(configuration)
    except ConfigurationError as error:
        raise form_error(f"chunk_configuration.{error.field}", error.sentence, "chunk-configuration") from None
    most = call.team.limits.chunk_size_units_max
    if most is not None and configuration.max_size > most:
        field = STRATEGIES[configuration.strategy].size_field
        sentence = f"{field} must be at most {most}, not {configuration.max_size}"
        raise form_error(f"chunk_configuration.{field}", sentence, "chunk_size_units_max")


async def create(services: Services, call: Call, request: CreateCollection) -> Collection:
    """Create a collection."""
    check_team_id(services, call, request.team_id)
    check_name(request.collection_name)
    check_definitions(request.field_definitions)
    configuration = request.chunk_configuration or ChunkConfiguration()
    _check_chunking(call, configuration)
    collection = Collection(
        id=services.ids.new(call.team, "collection"),
        name=request.collection_name,
        description=request.collection_description or None,
        created_at=call.at,
        model_name=request.model_name or DEFAULT_MODEL,
        metric_space=request.metric_space,
        chunk_configuration=configuration,
        field_definitions=tuple(request.field_definitions),
        documents_count=0,
        total_file_size=0,
        seq=0,
    )
    check_size(collection, call.team.limits)
    services.store.collections.insert(call.team.name, collection)
    return collection


async def list_collections(services: Services, call: Call, request: ListCollections) -> Page[Collection]:
    """Return a page of the team's collections."""
    check_team_id(services, call, request.team_id)
    store, team, sort_by = services.store.collections, call.team.name, request.sort_by

    def fetch(after: Cursor | None, limit: int) -> list[Collection]:
        return store.page(team, call.at, sort_by=sort_by, descending=request.descending, after=after, limit=limit)

    return await pagination.page(
        fetch,
        lambda collection: store.cursor(collection, sort_by),
        query=("collections", team, sort_by.value, request.descending, request.filter or ""),
        token=request.pagination_token,
        limit=request.limit,
        accepts=list_filter("collections", request.filter, call.team.limits),
    )


async def get(services: Services, call: Call, request: CollectionId) -> Collection:
    """Return the metadata of one collection."""
    return get_collection(services, call, request)


async def update(services: Services, call: Call, request: UpdateCollection) -> Collection:
    """Change a collection. A new chunk configuration applies to documents when they are reindexed."""
    await _remove_expired(services, call, get_collection(services, call, request))
    collection = get_collection(services, call, request)
    changes: dict[str, object] = {}
    if request.collection_name is not None:
        check_name(request.collection_name)
        changes["name"] = request.collection_name
    if request.collection_description is not None:
        changes["description"] = request.collection_description or None
    if request.chunk_configuration is not None:
        _check_chunking(call, request.chunk_configuration)
        changes["chunk_configuration"] = request.chunk_configuration
    if request.field_definition_updates:
        definitions = updated_definitions(
            collection.field_definitions,
            request.field_definition_updates,
            has_documents=collection.documents_count > 0,
        )
        changes["field_definitions"] = definitions
    changed: Collection = msgspec.structs.replace(collection, **changes)
    check_size(changed, call.team.limits)
    with services.store.transaction():
        _change_documents(services, call, collection, changed, deleted_keys(request.field_definition_updates))
        services.store.collections.update(call.team.name, changed)
    return changed


async def _remove_expired(services: Services, call: Call, collection: Collection) -> None:
    """Delete the expired files of a collection, before their own jobs do; other calls run in between."""
    store, team = services.store, call.team.name
    slices = TimeSlices()
    for file_id in store.documents.expired(team, collection.id, call.at):
        if store.files.get(team, file_id, call.at) is None:  # after a reset another file may have this id
            store.remove_file(team, file_id)
        await slices.pause()


def _change_documents(
    services: Services, call: Call, present: Collection, changed: Collection, deleted: set[str]
) -> None:
    """Apply changed field definitions to the documents, or refuse definitions that they violate. In a transaction."""
    documents, one = services.store.documents, (call.team.name, present.id)
    before = {each.key: each for each in present.field_definitions}
    for key in deleted:
        documents.drop_unique(*one, key)
    documents.drop_fields(*one, deleted)
    required: list[str] = []
    unique: list[str] = []
    for definition in changed.field_definitions:
        key = definition.key
        was = before.get(key, FieldDefinition(key))
        if definition.required and not was.required:
            required.append(key)
        if definition.unique and not was.unique:
            unique.append(key)
        elif not definition.unique:
            documents.drop_unique(*one, key)
    lacking = documents.any_missing(*one, required)
    if lacking is not None:
        sentence = "Some documents lack this field, so it cannot be required"
        raise form_error(f"fields.{lacking}", sentence, "required")
    repeated = documents.find_duplicate(*one, unique)
    if repeated is not None:
        raise value_taken(*repeated)
    documents.enforce_unique(*one, unique)


async def delete(services: Services, call: Call, request: CollectionId) -> None:
    """Delete a collection with its documents; the files stay."""
    collection = get_collection(services, call, request)
    services.store.remove_collection(call.team.name, collection.id)


_DESCRIBED_DOCUMENTS = 10
_DESCRIBED_CHUNKS = 3  # of each
_DESCRIBED_CHARS = 2000  # of each chunk


async def describe(services: Services, call: Call, request: CollectionId) -> str:
    """Return a description generated from the indexed chunks; empty if there are none. It is not stored."""
    collection = get_collection(services, call, request)
    store, team = services.store, call.team.name
    names: list[str] = []
    texts: list[str] = []
    documents = store.documents.page(
        *(team, collection.id, call.at),
        sort_by=DocumentsSortBy.NAME,
        descending=False,
        after=None,
        limit=_DESCRIBED_DOCUMENTS,
        status=DocumentStatus.PROCESSED,
    )
    for document in documents:
        names.append(document.file.filename)
        version = store.chunks.version(team, collection.id, document.file.id)
        for ordinal in range(min(document.chunks, _DESCRIBED_CHUNKS)):
            chunk = None if version is None else store.chunks.get(team, collection.id, version, ordinal)
            if chunk is not None:
                texts.append(chunk.content[:_DESCRIBED_CHARS])
    return descriptions.describe(collection.documents_count, names, texts) if names else ""


_REFERENCE = "Collections reference"
_LIVE = "Collections reference; observed live, 2026-04"

OPERATIONS = (
    Operation("collections.create", Plane.MANAGEMENT, CreateCollection, create, _LIVE, Confidence.RECORDED),
    Operation("collections.list", Plane.MANAGEMENT, ListCollections, list_collections, _REFERENCE),
    Operation("collections.get", Plane.MANAGEMENT, CollectionId, get, _REFERENCE),
    Operation("collections.update", Plane.MANAGEMENT, UpdateCollection, update, _LIVE, Confidence.RECORDED),
    Operation("collections.delete", Plane.MANAGEMENT, CollectionId, delete, _REFERENCE),
    Operation("collections.describe", Plane.MANAGEMENT, CollectionId, describe, "collections.proto; xai-sdk"),
)
