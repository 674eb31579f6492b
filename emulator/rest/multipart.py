"""Parse multipart/form-data as a stream: parts in wire order, each validated before the next one is read.

python-multipart's parser finds the boundaries. Content-Disposition is parsed here, because the filename is validated
before any unescaping, and RFC 5987 `filename*` must not be lost.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from emulator.core.errors import ApiError, Kind, invalid
from emulator.core.limits import Limits

_HEADER_BYTES_MAX = 16 * 1024  # of all headers of one part
# Quoted values keep their backslashes: the filename rules decide whether they are allowed.
# Compiled at the first upload, and cached by `re`.
_PARAMETER = rb'(?s);\s*([!#$%&\'*+.^_`|~0-9A-Za-z-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*+)"|([^\s;"]*))\s*'
_BOUNDARY = r'(?i)multipart/form-data\s*;(?:.*;)?\s*boundary=(?:"([^"]{1,200})"|([^\s;",]{1,200}))\s*(?:;.*)?'
_SILENT = logging.Logger("emulator.rest.multipart", logging.CRITICAL)


class Part(msgspec.Struct, frozen=True):
    """The headers of one part. `filename` of None means a plain field."""

    name: str
    filename: str | None
    content_type: str | None


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a Content-Type header. Raises the refusal of a body that is no form."""
    found = re.fullmatch(_BOUNDARY, content_type)
    if found is None:
        raise invalid("Invalid `boundary` for `multipart/form-data` request", rule="content_type")
    return (found[1] or found[2]).encode("latin-1", "replace")


