"""The gRPC contract: our .proto files compared with xai-sdk, and the isolation of our private descriptor pool."""

import importlib.util
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from google.protobuf import timestamp_pb2
from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FileDescriptorProto, FileDescriptorSet
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.clock import from_datetime
from emulator.rpc import messages
from emulator.rpc.methods import NOT_EMULATED
from emulator.rpc.proto import compile as proto

REPOSITORY = Path(__file__).parents[2]
SERVICES = {
    *("xai_api.Files", "xai_api.BatchMgmt", "xai_api.Documents", "xai_api.Auth", "xai_api.Models"),
    *("xai_api.Chat", "xai_api.Tokenize", "xai_api.Image", "xai_api.Video"),
    "collections.Collections",
}
CONTRACT = (1, 21)  # the version of xai-sdk whose descriptors the sources follow
# What the newest xai-sdk does not declare and our sources do, and why. By full name; a message stands for its fields.
OWN = {
    "collections.Collections.UploadDocument": "xai-sdk 1.4.0 calls it, and the oldest guide does with it",
    "collections.UploadDocumentRequest": "the request of UploadDocument",
}

sdk_not_older = pytest.mark.skipif(
    tuple(int(number) for number in version("xai-sdk").split(".")[:2]) < CONTRACT,
    reason="the installed xai-sdk is older than the contract",
)


def read_set(path: Path) -> dict[str, FileDescriptorProto]:
    """Read a descriptor set, by file name."""
    return {file.name: file for file in FileDescriptorSet.FromString(path.read_bytes()).file}


@cache
def ours() -> dict[str, Any]:
    """Say what the committed descriptors declare, Google's well-known types aside."""
    return dict(declared(file for file in read_set(proto.COMMITTED).values() if file.package != "google.protobuf"))


@cache
def theirs() -> dict[str, Any]:
    """Say what the installed xai-sdk declares, what it borrows from Google included."""
    from xai_sdk import proto as sdk

    generated = [module for module in vars(sdk).values() if isinstance(module, ModuleType)]
    files = {module.DESCRIPTOR for module in generated if hasattr(module, "DESCRIPTOR")}
    files |= {needed for file in files for needed in file.dependencies if needed.package != "google.protobuf"}
    return dict(declared(FileDescriptorProto.FromString(file.serialized_pb) for file in files))


def declared(files: Iterator[FileDescriptorProto]) -> Iterator[tuple[str, Any]]:
    """Flatten files to one entry, full name and wire facts, per message, field, enum, enum value and method."""
    for file in files:
        for message in file.message_type:
            yield from message_facts(message, file.package)
        for enum in file.enum_type:
            yield from enum_facts(enum, file.package)
        for service in file.service:
            for method in service.method:
                streaming = (method.client_streaming, method.server_streaming)
                types = (method.input_type, method.output_type)
                yield f"{file.package}.{service.name}.{method.name}", ("rpc", *types, *streaming)


def message_facts(message: DescriptorProto, scope: str) -> Iterator[tuple[str, Any]]:
    """Flatten a message and those in it."""
    name = f"{scope}.{message.name}"
    yield name, ("message", message.options.map_entry)
    for nested in message.nested_type:
        yield from message_facts(nested, name)
    for enum in message.enum_type:
        yield from enum_facts(enum, name)
    for field in message.field:
        oneof = message.oneof_decl[field.oneof_index].name if field.HasField("oneof_index") else None
        wire = (field.type_name, field.number, field.type, field.label)
        yield f"{name}.{field.name}", ("field", *wire, field.options.packed, oneof, field.proto3_optional)


def enum_facts(enum: EnumDescriptorProto, scope: str) -> Iterator[tuple[str, Any]]:
    """Flatten an enum."""
    yield f"{scope}.{enum.name}", ("enum",)
    for value in enum.value:
        yield f"{scope}.{enum.name}.{value.name}", ("value", value.number)


