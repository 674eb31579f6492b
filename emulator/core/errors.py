"""Every kind of refusal, and its form on the wire.

The core raises `ApiError(kind, message)`. The table `WIRE` is the only place with status codes; the transports read it
and render the dialect of the plane (`rest/responses.py`, `rpc/server.py`).
"""

from __future__ import annotations

import codecs
import enum
import errno
from typing import Literal

import msgspec

GrpcCode = Literal[
    "INVALID_ARGUMENT",
    "UNAUTHENTICATED",
    "PERMISSION_DENIED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "ABORTED",
    "FAILED_PRECONDITION",
    "OUT_OF_RANGE",
    "RESOURCE_EXHAUSTED",
    "UNIMPLEMENTED",
    "DEADLINE_EXCEEDED",
    "UNAVAILABLE",
    "INTERNAL",
]


class Kind(enum.Enum):
    """Why a call is refused; the value is the sentence that explains the kind."""

    INVALID_ARGUMENT = "A value of the request breaks a documented rule."
    INCORRECT_KEY = "The key is not valid for this plane."
    NO_CREDENTIALS = "The request carries no key."
    PERMISSION_DENIED = "The key is valid, but not allowed to do this."
    NOT_FOUND = "The object does not exist, or no longer does."
    METHOD_NOT_ALLOWED = "The path exists, but not with this method."
    ABORTED = "Another call changed the same object at the same time."
    FAILED_PRECONDITION = "The object is not in a state that allows this."
    PAYLOAD_TOO_LARGE = "The body is larger than the limit."
    UNSUPPORTED_MEDIA_TYPE = "The body is not of the content type this path reads."
    MALFORMED_BODY = "The body is not well-formed."
    MISSHAPEN_BODY = "The body is well-formed, but a field is missing or has the wrong type."
    RANGE_NOT_SATISFIABLE = "The byte range lies outside the content."
    WITHDRAWN = "The real service had this once, and refuses it now."
    RESOURCE_EXHAUSTED = "A quota, a rate or a size is used up."
    NOT_EMULATED = "The real service has this, the emulator does not."
    DEADLINE_EXCEEDED = "The service took too long to answer."
    UNAVAILABLE = "The service cannot answer now; trying again may help."
    INTERNAL = "The emulator failed; this is a defect."


class Wire(msgspec.Struct, frozen=True):
    """One refusal on the wire: inference status and code, management status and code, gRPC code."""

    http: int
    code: str  # inference plane, kebab case
    number: int  # management plane, google.rpc.Code
    grpc: GrpcCode
    management_http: int | None = None  # if it differs
    plain: bool = False  # the inference plane sends text/plain, as its JSON extractor does


WIRE: dict[Kind, Wire] = {
    Kind.INVALID_ARGUMENT: Wire(400, "invalid-argument", 3, "INVALID_ARGUMENT"),
    # A wrong key is a 400 on the inference plane (xAI debugging guide) and a 401 on the management plane.
    Kind.INCORRECT_KEY: Wire(400, "invalid-argument", 16, "UNAUTHENTICATED", management_http=401),
    Kind.NO_CREDENTIALS: Wire(401, "unauthenticated:no-credentials", 16, "UNAUTHENTICATED"),
    Kind.PERMISSION_DENIED: Wire(403, "permission-denied", 7, "PERMISSION_DENIED"),
    Kind.NOT_FOUND: Wire(404, "not-found", 5, "NOT_FOUND"),
    Kind.METHOD_NOT_ALLOWED: Wire(405, "method-not-allowed", 12, "UNIMPLEMENTED", plain=True),
    Kind.ABORTED: Wire(409, "aborted", 10, "ABORTED"),
    Kind.FAILED_PRECONDITION: Wire(412, "failed-precondition", 9, "FAILED_PRECONDITION", management_http=400),
    Kind.PAYLOAD_TOO_LARGE: Wire(413, "invalid-argument", 3, "RESOURCE_EXHAUSTED"),
    Kind.UNSUPPORTED_MEDIA_TYPE: Wire(415, "invalid-argument", 3, "INVALID_ARGUMENT", plain=True),
    Kind.MALFORMED_BODY: Wire(400, "invalid-argument", 3, "INVALID_ARGUMENT", plain=True),
    Kind.MISSHAPEN_BODY: Wire(422, "invalid-argument", 3, "INVALID_ARGUMENT", management_http=400, plain=True),
    Kind.RANGE_NOT_SATISFIABLE: Wire(416, "out-of-range", 11, "OUT_OF_RANGE"),
    # The status was recorded in 2026-05, its code over gRPC was not.
    Kind.WITHDRAWN: Wire(410, "invalid-argument", 9, "FAILED_PRECONDITION"),
    Kind.RESOURCE_EXHAUSTED: Wire(429, "resource-exhausted", 8, "RESOURCE_EXHAUSTED"),
    Kind.NOT_EMULATED: Wire(501, "unimplemented", 12, "UNIMPLEMENTED"),
    Kind.DEADLINE_EXCEEDED: Wire(504, "deadline-exceeded", 4, "DEADLINE_EXCEEDED"),
    Kind.UNAVAILABLE: Wire(503, "unavailable", 14, "UNAVAILABLE"),
    Kind.INTERNAL: Wire(500, "internal", 13, "INTERNAL"),
}


