"""Send recorded requests to an emulator: the same bytes, except for ids, keys and missing contents.

Nothing is ever sent to a host in a file: only the path and the query of a recorded URL are used.
"""

from __future__ import annotations

import http.client
import json
import re
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import UNSET

from emulator.comparing.binding import Binding
from emulator.core.clock import Instant
from emulator.domain.keys import Plane
from emulator.recordings.capture import disposition
from emulator.recordings.entries import Entry, Grpc, Pair, Param, PostData, header
from emulator.rpc.ask import RpcAnswer, RpcAsker
from emulator.rpc.plain import fill

TIMEOUT_SECONDS = 120
CONTROL = "/_emulator"
CONTENT_BYTES_MAX = 512 * 1024 * 1024  # of a generated content, or one beside the file
BOUNDARY = "xai-emulator-compare-7f3c2a91"
INFERENCE, MANAGEMENT, OTHER = "[inference key]", "[management key]", "[other key]"
# What is of the connection, of the client library, or made for each request.
_NOT_SENT = re.compile(
    r"host|content-length|transfer-encoding|connection|keep-alive|expect|accept-encoding|authorization|user-agent|cookie|"
    r"origin|referer|upgrade|proxy-.*|sec-.*|:.*|grpc-.*|te|content-encoding|x-emulator-.*"
)
_FILE_NAME = re.compile(r"[0-9]{1,12}\.bin")
_TARGET = re.compile(r"[^\x21-\x7e]")


class NotComparable(Exception):
    """An exchange has no response to compare with; the message says why."""


class LacksContent(NotComparable):
    """A request cannot be sent, because its content was not recorded; the message says which."""

    def __str__(self) -> str:
        return f"lacks its content: {self.args[0]}"


class Target(msgspec.Struct, frozen=True):
    """The emulator to call, and the keys of the team."""

    url: str
    grpc: str
    keys: dict[Plane, str]
    team: str
    control_token: str | None = None


class RestAnswer(msgspec.Struct):
    """The response to a request."""

    status: int
    headers: dict[str, str]
    body: bytes
    size: int | None = None  # of a body that was not read

    @property
    def length(self) -> int:
        """Return the size of the body."""
        return len(self.body) if self.size is None else self.size