def spoken(facts: dict[str, Any]) -> set[str]:
    """Name all that can be on the wire of the declared services."""
    reached: set[str] = set()
    waiting = sorted(SERVICES)
    while waiting:
        name = waiting.pop()
        for member in (key for key in facts if key.rpartition(".")[0] == name and key not in reached):
            reached.add(member)
            kind, *types = facts[member]
            if kind in ("rpc", "field"):
                waiting += [type_name[1:] for type_name in types if isinstance(type_name, str) and type_name[:1] == "."]
    return {name for name in reached if facts[name][0] in ("rpc", "field", "value")}


@pytest.mark.skipif(
    importlib.util.find_spec("grpc_tools") is None, reason="grpcio-tools, the compiler, is not installed"
)
@pytest.mark.parametrize(
    ("folder", "target"), [(proto.FOLDER, proto.COMMITTED), (proto.INFRASTRUCTURE_FOLDER, proto.INFRASTRUCTURE)]
)
def test_committed_descriptors_equal_compiled_sources(folder: Path, target: Path, tmp_path: Path) -> None:
    """Every .proto file is compiled after its last change."""
    proto.compile_to(tmp_path / "fresh", folder)
    fresh, committed = read_set(tmp_path / "fresh"), read_set(target)
    assert list(fresh) == list(committed)
    # The well-known types come with the compiler and may be worded differently by another version of it.
    sources = proto.sources(folder)
    assert {name: fresh[name] for name in sources} == {name: committed[name] for name in sources}


@pytest.mark.parametrize("module", ["grpc_health.v1.health_pb2", "grpc_reflection.v1alpha.reflection_pb2"])
def test_infrastructure_is_declared_as_in_the_packages_of_grpc(module: str) -> None:
    """Health and reflection have the names, numbers and types that the clients of other languages know."""
    published = import_module(module).DESCRIPTOR
    theirs = dict(declared(iter([FileDescriptorProto.FromString(published.serialized_pb)])))
    ours = dict(declared(iter([read_set(proto.INFRASTRUCTURE)[published.name.replace("grpc_", "grpc/")]])))
    assert {name: fact for name, fact in ours.items() if fact[0] != "value"} == {
        name: fact for name, fact in theirs.items() if fact[0] != "value"
    }


def test_reflection_versions_differ_only_in_names() -> None:
    """One implementation answers both."""
    new, old = (
        str(read_set(proto.INFRASTRUCTURE)[f"grpc/reflection/{version}/reflection.proto"])
        for version in ("v1", "v1alpha")
    )
    assert old.replace("v1alpha", "v1") == new


def test_declarations_are_wire_compatible_with_every_sdk() -> None:
    """Number, type, label and streaming are those of xai-sdk in every version; an older one may not know the name."""
    known = sorted(ours().keys() & theirs().keys())
    assert "xai_api.File.size" in known
    assert {name: ours()[name][:5] for name in known} == {name: theirs()[name][:5] for name in known}


@sdk_not_older
def test_declarations_equal_those_of_the_sdk() -> None:
    """Presence and oneofs are the SDK's too; what the SDK does not have is listed with its reason."""
    differing = {name: (fact, theirs().get(name)) for name, fact in ours().items() if theirs().get(name) != fact}
    assert {name: facts for name, facts in differing.items() if not is_own(name)} == {}
    assert set(OWN) <= set(differing), "listed, and the same in the SDK"


def is_own(name: str) -> bool:
    """Whether a name is listed as one that the SDK does not have, or belongs to one that is."""
    return any(name == own or name.startswith(f"{own}.") for own in OWN)


@sdk_not_older
def test_declared_services_are_complete() -> None:
    """Every RPC, field and enum value that xai-sdk knows of the declared services is declared."""
    assert spoken(theirs()) - set(ours()) == set()


@sdk_not_older
def test_sdk_services_are_declared_or_listed_as_not_emulated() -> None:
    """A client of a service that is not served learns why."""
    services = {key.rpartition(".")[0] for key, (kind, *_) in theirs().items() if kind == "rpc"}
    assert services - SERVICES == {name for name in NOT_EMULATED if "/" not in name}


