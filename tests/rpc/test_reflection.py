"""Server reflection and health, asked by the clients that grpc publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import grpc
import httpx
import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message_factory import GetMessageClass
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

from emulator import Emulator
from emulator.rpc.messages import infrastructure, load
from tests.rpc.client import PATIENCE_SECONDS
from tests.serving import until

SERVICES = {*load().services, *infrastructure().services}
INFO = "ServerReflection/ServerReflectionInfo"
Ask = Callable[..., Any]


@pytest.fixture
def channel(emulator: Emulator) -> Iterator[grpc.Channel]:
    """A channel without a key."""
    with grpc.insecure_channel(emulator.grpc_target, [("grpc.use_local_subchannel_pool", 1)]) as channel:
        yield channel


@pytest.fixture(params=["v1", "v1alpha"])
def ask(request: pytest.FixtureRequest, channel: grpc.Channel) -> Ask:
    """Ask one question in either version, which differ in nothing but the name."""
    call = channel.stream_stream(
        f"/grpc.reflection.{request.param}.{INFO}",
        request_serializer=lambda sent: sent if isinstance(sent, bytes) else sent.SerializeToString(),
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )

    def one(sent: bytes | None = None, **fields: Any) -> Any:
        question = reflection_pb2.ServerReflectionRequest(host="h", **fields) if sent is None else sent
        (response,) = call(iter([question]), timeout=PATIENCE_SECONDS)
        assert (response.valid_host, response.original_request) == ("h", question)
        return response

    return one


def names(response: Any) -> list[str]:
    """The files of an answer."""
    found = response.file_descriptor_response.file_descriptor_proto
    return [FileDescriptorProto.FromString(raw).name for raw in found]


def test_reflection_client_without_protos_calls_method(emulator: Emulator, channel: grpc.Channel) -> None:
    """The published reflection client finds every service, builds messages from the descriptors, and calls a method."""
    database = ProtoReflectionDescriptorDatabase(channel)
    assert set(database.get_services()) == SERVICES
    pool = DescriptorPool(database)
    for name in SERVICES:
        assert {method.name for method in pool.FindServiceByName(name).methods}
    method = pool.FindServiceByName("xai_api.Files").methods_by_name["ListFiles"]
    sent, received = GetMessageClass(method.input_type), GetMessageClass(method.output_type)
    call = channel.unary_unary(
        "/xai_api.Files/ListFiles",
        request_serializer=sent.SerializeToString,
        response_deserializer=received.FromString,
    )
    key = [("authorization", f"Bearer {emulator.api_key}")]
    assert list(call(sent(limit=5), metadata=key, timeout=PATIENCE_SECONDS).data) == []


@pytest.mark.parametrize(
    ("symbol", "file"),
    [
        ("xai_api.Files", "files.proto"),
        ("xai_api.Files.UploadFile", "files.proto"),
        ("xai_api.File.size", "files.proto"),
        ("google.protobuf.Timestamp", "google/protobuf/timestamp.proto"),
        ("grpc.health.v1.Health", "grpc/health/v1/health.proto"),
    ],
)
def test_reflected_symbol_comes_with_all_imported_files(ask: Ask, symbol: str, file: str) -> None:
    """The file itself comes first, no file comes twice, and none is missing."""
    found = ask(file_containing_symbol=symbol)
    first, *imported = names(found)
    assert first == file
    assert len({first, *imported}) == 1 + len(imported)
    for raw in found.file_descriptor_response.file_descriptor_proto:
        assert set(FileDescriptorProto.FromString(raw).dependency) <= {first, *imported}
    assert names(ask(file_by_filename=file)) == [first, *imported]


def test_services_are_listed_in_order(ask: Ask) -> None:
    """All of them, reflection and health as well."""
    listed = [service.name for service in ask(list_services="*").list_services_response.service]
    assert listed == sorted(SERVICES)


@pytest.mark.parametrize(
    "question",
    [
        {"file_by_filename": "nope.proto"},
        {"file_containing_symbol": "xai_api.Nope"},
        {"file_containing_symbol": ""},
        {"file_containing_extension": {"containing_type": "xai_api.File", "extension_number": 1}},
        {"all_extension_numbers_of_type": "xai_api.Nope"},
    ],
)
def test_unknown_reflection_name_is_error_in_response(ask: Ask, question: dict[str, Any]) -> None:
    """NOT_FOUND in words; the call itself ends well."""
    error = ask(**question).error_response
    assert error.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    assert error.error_message


def test_reflected_message_has_no_extensions(ask: Ask) -> None:
    """An empty list for a type that is there."""
    found = ask(all_extension_numbers_of_type="xai_api.File").all_extension_numbers_response
    assert (found.base_type_name, list(found.extension_number)) == ("xai_api.File", [])


def test_reflection_request_without_kind_is_error_in_response(ask: Ask) -> None:
    """INVALID_ARGUMENT."""
    assert ask().error_response.error_code == grpc.StatusCode.INVALID_ARGUMENT.value[0]


def test_undecodable_reflection_request_ends_call(ask: Ask) -> None:
    """INVALID_ARGUMENT, as of every method."""
    with pytest.raises(grpc.RpcError) as refused:
        ask(b"\xff\xff")
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_reflection_call_answers_many_requests(channel: grpc.Channel) -> None:
    """An error among them ends nothing."""
    call = channel.stream_stream(
        f"/grpc.reflection.v1.{INFO}",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    questions = [reflection_pb2.ServerReflectionRequest(file_by_filename=name) for name in ("a", "files.proto")]
    kinds = [found.WhichOneof("message_response") for found in call(iter(questions), timeout=PATIENCE_SECONDS)]
    assert kinds == ["error_response", "file_descriptor_response"]


def test_health_is_serving_for_what_is_served(channel: grpc.Channel) -> None:
    """The server as a whole, every service, and the list of them; what is not served is NOT_FOUND."""
    health = health_pb2_grpc.HealthStub(channel)
    for name in ["", *SERVICES]:
        asked = health_pb2.HealthCheckRequest(service=name)
        assert health.Check(asked, timeout=PATIENCE_SECONDS).status == health_pb2.HealthCheckResponse.SERVING
    statuses = health.List(health_pb2.HealthListRequest(), timeout=PATIENCE_SECONDS).statuses
    assert set(statuses) == {"", *SERVICES}
    assert {each.status for each in statuses.values()} == {health_pb2.HealthCheckResponse.SERVING}
    with pytest.raises(grpc.RpcError) as refused:
        health.Check(health_pb2.HealthCheckRequest(service="xai_api.Embedder"), timeout=PATIENCE_SECONDS)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


@pytest.mark.parametrize(("service", "status"), [("", "SERVING"), ("nope", "SERVICE_UNKNOWN")])
def test_watches_stay_open_and_hold_no_thread(
    emulator: Emulator, channel: grpc.Channel, service: str, status: str
) -> None:
    """More of them than there are threads for streams: each gets its answer, and a download is served."""
    health = health_pb2_grpc.HealthStub(channel)
    asked = health_pb2.HealthCheckRequest(service=service)
    watches = [health.Watch(asked, timeout=PATIENCE_SECONDS) for _ in range(300)]
    try:
        for watch in watches:
            assert health_pb2.HealthCheckResponse.ServingStatus.Name(next(watch).status) == status
        server: Any = emulator._running().port._backend._server
        until(lambda: server._streams.open_calls == 0)
        assert all(watch.is_active() for watch in watches)
    finally:
        for watch in watches:
            watch.cancel()


def test_health_and_reflection_calls_are_not_journalled(channel: grpc.Channel, control: httpx.Client) -> None:
    """They are no calls of the API."""
    health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=PATIENCE_SECONDS)
    list(ProtoReflectionDescriptorDatabase(channel).get_services())
    assert control.get("/requests").json()["requests"] == []
