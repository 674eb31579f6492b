"""Structs of HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/), with our custom fields.

HAR cannot represent four things: the bytes of a binary request body, the trailers of gRPC, the messages of a stream,
and which parts of a form are files. Custom fields begin with `_`, and readers of HAR ignore unknown ones. A field that
is UNSET is not written. Files of other programs lack much that HAR requires, so nearly everything has a default.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from emulator.core.version import VERSION

GRPC_TYPE = "application/grpc"
RECORDER = "recorder"  # in `_by`: the response was not the service's


class Pair(msgspec.Struct):
    """A header, a query parameter, or an item of gRPC metadata."""

    name: str
    value: str = ""


_OWN = {"size": "_bytes", "digest": "_blake3", "file": "_file", "disposition": "_disposition"}


class Param(
    msgspec.Struct,
    rename={"name": "name", "value": "value", "filename": "fileName", "content_type": "contentType"} | _OWN,
):
    """One part of a form. Of a file part only the size is stored, or the content in a file beside the HAR."""

    name: str = ""
    value: str | UnsetType = UNSET
    filename: str | UnsetType = UNSET
    content_type: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    file: str | UnsetType = UNSET
    disposition: str | UnsetType = UNSET  # as sent, if it is not the usual spelling of name and filename


class PostData(msgspec.Struct, rename={"mime_type": "mimeType"} | _OWN):
    """The body of a request. `size` and `digest` are of bytes that are not stored."""

    mime_type: str = ""
    text: str = ""
    params: list[Param] | UnsetType = UNSET
    encoding: str | UnsetType = UNSET
    size: int | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    file: str | UnsetType = UNSET


class Content(msgspec.Struct, rename={"mime_type": "mimeType", "digest": "_blake3", "file": "_file"}):
    """The body of a response, decoded; `size` is its length in bytes."""

    size: int = 0
    mime_type: str = ""
    text: str | UnsetType = UNSET
    encoding: str | UnsetType = UNSET
    digest: str | UnsetType = UNSET
    file: str | UnsetType = UNSET


class Request(
    msgspec.Struct,
    rename={
        "http_version": "httpVersion",
        "query": "queryString",
        "headers_size": "headersSize",
        "body_size": "bodySize",
        "body": "postData",
    },
):
    """A request as it was sent to the service."""

    method: str
    url: str
    http_version: str = "HTTP/1.1"
    cookies: list[Any] = []
    headers: list[Pair] = []
    query: list[Pair] = []
    headers_size: int = -1
    body_size: int = -1
    body: PostData | UnsetType = UNSET


class Response(
    msgspec.Struct,
    rename={
        "status_text": "statusText",
        "http_version": "httpVersion",
        "redirect_url": "redirectURL",
        "headers_size": "headersSize",
        "body_size": "bodySize",
        "body": "content",
    },
):
    """A response of the service. A status of 0 means that there was none."""

    status: int = 0
    status_text: str = ""
    http_version: str = "HTTP/1.1"
    cookies: list[Any] = []
    headers: list[Pair] = []
    body: Content = msgspec.field(default_factory=Content)
    redirect_url: str = ""
    headers_size: int = -1
    body_size: int = -1


class Timings(msgspec.Struct):
    """Durations of the parts of an exchange, in milliseconds."""

    send: float = 0
    wait: float = 0
    receive: float = 0


class Grpc(msgspec.Struct):
    """The gRPC data of an exchange: messages by field names, bytes as `{"_bytes": length}`.

    `messages` counts those of an unknown method; `unknown` has the fields that our descriptors do not declare.
    """

    request: list[Any] = []
    response: list[Any] = []
    status: str = ""
    message: str = ""
    initial: list[Pair] = []
    trailers: list[Pair] = []
    at_ms: list[float] = []  # when each message was forwarded, in order
    unknown: list[str] = []
    messages: dict[str, int] | UnsetType = UNSET


class Entry(
    msgspec.Struct,
    rename={
        "number": "_number",
        "operation": "_operation",
        "plane": "_plane",
        "by": "_by",
        "error": "_error",
        "grpc": "_grpc",
        "page": "pageref",
        "started": "startedDateTime",
    },
):
    """One exchange."""

    request: Request
    response: Response = msgspec.field(default_factory=Response)
    started: str = ""
    time: float = 0
    timings: Timings = msgspec.field(default_factory=Timings)
    cache: dict[str, Any] = {}
    number: int | UnsetType = UNSET  # in the order of arrival; entries are written when the exchange ends
    operation: str | UnsetType | None = UNSET
    plane: str | UnsetType = UNSET
    by: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    page: str | UnsetType = UNSET
    grpc: Grpc | UnsetType = UNSET


class Page(msgspec.Struct, rename={"started": "startedDateTime", "timings": "pageTimings"}):
    """A group of exchanges: here a case of the contract kit, by its id."""

    id: str
    title: str = ""
    started: str = ""
    timings: dict[str, Any] = {}


class Creator(msgspec.Struct):
    """The program that wrote a file."""

    name: str = "xai-emulator"
    version: str = VERSION


class About(msgspec.Struct):
    """The metadata of our own files."""

    format: int = 1
    to: list[str] = []
    recorded: str = ""
    contents: str = "lengths"
    rules: list[str] = []


class Log(msgspec.Struct, rename={"about": "_xai_emulator"}):
    """A file without its entries."""

    version: str = "1.2"
    creator: Creator = msgspec.field(default_factory=Creator)
    about: About | UnsetType = UNSET
    pages: list[Page] = []


def header(pairs: Iterable[Pair], name: str) -> str | None:
    """Return the value of a header, or of an item of metadata; None where there is none."""
    return next((pair.value for pair in pairs if pair.name.lower() == name), None)