@sdk_not_older
def test_schema_has_exactly_the_declared_services() -> None:
    """The services to bind are those of the emulated APIs, with every method of theirs."""
    assert set(messages.load().services) == SERVICES
    for name in SERVICES:
        methods = {method.full_name for method in messages.load().service(name).methods}
        own = {method for method in methods if is_own(method)}
        sdk = {key for key, (kind, *_) in theirs().items() if kind == "rpc" and key.startswith(f"{name}.")}
        assert methods - own == sdk


@sdk_not_older
def test_debug_output_of_a_chat_completion_is_declared() -> None:
    """Field 12, which xai-sdk has since 1.21.0."""
    fields = messages.load().message("xai_api.GetChatCompletionResponse").DESCRIPTOR.fields_by_name
    assert fields["debug_output"].number == 12


def test_upload_document_is_declared_as_in_the_sdk_that_calls_it() -> None:
    """Taken from the descriptors of xai-sdk 1.4.0: names, numbers and the number that it reserves."""
    request = messages.load().message("collections.UploadDocumentRequest").DESCRIPTOR
    numbers = {field.name: field.number for field in request.fields}
    assert numbers == {"team_id": 1, "collection_id": 2, "name": 3, "data": 4, "content_type": 5, "fields": 7}


def test_undeclared_name_raises_key_error() -> None:
    """A misspelt name fails when it is looked up, whatever was looked for."""
    for find in (messages.load().message, messages.load().enum, messages.load().service):
        with pytest.raises(KeyError):
            find("xai_api.Flies")


def test_message_name_always_gives_same_class() -> None:
    """Messages made in different places of the process fit into each other."""
    assert messages.load() is messages.load()
    assert messages.load().message("xai_api.File") is messages.load().message("xai_api.File")


def run(code: str, **environment: str) -> None:
    """Run code in an interpreter of its own, where only that code has imported anything."""
    subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, env=environment, check=True)


SDK = """
import sys
from importlib.util import find_spec, module_from_spec
sys.modules["xai_sdk"] = module_from_spec(find_spec("xai_sdk"))  # not executed: its clients take long to import
from xai_sdk.proto import files_pb2, collections_pb2
"""
OURS = "from emulator.rpc import messages; schema = messages.load()"
TALK = """
sent = schema.message("xai_api.UploadFileChunk")(init={"name": "a.txt"})
assert files_pb2.UploadFileChunk.FromString(sent.SerializeToString()).init.name == "a.txt"
answer = files_pb2.File(id="file_1"); answer.created_at.FromSeconds(5)
assert schema.message("xai_api.File").FromString(answer.SerializeToString()).created_at.seconds == 5
"""


@pytest.mark.parametrize("implementation", ["upb", "python"])
@pytest.mark.parametrize("first_to_last", [(SDK, OURS), (OURS, SDK)], ids=["sdk first", "ours first"])
def test_sdk_and_schema_load_in_one_interpreter(first_to_last: tuple[str, str], implementation: str) -> None:
    """Both can be loaded, in either order and in either implementation of protobuf, and understand each other."""
    run("\n".join([*first_to_last, TALK]), PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION=implementation)


def test_loading_leaves_the_common_pool_alone() -> None:
    """The contract is neither in the pool of generated modules nor does it bring xai-sdk or the compiler along."""
    run(f"""
import sys
from google.protobuf import descriptor_pool
{OURS}
infrastructure = messages.infrastructure()
for name in ("xai_api.File", "collections.CollectionMetadata", "google.rpc.Status", "grpc.health.v1.HealthListRequest"):
    (infrastructure if name.startswith("grpc.") else schema).message(name)
    try:
        descriptor_pool.Default().FindMessageTypeByName(name)
    except KeyError:
        continue
    raise SystemExit(f"{{name}} is in the common pool")
assert {{"xai_sdk", "grpc", "grpc_tools"}}.isdisjoint(sys.modules)
""")


def test_schema_loaded_twice_has_separate_classes() -> None:
    """Loading the descriptors a second time gives classes of its own that speak the same bytes."""
    one, other = (messages.Schema(messages.DESCRIPTORS.read_bytes()).message("xai_api.File") for _ in range(2))
    assert one is not other
    assert other.FromString(one(id="file_1", size=3).SerializeToString()).size == 3