class Form:
    """A form that is read as a stream: `next_part`, then `data` or `text` of that part, until there is no other."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes, limits: Limits) -> None:
        from python_multipart.multipart import MultipartParser

        self._stream = stream
        self._limits = limits
        self._events: deque[Part | memoryview | None] = deque()  # headers, data, and None for the end of a part
        self._head: dict[str, bytes] = {}
        self._field = self._value = b""
        self._head_bytes = 0
        self._parts = 0
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._on_part_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": lambda data, start, end: self._events.append(memoryview(data)[start:end]),
                "on_part_end": lambda: self._events.append(None),
            },
        )
        self._parser.logger = _SILENT  # the parser's own logger writes bytes of the body to stderr

    async def next_part(self) -> Part | None:
        """Return the headers of the next part, skipping the rest of the current one; None at the end of the form."""
        while True:
            event = await self._next_event()
            if isinstance(event, Part):
                return event
            if event is None and not self._events and self._ended:
                return None

    async def data(self) -> AsyncIterator[memoryview]:
        """Yield the bytes of the current part."""
        while isinstance(event := await self._next_event(), memoryview):
            yield event

    async def text(self, name: str) -> str:
        """Return the current part as the text of a plain field."""
        most, value = self._limits.multipart_field_bytes_max, bytearray()
        async for piece in self.data():
            value += piece
            if most is not None and len(value) > most:
                raise invalid(f"{name}: the field is longer than {most} bytes.", rule="multipart_field_bytes_max")
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise invalid(f"{name}: the field is not UTF-8.", rule="multipart", param=name) from None

    _ended = False

    async def _next_event(self) -> Part | memoryview | None:
        from python_multipart.exceptions import MultipartParseError

        while not self._events:
            if self._ended:
                return None
            piece = await anext(self._stream, None)
            try:
                if piece is None:
                    self._finish()
                else:
                    self._parser.write(piece)
            except MultipartParseError as error:
                raise _malformed(str(error)) from None
        return self._events.popleft()

    def _finish(self) -> None:
        """Finish the body. The parser does not report a truncated one, so its state is checked."""
        from python_multipart.multipart import MultipartState

        if self._parser.state != MultipartState.END:
            raise _malformed("the body ends before the closing boundary")
        self._ended = True

    # --- the parser's callbacks; a field or value may come in several pieces

    def _on_part_begin(self) -> None:
        self._parts += 1
        self._head, self._field, self._value, self._head_bytes = {}, b"", b"", 0
        most = self._limits.multipart_parts_max
        if most is not None and self._parts > most:
            raise invalid(f"The form has more than {most} parts.", rule="multipart_parts_max")

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._field += self._bounded(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += self._bounded(data[start:end])

    def _bounded(self, piece: bytes) -> bytes:
        self._head_bytes += len(piece)
        if self._head_bytes > _HEADER_BYTES_MAX:
            raise invalid(f"The headers of a part are longer than {_HEADER_BYTES_MAX} bytes.", rule="multipart")
        return piece

    def _on_header_end(self) -> None:
        self._head[self._field.decode("latin-1").lower()] = self._value
        self._field = self._value = b""

    def _on_headers_finished(self) -> None:
        self._events.append(_part(self._head))


def _part(head: dict[str, bytes]) -> Part:
    parameters = _parameters(head.get("content-disposition", b""))
    if "name" not in parameters:
        raise _malformed("a part has no name")
    content_type = head.get("content-type")
    return Part(
        _utf8(re.sub(rb"\\(.)", rb"\1", parameters["name"]), "name"),
        _filename(parameters),
        None if content_type is None else content_type.decode("latin-1").strip(),
    )


def _parameters(disposition: bytes) -> dict[str, bytes]:
    """Return the raw parameters of `form-data; name="…"; filename="…"`. Raises for any other disposition."""
    kind, _, _ = disposition.partition(b";")
    if kind.strip().lower() != b"form-data":
        raise _malformed("a part has no Content-Disposition: form-data")
    rest, found = disposition[len(kind) :].rstrip().rstrip(b";"), {}
    while rest:
        match = re.match(_PARAMETER, rest)
        if match is None:
            raise _malformed("a Content-Disposition cannot be read")
        name = match[1].decode("latin-1").lower()
        if name in found:
            raise _malformed(f"a Content-Disposition names {name} twice")
        found[name] = match[3] if match[2] is None else match[2]
        rest = rest[match.end() :]
    return found


def _filename(parameters: dict[str, bytes]) -> str | None:
    """Return the filename; the form of RFC 5987 has priority."""
    extended = parameters.get("filename*")
    if extended is None:
        return _utf8(parameters["filename"], "filename") if "filename" in parameters else None
    charset, quote, rest = extended.partition(b"'")
    _, quote2, value = rest.partition(b"'")
    encodings = {b"utf-8": "utf-8", b"iso-8859-1": "latin-1"}
    if not quote or not quote2 or charset.lower() not in encodings:
        raise invalid("Invalid filename: filename* is not UTF-8''… (RFC 5987).", rule="filename", param="filename")
    return _utf8(unquote_to_bytes(value), "filename", encodings[charset.lower()])


def _utf8(raw: bytes, what: str, encoding: str = "utf-8") -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise invalid(f"Invalid {what}: it is not valid UTF-8.", rule=what, param=what) from None


def _malformed(why: str) -> ApiError:
    return ApiError(Kind.INVALID_ARGUMENT, f"Error parsing `multipart/form-data` request: {why}", rule="multipart")


# --- the form of POST /v1/files

Fields = dict[str, Any]
_FIX = (
    "put expires_after before file. OpenAI's Node SDK sends the properties in the order of the object: "
    "{ expires_after: …, file: … }"
)


async def read_until_file(form: Form) -> tuple[dict[str, str], Part]:
    """Return the plain fields before the part named `file`, and the headers of that part."""
    fields: dict[str, str] = {}
    while (part := await form.next_part()) is not None:
        if part.name == "file":
            if not part.filename:
                raise invalid("The part `file` has no filename.", rule="filename", param="file")
            return fields, part
        if part.name in fields:
            raise invalid(f"{part.name}: the field is given twice.", rule="multipart", param=part.name)
        fields[part.name] = await form.text(part.name)
    raise invalid("The form has no part named `file`.", rule="missing_file", param="file")


async def file_data(form: Form) -> AsyncIterator[memoryview]:
    """Yield the bytes of the file; then validate the parts that follow it."""
    async for piece in form.data():
        yield piece
    while (part := await form.next_part()) is not None:
        if part.name.startswith("expires_after"):
            raise invalid(f"{part.name} comes after file: {_FIX}.", rule="expires_after_order", param="expires_after")
        if part.name == "file":
            raise invalid("The form has two parts named `file`.", rule="multipart", param="file")


def expires_after(fields: dict[str, str]) -> int | None:
    """Return the TTL in seconds, from xAI's plain integer or OpenAI's pair of fields."""
    plain, anchor, seconds = (fields.get(f"expires_after{key}") for key in ("", "[anchor]", "[seconds]"))
    if plain is not None and (anchor is not None or seconds is not None):
        raise invalid("expires_after is given in two forms.", rule="expires_after", param="expires_after")
    if anchor is not None and anchor != "created_at":
        raise invalid(
            f"expires_after[anchor] must be created_at, got {anchor[:40]!r}.",
            rule="expires_after",
            param="expires_after[anchor]",
        )
    if anchor is not None and seconds is None:
        raise invalid("expires_after[seconds] is missing.", rule="expires_after", param="expires_after[seconds]")
    text = plain if plain is not None else seconds
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise invalid(
            f"expires_after must be a whole number of seconds, got {text[:40]!r}.",
            rule="expires_after",
            param="expires_after",
        )
    return int(text)
