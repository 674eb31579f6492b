"""The messages, enums and services of the gRPC contract, made from our own descriptors.

They are in a private DescriptorPool, because the pool of generated modules allows one definition per name, and every
version of xai-sdk adds its own. For the same reason these messages accept no sub-message of a generated module: build a
Timestamp or a Status with the classes of this schema too.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

from google.protobuf.descriptor import EnumDescriptor, ServiceDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.unknown_fields import UnknownFieldSet

DESCRIPTORS = Path(__file__).parent / "proto" / "descriptors.binpb"
INFRASTRUCTURE = Path(__file__).parent / "proto" / "infrastructure.binpb"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Schema:
    """The declarations of a descriptor set, by full name. Raises KeyError for an unknown name."""

    def __init__(self, descriptors: bytes) -> None:
        files = FileDescriptorSet.FromString(descriptors).file
        self.pool = DescriptorPool()
        self._classes: dict[str, type[Message]] = {}
        self.files = {file.name: file for file in files}
        for file in files:
            self.pool.AddSerializedFile(file.SerializeToString())
        self.services = tuple(f"{file.package}.{service.name}" for file in files for service in file.service)

    def message(self, name: str) -> type[Message]:
        """Return the class of a message; the same name always gives the same class."""
        if name not in self._classes:
            self._classes[name] = GetMessageClass(self.pool.FindMessageTypeByName(name))
        return self._classes[name]

    def enum(self, name: str) -> EnumDescriptor:
        """Return an enum; its values_by_name and values_by_number translate values."""
        return self.pool.FindEnumTypeByName(name)

    def service(self, name: str) -> ServiceDescriptor:
        """Return a service: its methods have their message types and their kinds of streaming."""
        return self.pool.FindServiceByName(name)

    def file_containing(self, symbol: str) -> str:
        """Return the name of the file that declares a service, method, message, field, enum or value by full name."""
        try:
            file = self.pool.FindFileContainingSymbol(symbol)
        except KeyError:  # some implementations of protobuf do not find methods
            service, _, method = symbol.rpartition(".")
            file = self.service(service).methods_by_name[method].containing_service.file
        name: str = file.name
        return name


@cache
def load() -> Schema:
    """Return the contract of the emulator; descriptors never change, so the process shares one copy."""
    return Schema(DESCRIPTORS.read_bytes())


@cache
def infrastructure() -> Schema:
    """Return the services that every gRPC server may have: health and reflection. Loaded at the first call."""
    return Schema(INFRASTRUCTURE.read_bytes())


def timestamp(instant: int) -> Message:
    """Return microseconds since the epoch as google.protobuf.Timestamp."""
    seconds, microseconds = divmod(instant, 1_000_000)
    return load().message("google.protobuf.Timestamp")(seconds=seconds, nanos=microseconds * 1000)


def to_datetime(timestamp: Message) -> datetime:
    """Return a google.protobuf.Timestamp as a datetime in UTC, cut to microseconds; OverflowError after 9999."""
    return EPOCH + timedelta(seconds=timestamp.seconds, microseconds=timestamp.nanos // 1000)


def unknown_fields(message: Message) -> list[str]:
    """Return the paths of the undeclared fields of a message, each once: "chunk_configuration.17"."""
    return list(dict.fromkeys(_unknown_fields(message, "")))


def _unknown_fields(message: Message, prefix: str) -> Iterator[str]:
    for field in UnknownFieldSet(message):
        yield f"{prefix}{field.field_number}"
    for declared, value in message.ListFields():
        if declared.message_type is None or declared.message_type.GetOptions().map_entry:
            continue  # a scalar; and the maps of the contract have text values
        for child in [value] if isinstance(value, Message) else value:
            yield from _unknown_fields(child, f"{prefix}{declared.name}.")
