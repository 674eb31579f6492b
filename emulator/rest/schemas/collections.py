"""Collections in JSON, as the management plane writes them (observed live): unset fields are omitted."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.core.clock import rfc3339
from emulator.domain.chunk_configurations import (
    DEFAULT_ENCODING,
    STRATEGIES,
    ChunkConfiguration,
    Strategy,
    wire_key,
)
from emulator.domain.collections import (
    Collection,
    CollectionsSortBy,
    FieldDefinition,
    FieldDefinitionOperation,
    FieldDefinitionUpdate,
    MetricSpace,
    one_strategy,
)
from emulator.domain.paging import Page
from emulator.operations.collections import CollectionId, CreateCollection, ListCollections, UpdateCollection

Path = Mapping[str, str]


class Ordering(enum.Enum):
    """The direction of a list, in the order of the numbers; unknown means descending."""

    UNKNOWN = "ORDERING_UNKNOWN"
    ASCENDING = "ORDERING_ASCENDING"
    DESCENDING = "ORDERING_DESCENDING"


class EmptyJson(Struct):
    """`{}`: success."""


# --- chunk configurations: a struct for each row of the table of strategies


def _strategy_struct(strategy: Strategy, suffix: str, *, optional: bool) -> type[Struct]:
    fields: list[tuple[str, Any, Any] | tuple[str, Any]] = []
    for name in STRATEGIES[strategy].fields:
        kind: Any = str if name == "encoding_name" else int
        fields.append((name, kind | None, None) if optional else (name, kind))
    name = "".join(part.title() for part in wire_key(strategy).split("_"))
    return msgspec.defstruct(f"{name}{suffix}", fields, module=__name__)


_FLAGS = [("strip_whitespace", bool, False), ("inject_name_into_chunks", bool, False)]
_WRITTEN = {strategy: _strategy_struct(strategy, "Json", optional=False) for strategy in STRATEGIES}
_READ = {strategy: _strategy_struct(strategy, "Body", optional=True) for strategy in STRATEGIES}

ChunkConfigurationJson = msgspec.defstruct(
    "ChunkConfigurationJson",
    [*((wire_key(strategy), shape | UnsetType, UNSET) for strategy, shape in _WRITTEN.items()), *_FLAGS],
    module=__name__,
)
ChunkConfigurationBody = msgspec.defstruct(
    "ChunkConfigurationBody",
    [*((wire_key(strategy), shape | None, None) for strategy, shape in _READ.items()), *_FLAGS],
    module=__name__,
)


# --- responses


class IndexConfigurationJson(Struct):
    """The embedding model."""

    model_name: str


class FieldDefinitionJson(Struct):
    """A metadata field."""

    key: str
    required: bool
    inject_into_chunk: bool
    unique: bool
    description: str | UnsetType = UNSET


class CollectionJson(Struct):
    """A collection, with the keys that the live service sends; a size in bytes is an int64, and so a string."""

    collection_id: str
    collection_name: str
    created_at: str
    index_configuration: IndexConfigurationJson
    chunk_configuration: ChunkConfigurationJson  # type: ignore[valid-type]  # made of the table
    documents_count: int
    field_definitions: list[FieldDefinitionJson]
    total_file_size: str
    disable_rag_lookup: bool = False
    collection_description: str | UnsetType = UNSET


class CollectionsJson(Struct):
    """A page of collections; no token on the last one."""

    collections: list[CollectionJson]
    pagination_token: str | UnsetType = UNSET


def collection_json(collection: Collection) -> CollectionJson:
    """Return the JSON of a collection."""
    return CollectionJson(
        collection_id=collection.id,
        collection_name=collection.name,
        created_at=rfc3339(collection.created_at),
        index_configuration=IndexConfigurationJson(collection.model_name),
        chunk_configuration=_configuration_json(collection.chunk_configuration),
        documents_count=collection.documents_count,
        field_definitions=[
            FieldDefinitionJson(
                *(each.key, each.required, each.inject_into_chunk, each.unique),
                description=UNSET if each.description is None else each.description,
            )
            for each in collection.field_definitions
        ],
        total_file_size=str(collection.total_file_size),
        collection_description=collection.description or UNSET,
    )


def _configuration_json(configuration: ChunkConfiguration) -> Any:
    strategy, row = configuration.strategy, STRATEGIES[configuration.strategy]
    values = {
        row.size_field: configuration.max_size,
        row.overlap_field: configuration.overlap,
        "encoding_name": configuration.encoding_name,
    }
    return ChunkConfigurationJson(
        **{wire_key(strategy): _WRITTEN[strategy](**{name: values[name] for name in row.fields})},
        strip_whitespace=configuration.strip_whitespace,
        inject_name_into_chunks=configuration.inject_name_into_chunks,
    )


def collections_json(page: Page[Collection]) -> CollectionsJson:
    """Return a page of collections."""
    token = page.token_if_more
    return CollectionsJson([collection_json(each) for each in page.items], token or UNSET)


# --- requests; every field is optional in protobuf: the operation checks the required ones


class IndexConfigurationBody(Struct):
    """The embedding model."""

    model_name: str | None = None


class FieldDefinitionBody(Struct):
    """A metadata field."""

    key: str = ""
    required: bool = False
    inject_into_chunk: bool = False
    unique: bool = False
    description: str | None = None


class FieldDefinitionUpdateBody(Struct):
    """A change of one metadata field."""

    field_definition: FieldDefinitionBody = msgspec.field(default_factory=FieldDefinitionBody)
    operation: FieldDefinitionOperation = FieldDefinitionOperation.ADD


class CreateCollectionBody(Struct):
    """The body of `POST /v1/collections`; `version` is internal to the real service and ignored."""

    collection_name: str = ""
    collection_description: str | None = None
    index_configuration: IndexConfigurationBody | None = None
    chunk_configuration: ChunkConfigurationBody | None = None  # type: ignore[valid-type]  # made of the table
    metric_space: MetricSpace = MetricSpace.UNKNOWN
    field_definitions: list[FieldDefinitionBody] = []
    version: int | None = None
    team_id: str | None = None


class UpdateCollectionBody(Struct):
    """The body of `PUT /v1/collections/{collection_id}`; missing fields do not change."""

    collection_name: str | None = None
    collection_description: str | None = None
    chunk_configuration: ChunkConfigurationBody | None = None  # type: ignore[valid-type]  # made of the table
    field_definition_updates: list[FieldDefinitionUpdateBody] = []
    team_id: str | None = None


class TeamQuery(Struct):
    """The query of calls about one object."""

    team_id: str | None = None


class CollectionsQuery(Struct):
    """The query of `GET /v1/collections`."""

    limit: int | None = None
    order: Ordering = Ordering.UNKNOWN
    sort_by: CollectionsSortBy = CollectionsSortBy.NAME
    pagination_token: str | None = None
    filter: str | None = None
    team_id: str | None = None


def create(path: Path, body: CreateCollectionBody) -> CreateCollection:
    """Return a request to create a collection."""
    return CreateCollection(
        collection_name=body.collection_name,
        collection_description=body.collection_description,
        model_name=None if body.index_configuration is None else body.index_configuration.model_name,
        chunk_configuration=chunk_configuration(body.chunk_configuration),
        metric_space=body.metric_space,
        field_definitions=[definition(each) for each in body.field_definitions],
        team_id=body.team_id,
    )


def update(path: Path, body: UpdateCollectionBody) -> UpdateCollection:
    """Return a request to update the collection in the path."""
    return UpdateCollection(
        collection_id=path["collection_id"],
        collection_name=body.collection_name,
        collection_description=body.collection_description,
        chunk_configuration=chunk_configuration(body.chunk_configuration),
        field_definition_updates=[
            FieldDefinitionUpdate(definition(each.field_definition), each.operation)
            for each in body.field_definition_updates
        ],
        team_id=body.team_id,
    )


def list_collections(path: Path, query: CollectionsQuery) -> ListCollections:
    """Return a request for a page of collections."""
    return ListCollections(
        limit=query.limit or 0,
        descending=query.order is not Ordering.ASCENDING,
        sort_by=query.sort_by,
        pagination_token=query.pagination_token,
        filter=query.filter,
        team_id=query.team_id,
    )


def collection_id(path: Path, query: TeamQuery) -> CollectionId:
    """Return a request for the collection in the path."""
    return CollectionId(path["collection_id"], query.team_id)


def definition(body: FieldDefinitionBody) -> FieldDefinition:
    """Return a metadata field."""
    return FieldDefinition(body.key, body.required, body.inject_into_chunk, body.unique, body.description)


def chunk_configuration(body: Any) -> ChunkConfiguration | None:
    """Return the one strategy of a chunk configuration. Raises the refusal if there are several."""
    if body is None:
        return None
    given = {strategy: part for strategy in STRATEGIES if (part := getattr(body, wire_key(strategy))) is not None}
    if len(given) != 1:
        raise one_strategy(given or STRATEGIES)
    [(strategy, part)] = given.items()
    row = STRATEGIES[strategy]
    encoding = (part.encoding_name or DEFAULT_ENCODING) if row.takes_encoding else None
    return ChunkConfiguration(
        strategy=strategy,
        max_size=getattr(part, row.size_field) or 0,
        overlap=(getattr(part, row.overlap_field) or 0) if row.overlap_field else 0,
        encoding_name=encoding,
        strip_whitespace=body.strip_whitespace,
        inject_name_into_chunks=body.inject_name_into_chunks,
    )
