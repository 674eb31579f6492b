"""Convert journal entries of a team to a recording.

The journal has no keys and no contents of files, and truncates long bodies, which are excluded here. The name, size and
expiry of an upload come from its response.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from msgspec import UNSET

from emulator.core import clock
from emulator.operations import OPERATIONS
from emulator.pipeline.journal.journal import Body
from emulator.pipeline.journal.journal import Entry as Call
from emulator.pipeline.journal.views import CallShown
from emulator.pipeline.redact import redact, redact_raw
from emulator.recordings.entries import (
    GRPC_TYPE,
    About,
    Content,
    Entry,
    Grpc,
    Log,
    Pair,
    Param,
    PostData,
    Request,
    Response,
    Timings,
)
from emulator.recordings.planes import rest_plane

MEDIA_TYPE_MULTIPART = "multipart/form-data"
NO_KEY, REFUSED_KEY = "NO_CREDENTIALS", "INCORRECT_KEY"  # outcomes


class _File(Log):
    entries: list[Entry] = msgspec.field(default_factory=list)


class _Har(msgspec.Struct):
    log: _File


def har_of(calls: Iterable[tuple[Call, CallShown]], origin: str) -> bytes:
    """Return calls as a HAR file; `origin` is the URL of the emulator."""
    about = About(to=[origin], recorded=clock.date(clock.wall()))
    return msgspec.json.encode(_Har(_File(about=about, entries=entries_of(calls, origin))))


def entries_of(calls: Iterable[tuple[Call, CallShown]], origin: str) -> list[Entry]:
    """Return calls as exchanges, in their order."""
    return [_entry(call, shown, origin) for call, shown in calls]


def _entry(call: Call, shown: CallShown, origin: str) -> Entry:
    over_grpc = shown.transport == "grpc"
    plane = OPERATIONS[shown.operation].plane if shown.operation in OPERATIONS else rest_plane(shown.target)
    headers = [Pair(name, value) for name, value in shown.headers.items()]
    if shown.outcome != NO_KEY:
        label = "other" if shown.outcome == REFUSED_KEY else plane.value
        headers.insert(0, Pair("authorization", f"Bearer [{label} key]"))
    request = Request(shown.method, origin + shown.target, headers=headers)
    response = Response(headers=[Pair(name, value) for name, value in shown.response_headers.items()])
    found = Entry(request, response, shown.at, shown.ms, Timings(wait=shown.ms), number=shown.number)
    found.operation, found.plane = shown.operation, plane.value
    if over_grpc:
        request.http_version = response.http_version = "HTTP/2"
        response.status = 200
        request.body, response.body = PostData(GRPC_TYPE), Content(mime_type=GRPC_TYPE)
        found.grpc = _grpc(call, shown)
    else:
        response.status = shown.status if isinstance(shown.status, int) else 0
        request.body = _post_data(call, shown, shown.headers.get("content-type", ""))
        response.body = _content(call, shown.response_headers.get("content-type", ""))
    return found


# --- REST


def _post_data(call: Call, shown: CallShown, content_type: str) -> PostData | msgspec.UnsetType:
    body = call.request
    if body is None:
        return UNSET
    if (text := _text(body)) is not None:
        return PostData(content_type, text)
    size = 0 if body.size is None else body.size
    answer = None if shown.response is None else shown.response.json
    if content_type.startswith(MEDIA_TYPE_MULTIPART) and isinstance(answer, dict) and shown.operation == "files.upload":
        return PostData(content_type, params=list(_upload(answer)), size=size)
    return PostData(content_type, size=size)


def _upload(file: dict[str, Any]) -> Iterable[Param]:
    """Return the parts of a form that would create this file; name and size of a refused one are unknown."""
    if file.get("expires_at") is not None:
        yield Param("expires_after", str(file["expires_at"] - file["created_at"]))
    yield Param("file", filename=file.get("filename", "file"), size=file.get("bytes", 0))


def _content(call: Call, content_type: str) -> Content:
    body = call.response
    if body is None:
        return Content(0, content_type, "")
    size = 0 if body.size is None else body.size
    text = _text(body)
    return Content(size, content_type) if text is None else Content(size, content_type, text)


def _text(body: Any) -> str | None:
    """Return a body as text; None if it was not stored, is truncated, or is no text."""
    if not isinstance(body, Body) or body.truncated:
        return None
    try:
        return redact_raw(body.kept.decode())
    except UnicodeDecodeError:
        return None


# --- gRPC


def _grpc(call: Call, shown: CallShown) -> Grpc:
    from emulator.rpc.plain import message_types

    found = Grpc(status=str(shown.status or ""), message=shown.response_headers.get("grpc-message", ""))
    types = message_types(shown.target)
    if types is None:
        found.messages = {"request": 1, "response": 1}
        return found
    found.trailers = [Pair(name, value) for name, value in shown.response_headers.items() if name != "grpc-message"]
    request, response = _messages(call.request, types[0]), _messages(call.response, types[1])
    answer = response[0] if response else {}
    if request is None and shown.target.endswith("Files/UploadFile") and answer:
        request = [{"init": {"name": answer.get("filename", "")}}, {"data": {"_bytes": answer.get("size", 0)}}]
    if request is None or response is None:
        found.messages = {"request": 1, "response": 1}
    found.request, found.response = request or [], response or []
    return found


def _messages(body: Any, message_type: Any) -> list[Any] | None:
    """Return the single message of a body; None if it was not stored, or is truncated."""
    from emulator.rpc.plain import to_plain

    if body is None:
        return []
    if not isinstance(body, Body) or body.truncated:
        return None
    try:
        return [redact(to_plain(message_type, body.kept)[0])]
    except ValueError:
        return None
