"""The words that stand for numbers on the wire."""

from __future__ import annotations

import enum
from typing import Any

import pytest
from xai_sdk.proto import chat_pb2, collections_pb2, documents_pb2, image_pb2, types_pb2, video_pb2

from emulator.domain.batches.batch import KINDS, RequestKind, ResultKind, State
from emulator.domain.collections import CollectionsSortBy, FieldDefinitionOperation, MetricSpace
from emulator.domain.documents import DocumentsSortBy, DocumentStatus
from emulator.domain.files import ContentFormat, SortBy, UploadStatus
from emulator.domain.search import Aggregate, Mode, RagPipeline, RankingMetric


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (CollectionsSortBy, collections_pb2.CollectionsSortBy),
        (DocumentsSortBy, collections_pb2.DocumentsSortBy),
        (DocumentStatus, collections_pb2.DocumentStatus),
        (FieldDefinitionOperation, collections_pb2.FieldDefinitionOperation),
        (MetricSpace, types_pb2.HNSWMetric),
        (RankingMetric, documents_pb2.RankingMetric),
    ],
)
def test_enum_equals_proto_enum(ours: type[enum.Enum], theirs: Any) -> None:
    """Value by value, each at the place of its number."""
    assert [(each.value, number) for number, each in enumerate(ours)] == theirs.items()


@pytest.mark.parametrize(
    ("ours", "words"),
    [
        (SortBy, ["created_at", "filename", "size"]),
        (ContentFormat, ["original", "text"]),
        (UploadStatus, ["Initializing", "Uploading", "Complete", "Failed"]),
        (Mode, ["hybrid", "semantic", "keyword"]),
        (Aggregate, ["min_k", "max_k"]),
        (RagPipeline, ["chroma_db", "es"]),
        (State, ["pending", "succeeded", "failed", "cancelled"]),
        (ResultKind, ["chat_get_completion", "image_generation", "video_generation"]),
    ],
)
def test_enum_without_proto_has_documented_values(ours: type[enum.Enum], words: list[str]) -> None:
    """OpenAPI: the parameters of files, `upload_status`, the request of a search; Batch reference: states, results."""
    assert [each.value for each in ours] == words


@pytest.mark.parametrize("kind", RequestKind)
def test_request_kind_names_existing_grpc_method(kind: RequestKind) -> None:
    """A method of a real service, whose answer is the result."""
    service, _, method = KINDS[kind].endpoint.partition("/")
    services = {
        found.full_name: found
        for file in (chat_pb2, image_pb2, video_pb2)
        for found in file.DESCRIPTOR.services_by_name.values()
    }
    assert method in services[service].methods_by_name
    assert service.rpartition(".")[2].upper() == KINDS[kind].result.name
