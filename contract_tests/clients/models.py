"""What clients see of the API, in one form for all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class File:
    """A file; times are whole Unix seconds."""

    id: str
    name: str
    size: int
    created_at: int
    expires_at: int | None = None


@dataclass(frozen=True)
class PublicUrl:
    """A public URL; no expiry means that it stays."""

    url: str
    expires_at: int | None = None


@dataclass(frozen=True)
class Collection:
    """A collection."""

    id: str
    name: str
    documents: int
    description: str | None = None
    fields: tuple[str, ...] = ()  # the keys of its field definitions


@dataclass(frozen=True)
class Document:
    """A file in a collection. `status` is the name of the API's enum without its prefix, such as PROCESSED."""

    file_id: str
    name: str
    size: int
    status: str
    fields: dict[str, str] = field(default_factory=dict)
    hash: str = ""


@dataclass(frozen=True)
class SearchMatch:
    """One match of a search."""

    file_id: str
    chunk_id: str
    content: str
    score: float
    collection_ids: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """A batch and its counters."""

    id: str
    name: str
    requests: int
    pending: int
    succeeded: int
    failed: int
    cancelled: int
    cancel_message: str | None = None
    was_cancelled: bool = False


@dataclass(frozen=True)
class BatchRow:
    """One request of a batch; `state` is the API's word in lower case."""

    id: str
    state: str


@dataclass(frozen=True)
class BatchResult:
    """The result of one request: the text of its answer, or why it failed."""

    id: str
    text: str | None
    error: str | None = None


@dataclass(frozen=True)
class Page(Generic[T]):
    """A page, and the token of the next one."""

    items: list[T]
    token: str | None


class ApiError(Exception):
    """The server refused a call; `kind` is one word for both transports (see KINDS_BY_STATUS and KINDS_BY_CODE)."""

    def __init__(self, kind: str, status: Any, message: str) -> None:
        super().__init__(f"{kind} ({status}): {message}")
        self.kind = kind
        self.status = status
        self.message = message


class Unsupported(Exception):
    """A client, or this version of it, has no way to make a call."""


KINDS_BY_STATUS = {
    400: "invalid",
    401: "unauthenticated",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    412: "precondition",
    413: "too_large",
    415: "invalid",
    422: "invalid",
    429: "exhausted",
    500: "internal",
    501: "unimplemented",
    503: "unavailable",
    504: "deadline",
}
KINDS_BY_CODE = {
    "INVALID_ARGUMENT": "invalid",
    "UNAUTHENTICATED": "unauthenticated",
    "PERMISSION_DENIED": "forbidden",
    "NOT_FOUND": "not_found",
    "ALREADY_EXISTS": "conflict",
    "ABORTED": "conflict",
    "FAILED_PRECONDITION": "precondition",
    "RESOURCE_EXHAUSTED": "exhausted",
    "INTERNAL": "internal",
    "UNIMPLEMENTED": "unimplemented",
    "UNAVAILABLE": "unavailable",
    "DEADLINE_EXCEEDED": "deadline",
}


def api_error_from_http(status: int, message: str) -> ApiError:
    """A refusal that arrived with an HTTP status."""
    return ApiError(KINDS_BY_STATUS.get(status, "unknown"), status, message)


def api_error_from_grpc(code: str, message: str) -> ApiError:
    """A refusal that arrived with a gRPC code."""
    return ApiError(KINDS_BY_CODE.get(code, "unknown"), code, message)


def refusal_kind(call: Callable[[], object]) -> str:
    """The kind of the refusal of a call; empty if it is answered."""
    try:
        call()
    except ApiError as error:
        return error.kind
    return ""
