"""Server reflection: the descriptors of all services, for grpcurl and for clients that are built at run time.

It uses our own descriptor sets; grpcio-reflection would be another dependency and would add its messages to the
descriptor pool that all generated modules share. The calls need no key and are not in the journal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc

from emulator.rpc.call_threads import CallThreads
from emulator.rpc.messages import Schema, infrastructure, load
from emulator.rpc.requests import Message
from emulator.rpc.status import parse_or_abort

VERSIONS = ("grpc.reflection.v1", "grpc.reflection.v1alpha")  # they differ only in the name


def handlers(streams: CallThreads) -> dict[str, grpc.RpcMethodHandler]:
    """Return the handlers of both versions by the full names of their methods."""
    return {f"{version}.ServerReflection/ServerReflectionInfo": _handler(version, streams) for version in VERSIONS}


def services() -> list[str]:
    """Return the full name of every service of the server."""
    return sorted([*load().services, *infrastructure().services])


def _handler(version: str, threads: CallThreads) -> grpc.RpcMethodHandler:
    def talk(raws: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        while True:
            with threads.waiting_for_client(context):
                raw = next(raws, None)
            if raw is None:
                return
            request = parse_or_abort(_message(version, "ServerReflectionRequest"), raw, context)
            response: bytes = answer(version, request).SerializeToString()
            with threads.waiting_for_client(context):
                yield response

    return grpc.stream_stream_rpc_method_handler(threads.runs(talk))


def answer(version: str, request: Message) -> Message:
    """Answer one request. An unknown name is an error in the answer, and the stream continues."""
    kind = request.WhichOneof("message_request")
    questions: dict[str | None, Callable[[], Message]] = {
        "file_by_filename": lambda: _files(version, _file_named(request.file_by_filename)),
        "file_containing_symbol": lambda: _files(version, _file_containing(request.file_containing_symbol)),
        "list_services": lambda: _services(version),
        # No message of the contract can be extended: proto3 has no extensions.
        "file_containing_extension": lambda: _files(version, None),
        "all_extension_numbers_of_type": lambda: _extension_numbers(version, request.all_extension_numbers_of_type),
    }
    if kind in questions:
        response = questions[kind]()
    else:
        response = _error(version, grpc.StatusCode.INVALID_ARGUMENT, "The request asks nothing.")
    response.valid_host = request.host
    response.original_request.CopyFrom(request)
    return response


def _message(version: str, name: str) -> type[Message]:
    return infrastructure().message(f"{version}.{name}")


def _error(version: str, code: grpc.StatusCode, sentence: str) -> Message:
    error = _message(version, "ErrorResponse")(error_code=code.value[0], error_message=sentence)
    return _message(version, "ServerReflectionResponse")(error_response=error)


def _services(version: str) -> Message:
    names = [_message(version, "ServiceResponse")(name=name) for name in services()]
    return _message(version, "ServerReflectionResponse")(
        list_services_response=_message(version, "ListServiceResponse")(service=names)
    )


def _files(version: str, found: tuple[Schema, str] | None) -> Message:
    """Return a file and all of its imports, the file itself first."""
    if found is None:
        return _error(version, grpc.StatusCode.NOT_FOUND, "No file of this server declares it.")
    schema, name = found
    names = [name]
    for each in names:  # the list grows in the loop
        names += [needed for needed in schema.files[each].dependency if needed not in names]
    files = [schema.files[each].SerializeToString() for each in names]
    return _message(version, "ServerReflectionResponse")(
        file_descriptor_response=_message(version, "FileDescriptorResponse")(file_descriptor_proto=files)
    )


def _extension_numbers(version: str, type_name: str) -> Message:
    if _file_containing(type_name) is None:
        return _files(version, None)
    return _message(version, "ServerReflectionResponse")(
        all_extension_numbers_response=_message(version, "ExtensionNumberResponse")(base_type_name=type_name)
    )


def _file_named(name: str) -> tuple[Schema, str] | None:
    return next(((schema, name) for schema in (load(), infrastructure()) if name in schema.files), None)


def _file_containing(symbol: str) -> tuple[Schema, str] | None:
    for schema in (load(), infrastructure()):
        try:
            return schema, schema.file_containing(symbol)
        except KeyError:
            continue
    return None
