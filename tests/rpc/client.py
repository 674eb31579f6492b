"""A gRPC client made of our own descriptors: what a generated one would send, and what it never would."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import grpc

from emulator.rpc.messages import load
from tests.serving import PATIENCE_SECONDS

Message = Any


def message(name: str, /, **fields: Any) -> Message:
    """A message of the contract."""
    return load().message(name)(**fields)


def init(name: str = "a.txt", /, **fields: Any) -> Message:
    """The first message of an upload."""
    return message("xai_api.UploadFileChunk", init=message("xai_api.UploadFileInit", name=name, **fields))


def data(content: bytes) -> Message:
    """A later message of an upload."""
    return message("xai_api.UploadFileChunk", data=content)


def _described(name: str) -> Any:
    service, _, method = name.partition("/")
    return load().service(service).methods_by_name[method]


class Rpc:
    """A channel of its own, and every method of the contract on it."""

    def __init__(self, target: str, key: str | None, *options: tuple[str, Any]) -> None:
        unlimited = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self.channel = grpc.insecure_channel(target, [*unlimited, ("grpc.use_local_subchannel_pool", 1), *options])
        metadata = [] if key is None else [("authorization", f"Bearer {key}")]
        self._options = {"metadata": metadata, "timeout": PATIENCE_SECONDS}

    def __enter__(self) -> Rpc:
        return self

    def __exit__(self, *error: object) -> None:
        self.channel.close()

    def start(self, name: str, request: Message | Iterable[Message]) -> Any:
        """Begin a call of `Service/Method`, streaming as its descriptor declares; bytes are sent unchanged."""
        described = _described(name)
        kinds = {(False, False): "unary_unary", (True, False): "stream_unary", (False, True): "unary_stream"}
        callable = getattr(self.channel, kinds[described.client_streaming, described.server_streaming])(
            f"/{name}",
            request_serializer=lambda sent: sent if isinstance(sent, bytes) else sent.SerializeToString(),
            response_deserializer=load().message(described.output_type.full_name).FromString,
        )
        begin = callable if described.server_streaming else callable.future
        return begin(iter(request) if described.client_streaming else request, **self._options)

    def call(self, name: str, request: Message | Iterable[Message]) -> Message:
        """The answer of a call; of a stream, all of its messages."""
        call = self.start(name, request)
        return list(call) if _described(name).server_streaming else call.result()

    def refusal(self, name: str, request: Message | Iterable[Message]) -> grpc.RpcError:
        """How a call is refused."""
        try:
            answer = self.call(name, request)
        except grpc.RpcError as error:
            return error
        raise AssertionError(f"{name} answered {answer}")


def trailers(call: Any) -> dict[str, str]:
    """The trailing metadata of a call that has ended."""
    return {item.key: item.value for item in call.trailing_metadata()}
