"""Collections: their metadata fields, the checks of documents' fields, and changes of definitions."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping, Sequence

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, invalid
from emulator.core.limits import Limits, exceeds, utf8_bytes
from emulator.domain.chunk_configurations import ChunkConfiguration, Strategy, wire_key

DEFAULT_MODEL = "grok-embedding-small"  # observed live


class MetricSpace(enum.Enum):
    """The distance metrics of vectors, in the order of the numbers in HNSWMetric."""

    UNKNOWN = "HNSW_METRIC_UNKNOWN"
    COSINE = "HNSW_METRIC_COSINE"
    EUCLIDEAN = "HNSW_METRIC_EUCLIDEAN"
    INNER_PRODUCT = "HNSW_METRIC_INNER_PRODUCT"


class CollectionsSortBy(enum.Enum):
    """The orders of a list of collections, in the order of their numbers."""

    NAME = "COLLECTIONS_SORT_BY_NAME"
    AGE = "COLLECTIONS_SORT_BY_AGE"


class FieldDefinitionOperation(enum.Enum):
    """The operations on a field definition, in the order of the numbers."""

    ADD = "FIELD_DEFINITION_ADD"
    DELETE = "FIELD_DEFINITION_DELETE"


class FieldDefinition(msgspec.Struct, frozen=True):
    """A metadata field of a collection's documents (Collections guide, "Metadata fields"). Values are texts."""

    key: str
    required: bool = False
    inject_into_chunk: bool = False
    unique: bool = False
    description: str | None = None


class FieldDefinitionUpdate(msgspec.Struct, frozen=True):
    """Add (or overwrite, by its key) or delete one field definition."""

    definition: FieldDefinition
    operation: FieldDefinitionOperation = FieldDefinitionOperation.ADD


class Collection(msgspec.Struct, frozen=True):
    """A stored collection, with the totals of its documents. `seq` is its insertion number."""

    id: str
    name: str
    description: str | None
    created_at: Instant
    model_name: str
    metric_space: MetricSpace
    chunk_configuration: ChunkConfiguration
    field_definitions: tuple[FieldDefinition, ...]
    documents_count: int
    total_file_size: int  # bytes
    seq: int


def form_error(field: str, sentence: str, rule: str) -> ApiError:
    """Return the refusal of a value in the format of the management plane, with a trailing line break (observed live).

    The refusal of an empty name was recorded; the same format of all others is assumed.
    """
    return invalid(f"{field}: {sentence}. [WKE=form-invalid:{rule}:{field}]\n", rule=rule, param=field)


def check_name(name: str) -> None:
    """Refuse a collection without a name. Names need not be unique."""
    if not name:
        raise form_error("collection_name", "Field is empty but must not be empty", "not-empty")


def check_size(collection: Collection, limits: Limits) -> None:
    """Refuse a collection that is too large to be repeated in lists, or has too many field definitions."""
    definitions = collection.field_definitions
    most = limits.field_definitions_max
    if most is not None and len(definitions) > most:
        sentence = f"A collection must have at most {most} field definitions"
        raise form_error("field_definitions", sentence, "field_definitions_max")
    texts = [collection.name, collection.description or "", collection.model_name]
    texts += [text for each in definitions for text in (each.key, each.description or "")]
    if exceeds(limits.collection_bytes_max, texts):
        sentence = f"Names, descriptions and field definitions must have at most {limits.collection_bytes_max} bytes"
        raise form_error("collection", sentence, "collection_bytes_max")


def one_strategy(strategies: Iterable[Strategy]) -> ApiError:
    """Return the refusal of a chunk configuration with several strategies, or with none."""
    names = ", ".join(wire_key(strategy) for strategy in strategies)
    return form_error("chunk_configuration", f"Exactly one strategy must be given, of {names}", "one-of")


def check_definitions(definitions: Sequence[FieldDefinition]) -> None:
    """Refuse definitions without a key, and two of one key."""
    seen: set[str] = set()
    for definition in definitions:
        if not definition.key:
            raise form_error("field_definitions.key", "Field is empty but must not be empty", "not-empty")
        if definition.key in seen:
            raise form_error("field_definitions.key", f"{definition.key!r} is defined twice", "unique")
        seen.add(definition.key)


def updated_definitions(
    present: Sequence[FieldDefinition], updates: Sequence[FieldDefinitionUpdate], *, has_documents: bool
) -> tuple[FieldDefinition, ...]:
    """Return the definitions after the updates, in order. An overwritten definition keeps its position.

    A new field must not be required if there are documents, which would lack it (Collections reference). The
    reference forbids it in empty collections too, but the docstring and four tests of xai-sdk add one.
    """
    definitions = {definition.key: definition for definition in present}
    old = set(definitions)  # fields that documents may have
    for update in updates:
        key = update.definition.key
        check_definitions([update.definition])
        if update.operation is FieldDefinitionOperation.ADD:
            if has_documents and update.definition.required and key not in old:
                sentence = f"The new field {key!r} must not be required: documents that exist would not have it"
                raise form_error("field_definition_updates", sentence, "new-required-field")
            definitions[key] = update.definition
            continue
        old.discard(key)
        if definitions.pop(key, None) is None:
            raise form_error("field_definition_updates", f"There is no field {key!r} to delete", "unknown-field")
    return tuple(definitions.values())


def deleted_keys(updates: Sequence[FieldDefinitionUpdate]) -> set[str]:
    """Return the fields that lose their values, even if they are defined again."""
    return {each.definition.key for each in updates if each.operation is FieldDefinitionOperation.DELETE}


def check_required(definitions: Sequence[FieldDefinition], fields: Mapping[str, str]) -> None:
    """Refuse a document's fields that lack a required one."""
    for definition in definitions:
        if definition.required and definition.key not in fields:
            raise form_error(f"fields.{definition.key}", "Field is missing but required", "required")


def check_fields_size(definitions: Sequence[FieldDefinition], fields: Mapping[str, str], limits: Limits) -> None:
    """Refuse fields that are too large for a document, or for injection into each of its chunks."""
    rule = "document_fields_bytes_max"
    if exceeds(limits.document_fields_bytes_max, itertools.chain(fields, fields.values())):
        raise form_error("fields", f"Fields must have at most {limits.document_fields_bytes_max} bytes", rule)
    injected = injected_values(definitions, fields)
    if exceeds(limits.injected_bytes_max, injected.values()):
        sentence = f"Fields injected into chunks must have at most {limits.injected_bytes_max} bytes together"
        largest = max(injected, key=lambda key: utf8_bytes(injected[key]))
        raise form_error(f"fields.{largest}", sentence, "injected_bytes_max")


def undefined_keys(definitions: Sequence[FieldDefinition], fields: Mapping[str, str]) -> list[str]:
    """Return the fields of a document that the collection does not define."""
    defined = {definition.key for definition in definitions}
    return [key for key in fields if key not in defined]


def value_taken(key: str, value: str) -> ApiError:
    """Return the refusal of a value that another document of the collection has in a unique field."""
    shown = value if len(value) <= 100 else value[:100] + "…"
    return form_error(f"fields.{key}", f"Another document has the value {shown!r}, which must be unique", "unique")


def unique_values(definitions: Sequence[FieldDefinition], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the values of a document that must be unique."""
    return {d.key: fields[d.key] for d in definitions if d.unique and d.key in fields}


def injected_values(definitions: Sequence[FieldDefinition], fields: Mapping[str, str]) -> dict[str, str]:
    """Return the values of a document that are injected into every chunk, in the order of their definitions."""
    return {d.key: fields[d.key] for d in definitions if d.inject_into_chunk and d.key in fields}
