"""Record a body while it is forwarded: texts up to a bound, forms part by part, and the length of everything else.

The contents of files are hashed as they are forwarded. They are not held in memory, and only written if requested.
"""

from __future__ import annotations

import logging
import zlib
from typing import Any, Protocol

import msgspec
from blake3 import blake3
from msgspec import UNSET

from emulator.recordings.entries import Content, Param, PostData

TEXT_BYTES_MAX = 4 * 1024 * 1024  # of a recorded body, before and after decompression
FIELD_BYTES_MAX = 64 * 1024  # of a plain field of a form
PARTS_MAX = 1000
_SILENT = logging.Logger("emulator.recordings.capture", logging.CRITICAL)
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "x-gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS}


class Folder(Protocol):
    """The folder for contents, beside the HAR file."""

    def new(self) -> Sink: ...


class Sink(Protocol):
    """A file into which one content is written."""

    def write(self, data: bytes | bytearray | memoryview) -> Any: ...

    def finish(self) -> str: ...


class Digest:
    """Length and hash of forwarded bytes, which are also written if there is a sink."""

    def __init__(self, sink: Sink | None = None) -> None:
        self.size, self._hash, self._sink = 0, blake3(), sink

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take some bytes."""
        self.size += len(data)
        self._hash.update(data)
        if self._sink is not None:
            self._sink.write(data)

    def result(self) -> tuple[int, str, str | msgspec.UnsetType]:
        """Return the length, the BLAKE3 hash and the name of the file with the bytes."""
        return self.size, self._hash.hexdigest(), UNSET if self._sink is None else self._sink.finish()


class BodyCapture:
    """A forwarded body. A text is recorded whole, or not at all if it is too long or no text."""

    def __init__(self, content_type: str, *, is_text: bool, encoding: str = "", folder: Folder | None = None) -> None:
        """`is_text` says that the body may be recorded; otherwise it is the content of a file."""
        self._content_type, self._encoding = content_type, encoding.strip().lower()
        self._text: bytearray | None = bytearray() if is_text else None
        self._form = _form(content_type, folder) if is_text else None
        if self._form is not None:
            self._text = None
        self._digest = Digest(folder.new() if folder is not None and not is_text else None)

    @property
    def size(self) -> int:
        """The number of forwarded bytes."""
        return self._digest.size

    def write(self, data: bytes | memoryview) -> None:
        """Take some bytes."""
        self._digest.write(data)
        if self._form is not None:
            self._form.write(data)
        if self._text is not None:
            self._text += data
            if len(self._text) > TEXT_BYTES_MAX:
                self._text = None

    def post_data(self) -> PostData:
        """Return the body of a request."""
        size, digest, file = self._digest.result()
        if self._form is not None and (params := self._form.params()) is not None:
            return PostData(self._content_type, params=params)
        text = self._decoded()
        if text is None:
            return PostData(self._content_type, size=size, digest=digest, file=file)
        return PostData(self._content_type, text)

    def content(self) -> Content:
        """Return the body of a response."""
        size, digest, file = self._digest.result()
        text = self._decoded()
        if text is None:
            return Content(size, self._content_type, digest=digest, file=file)
        return Content(len(text.encode()), self._content_type, text)

    def _decoded(self) -> str | None:
        if self._text is None:
            return None
        raw = bytes(self._text)
        if self._encoding and self._encoding != "identity" and raw:
            raw = _decompressed(raw, self._encoding) or b"\xff"  # which is no UTF-8 either
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return None


def _decompressed(raw: bytes, encoding: str) -> bytes | None:
    """Decompress a body; None for an unknown coding, a damaged body, or one that is too long."""
    if encoding not in _WINDOWS:
        return None
    try:
        decoder = zlib.decompressobj(_WINDOWS[encoding])
        text = decoder.decompress(raw, TEXT_BYTES_MAX)
    except zlib.error:
        return None
    return text if decoder.eof else None


class _Part(msgspec.Struct):
    head: dict[str, bytes]
    param: Param
    value: bytearray | None  # of a plain field
    digest: Digest | None  # of a file


class _FormCapture:
    """The parts of a multipart form, in their order."""

    def __init__(self, boundary: bytes, folder: Folder | None) -> None:
        from python_multipart.multipart import MultipartParser

        self._folder = folder
        self._parts: list[_Part] = []
        self._head: dict[str, bytes] = {}
        self._name = self._value = b""
        self._malformed = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._head.clear,
                "on_header_field": self._on_name,
                "on_header_value": self._on_value,
                "on_header_end": self._on_header_end,
                "on_headers_finished": self._on_head,
                "on_part_data": self._on_data,
            },
        )
        self._parser.logger = _SILENT  # its own one repeats bytes of the body on stderr

    def write(self, data: bytes | memoryview) -> None:
        from python_multipart.exceptions import MultipartParseError

        if self._malformed:
            return
        try:
            self._parser.write(bytes(data))
        except MultipartParseError:
            self._malformed = True

    def params(self) -> list[Param] | None:
        """Return the parts; None for an incomplete form."""
        from python_multipart.multipart import MultipartState

        if self._malformed or self._parser.state != MultipartState.END:
            return None
        return [_finished(part) for part in self._parts]

    def _on_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._head[self._name.decode("latin-1").lower()] = self._value
        self._name = self._value = b""

    def _on_head(self) -> None:
        if len(self._parts) >= PARTS_MAX:
            self._malformed = True
            return
        param = _param(self._head)
        is_file = param.filename is not UNSET
        digest = Digest(self._folder.new() if self._folder is not None else None) if is_file else None
        self._parts.append(_Part(self._head.copy(), param, None if is_file else bytearray(), digest))

    def _on_data(self, data: bytes, start: int, end: int) -> None:
        if self._malformed:
            return
        part = self._parts[-1]
        if part.digest is not None:
            part.digest.write(memoryview(data)[start:end])
            return
        assert part.value is not None
        part.value += data[start:end]
        if len(part.value) > FIELD_BYTES_MAX:  # no plain field any more
            part.digest = Digest()
            part.digest.write(part.value)
            part.value = None


def _form(content_type: str, folder: Folder | None) -> _FormCapture | None:
    if not content_type.lower().startswith("multipart/"):
        return None
    from python_multipart.multipart import parse_options_header

    boundary = parse_options_header(content_type)[1].get(b"boundary")
    return _FormCapture(boundary, folder) if boundary and len(boundary) <= 256 else None


def disposition(name: str, filename: str | None) -> str:
    """Return the usual spelling of a part's Content-Disposition."""
    file = "" if filename is None else f'; filename="{filename}"'
    return f'form-data; name="{name}"{file}'


def _param(head: dict[str, bytes]) -> Param:
    from python_multipart.multipart import parse_options_header

    raw = head.get("content-disposition", b"")
    options = parse_options_header(raw)[1]
    name = options.get(b"name", b"").decode("utf-8", "replace")
    filename = options.get(b"filename", options.get(b"filename*"))
    shown = raw.decode("utf-8", "replace")
    file = UNSET if filename is None else filename.decode("utf-8", "replace")
    usual = disposition(name, file if isinstance(file, str) else None)
    content_type = head.get("content-type")
    return Param(
        name,
        filename=file,
        content_type=UNSET if content_type is None else content_type.decode("latin-1").strip(),
        disposition=UNSET if shown == usual else shown,
    )


def _finished(part: _Part) -> Param:
    param = part.param
    if part.value is not None:
        try:
            param.value = part.value.decode()
            return param
        except UnicodeDecodeError:
            part.digest = Digest()
            part.digest.write(bytes(part.value))
    assert part.digest is not None
    param.size, param.digest, param.file = part.digest.result()
    return param