def varint(number: int) -> bytes:
    """Encode a number as protobuf does: seven bits a byte, the last byte without the high bit."""
    return bytes([number]) if number < 128 else bytes([number % 128 + 128]) + varint(number // 128)


def field(number: int, value: int | bytes) -> bytes:
    """Encode one field, a varint or a length-delimited one."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


@st.composite
def stowaways(draw: st.DrawFn) -> tuple[str, bytes, list[str]]:
    """Draw a message with undeclared fields somewhere in it: its name, its bytes and the paths of those fields."""
    root = draw(st.sampled_from(sorted(name for name, fact in ours().items() if fact == ("message", False))))
    inner, steps = messages.load().message(root).DESCRIPTOR, []
    for _ in range(draw(st.integers(0, 4))):
        nested = [one for one in inner.fields if one.message_type and not one.message_type.GetOptions().map_entry]
        if nested:
            steps.append(draw(st.sampled_from(nested)))
            inner = steps[-1].message_type
    undeclared = st.integers(1, 2**29 - 1).filter(lambda number: number not in inner.fields_by_number)
    values = st.integers(0, 2**64 - 1) | st.binary(max_size=200)
    extra = draw(st.lists(st.tuples(undeclared, values), min_size=1, max_size=3, unique_by=lambda pair: pair[0]))
    content = b"".join(field(number, value) for number, value in extra)
    for step in reversed(steps):
        content = field(step.number, content)
    return root, content, [".".join([*(step.name for step in steps), str(number)]) for number, _ in extra]


@given(stowaways())
def test_undeclared_fields_survive_and_are_named(drawn: tuple[str, bytes, list[str]]) -> None:
    """What a newer client sends comes back byte for byte, at any depth of any message, and is listed by its path."""
    name, content, paths = drawn
    message = messages.load().message(name).FromString(content)
    assert message.SerializeToString() == content
    assert messages.unknown_fields(message) == paths


def test_undeclared_field_of_many_items_is_named_once() -> None:
    """A batch of thousands of requests with one new field gives one path."""
    item = field(2, field(2, field(2, b"grok") + field(777, 1)))
    message = messages.load().message("xai_api.AddBatchRequestsRequest").FromString(field(1, b"batch_1") + item * 50)
    assert [one.completion_request.model for one in message.batch_requests] == ["grok"] * 50
    assert messages.unknown_fields(message) == ["batch_requests.completion_request.777"]


def test_message_of_declared_fields_has_no_unknown_fields() -> None:
    """Scalars, maps, oneofs and sub-messages that are declared are not listed."""
    create = messages.load().message("collections.CreateCollectionRequest")
    add = messages.load().message("collections.AddDocumentToCollectionRequest")
    configuration = {"bytes_configuration": {"max_chunk_size_bytes": 9}}
    assert messages.unknown_fields(create(collection_name="a", chunk_configuration=configuration)) == []
    assert messages.unknown_fields(add(file_id="file_1", fields={"author": "Ada"})) == []


@given(st.datetimes(timezones=st.just(UTC) | st.builds(timezone, st.builds(timedelta, minutes=st.integers(-800, 800)))))
def test_timestamp_keeps_microseconds(moment: datetime) -> None:
    """Time goes to the wire as protobuf itself would send it, and comes back the same, before 1970 as well."""
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:  # the first and last hours of the calendar, which UTC does not have
        return
    reference = timestamp_pb2.Timestamp()
    reference.FromDatetime(expected)
    sent = messages.timestamp(from_datetime(moment))
    assert sent.SerializeToString() == reference.SerializeToString()
    assert messages.to_datetime(sent) == moment


@pytest.mark.parametrize("seconds", [-(2**63), -62_135_596_801, 253_402_300_800, 2**63 - 1])
def test_timestamp_outside_calendar_raises_overflow_error(seconds: int) -> None:
    """What a client can encode and no datetime can hold, before year 1 and after 9999, is an OverflowError."""
    with pytest.raises(OverflowError):
        messages.to_datetime(messages.load().message("google.protobuf.Timestamp")(seconds=seconds))