class Sender:
    """Connections to one emulator."""

    needs_makers = True  # the objects that a request names must exist
    shifts: tuple[float, float] | None = None

    def __init__(self, target: Target, binding: Binding, recorded: Path, *, foreign: bool) -> None:
        """`recorded` is the HAR file; `foreign` says that another program wrote it, which may have removed keys."""
        self._target, self._binding, self._foreign = target, binding, foreign
        self._contents = recorded.with_suffix(".files")
        self._connection = self._connect()
        self._rpc: RpcAsker | None = None

    def close(self) -> None:
        """Close the connections."""
        self._connection.close()
        if self._rpc is not None:
            self._rpc.close()

    def _connect(self) -> http.client.HTTPConnection:
        parts = urlsplit(self._target.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=TIMEOUT_SECONDS)

    # --- the clock

    def freeze(self, at: str | None) -> None:
        """Freeze the team's clock, at a time in RFC 3339 or now."""
        self._control("/clock/freeze", {} if at is None else {"at": at})

    def advance(self, microseconds: Instant) -> None:
        """Advance the team's clock."""
        self._control("/clock/advance", {"seconds": microseconds / 1_000_000})

    def _control(self, path: str, body: dict[str, Any]) -> None:
        headers = {"content-type": "application/json"}
        if self._target.control_token is not None:
            headers["authorization"] = f"Bearer {self._target.control_token}"
        answer = self._ask(
            "POST", f"/_emulator{path}?team={quote(self._target.team)}", headers, json.dumps(body).encode()
        )
        if answer.status != 200:
            raise ConnectionError(f"{self._target.url} answered {answer.status} to {path}: {answer.body[:200]!r}")

    # --- exchanges

    def rest(self, entry: Entry) -> RestAnswer:
        """Send a request again. Raises LacksContent, and OSError without a response."""
        request = entry.request
        body, content_type = self._body(request.body)
        headers = {}
        for pair in request.headers:
            if not _NOT_SENT.fullmatch(pair.name.lower()):
                headers[pair.name] = self._binding.text(pair.value)
        if content_type is not None:
            headers = {name: value for name, value in headers.items() if name.lower() != "content-type"}
            headers["content-type"] = content_type
        key = self._authorization(entry, request.headers)
        if key is not None:
            headers["authorization"] = key
        return self._ask(request.method, self._path(request.url), headers, body)

    def _path(self, url: str) -> str:
        """Return path and query, with a URL of the service, such as a public URL, replaced by the emulator's."""
        parts = urlsplit(self._binding.text(url))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        target = _TARGET.sub(lambda found: quote(found[0]), self._binding.text(target)) or "/"
        if not target.startswith("/") or target.startswith(CONTROL):
            raise LacksContent(f"a request cannot be made: {target[:80]} is no path of the API")
        return target

    def _ask(self, method: str, target: str, headers: dict[str, str], body: bytes | None) -> RestAnswer:
        for _ in range(2):
            is_reused = self._connection.sock is not None
            try:
                answer = self._exchange(method, target, headers, body)
                content = answer.read()
            except (ValueError, UnicodeError) as error:  # a method or a header that HTTP does not know
                self._connection.close()
                self._connection = self._connect()  # the old one keeps what was put before
                raise LacksContent(f"a request cannot be made: {error}") from None
            except (http.client.HTTPException, OSError) as error:
                self._connection.close()
                # A server may have closed an idle connection without reading the request.
                if is_reused and isinstance(error, ConnectionError):
                    continue
                raise ConnectionError(f"no answer: {type(error).__name__}: {error}") from None
            return RestAnswer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, content)
        raise AssertionError("the second attempt returns or raises")

    def _exchange(
        self, method: str, target: str, headers: dict[str, str], body: bytes | None
    ) -> http.client.HTTPResponse:
        self._connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in headers.items():
            self._connection.putheader(name, value.encode("utf-8", "replace"))
        if body is not None:
            self._connection.putheader("content-length", str(len(body)))
        # A request may be refused before all of it is sent: then the response can be read, but not the rest sent.
        with suppress(BrokenPipeError, ConnectionResetError):
            self._connection.endheaders(body)
        return self._connection.getresponse()

    def grpc(self, entry: Entry, call: Grpc) -> RpcAnswer:
        """Send a call again. Raises LacksContent for messages that cannot be made."""
        if self._rpc is None:
            self._rpc = RpcAsker(self._target.grpc)
        requests = [self._binding.value(message) for message in call.request]
        metadata = [
            (pair.name, self._binding.text(pair.value))
            for pair in entry.request.headers
            if not _NOT_SENT.fullmatch(pair.name) and not pair.name.endswith("-bin")
        ]
        key = self._authorization(entry, entry.request.headers)
        if key is not None:
            metadata.append(("authorization", key))
        try:
            return self._rpc.ask(urlsplit(entry.request.url).path, requests, metadata)
        except ValueError as error:
            raise LacksContent(f"a message cannot be made: {error}") from None

    def _authorization(self, entry: Entry, headers: list[Pair]) -> str | None:
        """Return the emulator's key for the recorded one; an invalid one for a key that the service refused."""
        recorded = header(headers, "authorization")
        own = Plane.MANAGEMENT if entry.plane == "management" else Plane.INFERENCE
        other = Plane.INFERENCE if own is Plane.MANAGEMENT else Plane.MANAGEMENT
        if recorded is None:
            return f"Bearer {self._target.keys[own]}" if self._foreign and entry.response.status != 401 else None
        scheme, _, secret = recorded.partition(" ")
        labels = {INFERENCE: Plane.INFERENCE, MANAGEMENT: Plane.MANAGEMENT}
        if secret in labels:
            return f"{scheme} {self._target.keys[labels[secret]]}"
        if not secret or scheme.lower() != "bearer":
            if self._foreign and not _was_refused(entry):  # struck out, as in "[Filtered]"
                return f"Bearer {self._target.keys[own]}"
            return recorded
        return f"{scheme} {self._target.keys[other if _was_refused(entry) else own]}"

    # --- bodies

    def _body(self, body: PostData | msgspec.UnsetType) -> tuple[bytes | None, str | None]:
        """Return the bytes of a body, and its Content-Type if that changes."""
        if isinstance(body, msgspec.UnsetType):
            return None, None
        if body.params is not UNSET and body.mime_type.lower().startswith("multipart/"):
            return self._form(body.params), f"multipart/form-data; boundary={BOUNDARY}"
        if body.text:
            return self._binding.text(body.text).encode(), None
        if body.size is not UNSET and body.size:
            raise LacksContent(f"{body.size} bytes of the request were left out")
        return b"", None

    def _form(self, params: list[Param]) -> bytes:
        pieces = []
        for param in params:
            filename = None if param.filename is UNSET else self._binding.text(param.filename)
            head = disposition(self._binding.text(param.name), filename)
            if param.disposition is not UNSET:
                head = self._binding.text(param.disposition)
            lines = [f"--{BOUNDARY}", f"Content-Disposition: {head}"]
            if param.content_type is not UNSET:
                lines.append(f"Content-Type: {param.content_type}")
            pieces.append("\r\n".join([*lines, "", ""]).encode() + self._content(param) + b"\r\n")
        return b"".join([*pieces, f"--{BOUNDARY}--\r\n".encode()])

    def _content(self, param: Param) -> bytes:
        if param.value is not UNSET:
            return self._binding.text(param.value).encode()
        if param.file is not UNSET:
            return self._kept(param.file)
        size = 0 if param.size is UNSET else param.size
        if size > CONTENT_BYTES_MAX:
            raise LacksContent(f"{size} bytes are more than any file has")
        return fill(size)

    def _kept(self, name: str) -> bytes:
        """Return a recorded content, which must be a file in the folder beside the HAR file."""
        folder, _, base = name.partition("/")
        if folder != self._contents.name or not _FILE_NAME.fullmatch(base):
            raise LacksContent(f"{name} is no file of {self._contents.name}")
        path = self._contents / base
        try:
            if not stat.S_ISREG(path.lstat().st_mode) or path.lstat().st_size > CONTENT_BYTES_MAX:
                raise LacksContent(f"{name} is no file of {self._contents.name}")
            return path.read_bytes()
        except OSError as error:
            raise LacksContent(f"{name}: {error.strerror}") from None


def _was_refused(entry: Entry) -> bool:
    """Return whether the service refused the key."""
    if isinstance(entry.grpc, Grpc):
        return entry.grpc.status in ("UNAUTHENTICATED", "PERMISSION_DENIED")
    text = entry.response.body.text if isinstance(entry.response.body.text, str) else ""
    return entry.response.status in (401, 403) or (entry.response.status == 400 and "key" in text.lower())