_LABEL_CHARS_MAX = 200  # a param may be a key of the client's own choice


class ApiError(Exception):
    """A refusal with the message of the API.

    `rule` is the limit or rule that refused, `param` the request field; `retry_after` is in seconds. `hint` adds advice
    if the message has to be the recorded one. `status` and `code` replace those of the kind, for planned faults.
    `as_json` sends a refusal as JSON, without a code, that is plain text elsewhere. `subject` is the id of what was not
    found, for the sentences of gRPC that name it.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        rule: str | None = None,
        param: str | None = None,
        retry_after: int | None = None,
        status: int | None = None,
        code: str | None = None,
        hint: str | None = None,
        as_json: bool = False,
        subject: str | None = None,
    ) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.rule = rule
        self.param = param
        self.retry_after = retry_after
        self.status = status
        self.code = code
        self.hint = hint
        self.as_json = as_json
        self.subject = subject

    @property
    def labels(self) -> list[tuple[str, str]]:
        """Details that accompany the refusal: in headers over REST, in trailing metadata over gRPC."""
        labels = {
            "x-emulator-rule": self.rule,
            "x-emulator-param": self.param,
            "x-emulator-hint": self.hint,
            "retry-after": self.retry_after,
        }
        return [(name, printable(str(value)[:_LABEL_CHARS_MAX])) for name, value in labels.items() if value is not None]


# Python imports a codec at its first use, which would fail in a refusal that is sent because no file can be opened.
_escape = codecs.lookup("unicode_escape").encode


def printable(text: str) -> str:
    """Return a text, which may quote the client, in a form that is valid in a header."""
    return _escape(text)[0].decode()


def invalid(message: str, *, rule: str | None = None, param: str | None = None) -> ApiError:
    """Return the refusal of a value that violates a documented rule."""
    return ApiError(Kind.INVALID_ARGUMENT, message, rule=rule, param=param)


def not_found(what: str, id: str | None = None) -> ApiError:
    """Return the refusal for an object that is missing, deleted, expired or of another team: all look the same."""
    return ApiError(Kind.NOT_FOUND, f"{what} not found", rule="not_found", subject=id)


# The errors of a disk that is full, over its quota, read-only or broken, and of a process at its limit of open files
# and connections.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DESCRIPTORS = frozenset({errno.EMFILE, errno.ENFILE})
_GONE = frozenset({errno.ENOENT, errno.ENOTDIR})  # a directory was removed
_DISK_ERRORS = _FULL | _DESCRIPTORS | _GONE | {errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EBUSY}


def is_of_disk(error: OSError) -> bool:
    """Return whether an error is about the disk or the number of open files, and so is no defect."""
    return error.errno in _DISK_ERRORS


def disk_unusable(error: OSError) -> ApiError:
    """Return the refusal for data that cannot be written, or not read any more."""
    if error.errno in _DESCRIPTORS:
        sentence = "The emulator has as many files and connections open as it may."
        return ApiError(Kind.UNAVAILABLE, sentence, rule="descriptors")
    if error.errno in _FULL:
        return ApiError(Kind.UNAVAILABLE, "The emulator's disk is full.", rule="disk")
    if error.errno == errno.EBUSY:
        return ApiError(Kind.UNAVAILABLE, "Another program has locked the emulator's database.", rule="disk")
    return ApiError(Kind.UNAVAILABLE, f"The emulator's disk cannot be used: {error.strerror}.", rule="disk")


class CallerGone(Exception):
    """The client disconnected before its request was read; there is no response."""


class Dropped(CallerGone):
    """A planned fault dropped the connection."""
