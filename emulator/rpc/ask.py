"""Call any method of a gRPC server, with messages as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import grpc
import msgspec

from emulator.rpc.forward import open_channel
from emulator.rpc.plain import from_plain, message_types, to_plain

TIMEOUT_SECONDS = 120


class RpcAnswer(msgspec.Struct):
    """The response to a call."""

    code: str
    message: str
    responses: list[dict[str, Any]]
    metadata: dict[str, str]
    unknown: list[str] = []  # undeclared fields of the responses


class RpcAsker:
    """A client of one server."""

    def __init__(self, target: str) -> None:
        self._channel = open_channel(target, None)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def ask(self, method: str, requests: Sequence[Any], metadata: Sequence[tuple[str, str]]) -> RpcAnswer:
        """Call `/service/Method`. Raises ValueError if the values are not messages of that method."""
        types = message_types(method)
        if types is None:
            raise ValueError(f"{method} is not known")
        raws = [from_plain(types[0], request) for request in requests]
        call = self._channel.stream_stream(method)(iter(raws), metadata=tuple(metadata), timeout=TIMEOUT_SECONDS)
        responses = []
        try:
            for raw in call:
                responses.append(to_plain(types[1], raw)[0])
        except grpc.RpcError:
            pass  # the status has the error
        trailers = {name: str(value) for name, value in call.trailing_metadata() or ()}
        return RpcAnswer(call.code().name, call.details() or "", responses, trailers)
