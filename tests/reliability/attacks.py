"""Requests for every operation over both transports, built from their tables, as an attacker could send them."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from string import Formatter
from typing import Any

import grpc
import httpx

from emulator.operations import OPERATIONS
from emulator.rest.route import Route
from emulator.rest.routes import ROUTES
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.rpc.requests import Method
from tests.rest.batch_helpers import request
from tests.rpc.client import Rpc, data, init, message, trailers

Ids = Mapping[str, str]
Json = dict[str, Any]

MODEL = "grok-4.3"
_ASKED = {"model": MODEL, "input": "x"}
# What a request needs beside the ids in its path, by operation.
BODIES: dict[str, Callable[[Ids], Json]] = {
    "files.upload": lambda ids: {"files": {"file": ("a.txt", b"text")}},
    "files.update": lambda ids: {"json": {"filename": "changed.txt"}},
    "files.initialize": lambda ids: {"json": {"name": "a.txt", "content_type": "text/plain"}},
    "files.upload_chunks": lambda ids: {
        "json": {"file_id": ids["file_id"], "chunk": base64.b64encode(b"more").decode()}
    },
    "files.batch_upload": lambda ids: {"json": {"files": [{"name": "a.txt", "content_type": "text/plain"}]}},
    "files.create_public_url": lambda ids: {"json": {}},
    "collections.create": lambda ids: {"json": {"collection_name": "c"}},
    "collections.update": lambda ids: {"json": {"collection_name": "changed"}},
    "documents.upload": lambda ids: {"data": {"name": "a.txt"}, "files": {"data": ("a.txt", b"text")}},
    "documents.add": lambda ids: {"json": {}},
    "documents.batch_get": lambda ids: {"params": {"file_ids": ids["file_id"]}},
    "documents.search": lambda ids: {"json": {"query": "word", "source": {"collection_ids": [ids["collection_id"]]}}},
    "batches.create": lambda ids: {"json": {"name": "b", "input_file_id": ids["file_id"]}},
    "keys.create": lambda ids: {"json": {"name": "made"}},
    "keys.update": lambda ids: {"json": {"apiKey": {"disabled": True}, "fieldMask": "disabled"}},
    "keys.rotate": lambda ids: {"json": {}},
    "batches.add_requests": lambda ids: {"json": {"batch_requests": [request("added")]}},
    "responses.create": lambda ids: {"json": {**_ASKED, "previous_response_id": ids["response_id"]}},
    "responses.compact": lambda ids: {"json": _ASKED},
}
DOWNLOAD = "/v1/files:download"  # of the two ways to read content the one that names the file in its body

# The same for messages.
MESSAGES: dict[str, Callable[[Ids], Json]] = {
    "CreateCollection": lambda ids: {"collection_name": "c"},
    "UpdateCollection": lambda ids: {"collection_name": "changed"},
    "UpdateDocument": lambda ids: {"name": "changed.txt"},
    "CreateBatch": lambda ids: {"name": "b"},
    "GetCompletion": lambda ids: {"model": MODEL, "messages": [_said()], "previous_response_id": ids["response_id"]},
    "CompactContext": lambda ids: {"model": MODEL, "input": [_said()]},
    "Search": lambda ids: {
        "query": "word",
        "source": message("xai_api.DocumentsSource", collection_ids=[ids["collection_id"]]),
    },
}
# Fields of messages by the id they hold.
FIELDS = {"input_file_id": "file_id", "file_ids": "file_id"} | {
    name: name for name in ("file_id", "collection_id", "batch_id", "batch_request_id", "response_id")
}


def _said() -> Any:
    """A message of a user."""
    return message("xai_api.Message", role=1, content=[message("xai_api.Content", text="x")])


@dataclass(frozen=True)
class Attempt:
    """One way to call an operation."""

    transport: str
    operation: str
    where: Route | Method

    def __str__(self) -> str:
        where = self.where
        shown = f"{where.method} {where.path}" if isinstance(where, Route) else f"{where.service}/{where.name}"
        return f"{self.operation} by {shown}"

    @property
    def is_management(self) -> bool:
        """Whether the operation takes the management key."""
        return OPERATIONS[self.operation].plane.name == "MANAGEMENT"

    def names(self) -> list[str]:
        """The ids that a request of this kind names."""
        seen = _Recording()
        self._request(seen)
        return sorted(seen.asked)

    def _request(self, ids: Ids) -> Any:
        return rest_request(self.where, ids) if isinstance(self.where, Route) else rpc_request(self.where, ids)

    def __call__(self, http: httpx.Client, rpc: Rpc, ids: Ids) -> tuple[Any, str]:
        """Send it; how it ended, and everything that was said."""
        if isinstance(self.where, Route):
            reply = http.request(self.where.method, **rest_request(self.where, ids))
            return (reply.status_code, reply.headers.get("x-emulator-rule")), reply.text
        try:
            answer = rpc.call(f"{self.where.service}/{self.where.name}", rpc_request(self.where, ids))
        except grpc.RpcError as error:
            return (error.code().name, trailers(error).get("x-emulator-rule")), error.details()
        return ("OK", None), str(answer)


class _Recording(dict[str, str]):
    """Ids that remember which of them were asked for."""

    def __init__(self) -> None:
        self.asked: set[str] = set()

    def __missing__(self, name: str) -> str:
        self.asked.add(name)
        return "x"


def rest_request(route: Route, ids: Ids) -> Json:
    """The target and body of a REST request, as keywords of httpx."""
    target = {"url": route.path.format(**{name: ids[name] for _, name, _, _ in Formatter().parse(route.path) if name})}
    if route.path == DOWNLOAD:
        return {**target, "json": {"file_id": ids["file_id"]}}
    return {**target, **BODIES.get(route.operation, lambda _: {})(ids)}


def rpc_request(method: Method, ids: Ids) -> Any:
    """The message of a call, or its messages."""
    described = load().service(method.service).methods_by_name[method.name]
    if described.client_streaming:
        return [init(), data(b"text")]
    fields: Json = {}
    for field in described.input_type.fields:
        if field.name in FIELDS:
            value = ids[FIELDS[field.name]]
            fields[field.name] = [value] if field.name == "file_ids" else value
        elif field.name == "team_id" and "team_id" in ids:
            fields["team_id"] = ids["team_id"]
    return load().message(described.input_type.full_name)(**fields, **MESSAGES.get(method.name, lambda _: {})(ids))


# Every operation over every transport that has it.
ATTEMPTS = (
    *(Attempt("rest", route.operation, route) for route in ROUTES),
    *(Attempt("grpc", method.operation, method) for method in METHODS),
)
