"""The operation of an exchange, the host that serves it, and the bodies that may be stored."""

from __future__ import annotations

from functools import cache
from typing import Any
from urllib.parse import urlsplit

from msgspec import UNSET

from emulator.core.errors import ApiError
from emulator.domain.keys import Plane
from emulator.http.routing import RouteTree
from emulator.operations import OPERATIONS
from emulator.recordings.entries import Content, Entry, Grpc, PostData
from emulator.rest.routes import ROUTES, plane_of

# The families of operations with known bodies, which can be sanitized. Any other call is forwarded, but only its
# lengths are recorded.
FAMILIES = ("files.", "collections.", "documents.", "batches.", "auth.")
_FILE_CONTENTS = frozenset({"files.content", "files.public_content", "batches.media"})
_MANAGEMENT_SERVICES = ("collections.", "management_api.", "xai_management_api.")


@cache
def _tree() -> RouteTree[str]:
    tree: RouteTree[str] = RouteTree()
    for route in ROUTES:
        tree.add(route.method, route.path, route.operation)
    return tree


def rest_operation(method: str, target: str) -> str | None:
    """Return the operation of a request, by its method and its raw path with or without a query."""
    try:
        match = _tree().find(urlsplit(target).path, method)
    except (ApiError, ValueError):
        return None
    return None if match is None else match.row


def rest_plane(target: str) -> Plane:
    """Return the plane that serves a raw path."""
    plane = plane_of(target.partition("?")[0])
    return Plane.MANAGEMENT if plane is Plane.MANAGEMENT else Plane.INFERENCE


def grpc_operation(method: str) -> str | None:
    """Return the operation of a gRPC method, given as `/service/Method`."""
    return _methods().get(method)


@cache
def _methods() -> dict[str, str]:
    from emulator.rpc.methods import METHODS  # with grpc, which takes a while to load

    return {f"/{method.service}/{method.name}": method.operation for method in METHODS}


def grpc_plane(method: str) -> Plane:
    """Return the plane that serves a gRPC method."""
    operation = grpc_operation(method)
    if operation is not None:
        return OPERATIONS[operation].plane
    return Plane.MANAGEMENT if method.removeprefix("/").startswith(_MANAGEMENT_SERVICES) else Plane.INFERENCE


def keeps_request(operation: str | None) -> bool:
    """Return whether the body of a request may be stored, if it is a text."""
    return operation is not None and operation.startswith(FAMILIES)


def keeps_response(operation: str | None, status: int, content_type: str) -> bool:
    """Return whether the body of a response may be stored: that of a download is the content of a file."""
    if operation in _FILE_CONTENTS and status < 300:
        return False
    is_text = content_type == "" or "json" in content_type or content_type.startswith("text/")
    return keeps_request(operation) and is_text


def complete(entry: Entry) -> None:
    """Set the operation and the plane by the URL, because the values in a file may be wrong."""
    target = urlsplit(entry.request.url).path
    if isinstance(entry.grpc, Grpc):
        entry.operation = grpc_operation(target)
        entry.plane = grpc_plane(target).value
    else:
        entry.operation = rest_operation(entry.request.method, target)
        entry.plane = rest_plane(target).value


def without_unknown(entry: Entry) -> None:
    """Remove the bodies of an exchange with an unknown operation, because they cannot be sanitized."""
    if keeps_request(entry.operation or None):
        return
    body, response = entry.request.body, entry.response.body
    if isinstance(body, PostData):
        entry.request.body = PostData(body.mime_type, size=_length(body), digest=body.digest)
    entry.response.body = Content(response.size, response.mime_type, digest=response.digest)
    if isinstance(entry.grpc, Grpc) and entry.grpc.messages is UNSET:
        entry.grpc.messages = {"request": len(entry.grpc.request), "response": len(entry.grpc.response)}
        entry.grpc.request, entry.grpc.response = [], []


def _length(body: PostData) -> int:
    if isinstance(body.size, int):
        return body.size
    params = [] if body.params is UNSET else body.params
    return len(body.text.encode()) + sum(len(param.value.encode()) for param in params if isinstance(param.value, str))


def without_contents(entry: Entry) -> None:
    """Remove the contents of files from an exchange of another program; their lengths stay."""
    body, response = entry.request.body, entry.response
    if isinstance(body, PostData):
        for param in [] if body.params is UNSET else body.params:
            param.file = UNSET
            if isinstance(param.filename, str) and isinstance(param.value, str):
                param.size, param.value = len(param.value.encode()), UNSET
        if body.mime_type.lower().startswith("multipart/") and body.text:  # with the bytes of the files in it
            body.size, body.text = len(body.text.encode()), ""
        body.file = UNSET
    response.body.file = UNSET
    content_type = response.body.mime_type
    kept = not response.body.encoding and keeps_response(entry.operation or None, response.status, content_type)
    if isinstance(response.body.text, str) and not kept:
        response.body.size = response.body.size or len(response.body.text)
        response.body.text, response.body.encoding = UNSET, UNSET
    if isinstance(entry.grpc, Grpc):
        entry.grpc.request = _without_bytes(entry.grpc.request)
        entry.grpc.response = _without_bytes(entry.grpc.response)


def _without_bytes(value: Any) -> Any:
    match value:
        case {"_bytes": size, "_base64": str()}:
            return {"_bytes": size}
        case dict():
            return {name: _without_bytes(item) for name, item in value.items()}
        case list():
            return [_without_bytes(item) for item in value]
        case _:
            return value
