"""Forward HTTP requests to the service, and record requests and responses."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from http import HTTPStatus
from typing import Any
from weakref import WeakKeyDictionary

import msgspec

from emulator.core import clock
from emulator.domain.keys import Plane, bearer
from emulator.port import CONNECTION, ClientConnection, Message, Receive, Send
from emulator.recorder.access import Access, Keys, Refused
from emulator.recorder.budget import Budget
from emulator.recorder.journal import ContentFolder, RecordingJournal
from emulator.recorder.upstream import Head, HungUp, Unreachable, Upstream
from emulator.recordings.capture import BodyCapture
from emulator.recordings.entries import RECORDER, Entry, Pair, Request, Response, Timings, header
from emulator.recordings.planes import keeps_request, keeps_response, rest_operation, rest_plane

# RFC 9110 § 7.6.1, and `Expect`, which the server in front has answered.
_HOP_BY_HOP = frozenset(
    b"connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer transfer-encoding "
    b"upgrade host expect".split()
)
CONTROL = "/_emulator"
NOT_FOUND = 404


class RestForwarder:
    """The ASGI application of the recorder."""

    def __init__(
        self,
        journal: RecordingJournal,
        hosts: Mapping[Plane, str],
        keys: Keys,
        access: Access,
        budget: Budget,
        tls: ssl.SSLContext | None,
        folder: ContentFolder | None,
    ) -> None:
        """`hosts` are the URLs of the service, by plane."""
        self._journal, self._hosts, self._keys, self._access = journal, hosts, keys, access
        self._budget, self._tls, self._folder = budget, tls, folder
        self._upstreams: WeakKeyDictionary[ClientConnection, dict[str, Upstream]] = WeakKeyDictionary()

    async def app(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path = _raw_path(scope)
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if path == CONTROL or path.startswith(f"{CONTROL}/"):
            await self._control(scope, path, headers, send)
            return
        exchange = _Exchange(self, scope, path, headers)
        try:
            self._access.admit(headers.get("host"), headers.get("origin"))
            authorization = self._keys.put_in(headers.get("authorization"))
            self._budget.spend()
        except Refused as refused:
            await exchange.answer_here(refused.status, refused.message, send)
            return
        await exchange.forward(authorization, receive, send)

    async def _control(self, scope: Message, path: str, headers: Mapping[str, str], send: Send) -> None:
        """Handle the calls of the contract kit: whether this is a recorder, and which case runs."""
        status = NOT_FOUND
        reply: dict[str, Any] = {"error": f"xai-emulator record has no {path[:200]}; it forwards /v1 and gRPC"}
        if path == f"{CONTROL}/recorder":
            try:
                self._access.admit(headers.get("host"), headers.get("origin"))
                status, reply = 200, {"recorder": True, "schema_version": 1}
                if scope["method"] == "PUT":
                    self._turn(headers)
            except Refused as refused:
                status, reply = refused.status, {"error": refused.message}
        body = json.dumps(reply).encode()
        content = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": status, "headers": content})
        await send({"type": "http.response.body", "body": body})

    def _turn(self, headers: Mapping[str, str]) -> None:
        if bearer(headers.get("authorization")) not in self._keys.of_run.values():
            raise Refused(401, "UNAUTHENTICATED", "this needs a key of this run")
        self._journal.turn_to(headers.get("x-emulator-case") or None, headers.get("x-emulator-sentence", ""))

    def upstream(self, transport: ClientConnection, plane: Plane) -> Upstream:
        """Return the connection to a host for a client's connection; both end together."""
        mine = self._upstreams.setdefault(transport, {})
        url = self._hosts[plane]
        if url not in mine:
            mine[url] = Upstream(url, self._tls)
        return mine[url]

    def abort(self, transport: ClientConnection) -> None:
        """End the connections that belong to a client's connection."""
        for each in self._upstreams.get(transport, {}).values():
            each.abort()

    def capture(self, content_type: str, encoding: str, *, is_text: bool) -> BodyCapture:
        """Start to record a body."""
        return BodyCapture(content_type, is_text=is_text, encoding=encoding, folder=self._folder)

    @property
    def journal(self) -> RecordingJournal:
        """The journal that records exchanges."""
        return self._journal

    def url(self, plane: Plane, target: str) -> str:
        """Return the URL of a target at the service."""
        return self._hosts[plane] + target


class _ClientGone(Exception):
    """The client disconnected while it was sending."""


class _Exchange:
    """One request that is being forwarded."""

    def __init__(self, forwarder: RestForwarder, scope: Message, path: str, headers: Mapping[str, str]) -> None:
        self._forwarder, self._scope, self._headers = forwarder, scope, headers
        query = scope["query_string"].decode("latin-1")
        self._target = f"{path}?{query}" if query else path
        self._operation = rest_operation(scope["method"], path)
        self._plane = rest_plane(path)
        self._connection: ClientConnection = scope["extensions"][CONNECTION]
        self._began = clock.monotonic_ms()
        self._entry = Entry(
            Request(scope["method"], forwarder.url(self._plane, _text(self._target.encode("latin-1")))),
            started=clock.rfc3339(clock.wall()),
            number=forwarder.journal.number(),
            operation=self._operation,
            plane=self._plane.value,
            page=forwarder.journal.page,
        )
        self._request_body = forwarder.capture(
            headers.get("content-type", ""),
            headers.get("content-encoding", ""),
            is_text=keeps_request(self._operation),
        )
        self._response_body: BodyCapture | None = None
        self._client_left = False
        self._capture_failed: str | None = None

    async def answer_here(self, status: int, message: str, send: Send) -> None:
        """Respond without calling the service, and record the response."""
        body = message.encode()
        content = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body))]
        self._entry.by = RECORDER
        self._entry.error = message
        self._entry.response = Response(status, HTTPStatus(status).phrase)
        self._note(None)
        await send({"type": "http.response.start", "status": status, "headers": content})
        await send({"type": "http.response.body", "body": body})

    async def forward(self, authorization: str | None, receive: Receive, send: Send) -> None:
        """Call the service, and forward its response as it arrives."""
        has_body = "content-length" in self._headers or "transfer-encoding" in self._headers
        upstream = self._forwarder.upstream(self._connection, self._plane)
        self._connection.on_lost(self._client_lost)
        asking = upstream.ask(
            self._scope["method"].encode(),
            self._target.encode("latin-1"),
            self._upstream_headers(authorization),
            self._pieces(receive) if has_body else None,
        )
        head: Head | None = None
        try:
            async with aclosing(asking):  # type: ignore[type-var]  # an async generator, as `ask` says
                async for part in asking:
                    if isinstance(part, Head):
                        head = part
                        await self._begin(part, send)
                    else:
                        self._capture(self._response_body, part)
                        await send({"type": "http.response.body", "body": part, "more_body": True})
        except Unreachable as error:
            await self.answer_here(502, f"xai-emulator record: {self._forwarder.url(self._plane, '')}: {error}", send)
            return
        except (HungUp, _ClientGone, asyncio.CancelledError) as error:
            self._entry.error = self._why(error)
            self._note(head)
            if isinstance(error, asyncio.CancelledError):
                raise
            self._connection.abort()  # the client sees the connection drop, as it would without the recorder
            return
        except Exception as error:  # a response that cannot be forwarded, such as one with status 700
            self._capture_failed = f"{type(error).__name__}: {error}"
            self._note(head)
            self._connection.abort()
            return
        self._note(head)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _client_lost(self) -> None:
        self._client_left = True
        self._forwarder.abort(self._connection)

    def _why(self, error: BaseException) -> str:
        if isinstance(error, HungUp) and not self._client_left:
            return f"the service closed the connection {error}"
        return "the client left"

    def _upstream_headers(self, authorization: str | None) -> list[tuple[bytes, bytes]]:
        found = []
        for name, value in self._scope["headers"]:
            if name.lower() == b"authorization":
                value = (authorization or "").encode("latin-1")
            if name.lower() not in _HOP_BY_HOP and not name.lower().startswith(b"x-emulator-"):
                found.append((name, value))
        return found

    async def _pieces(self, receive: Receive) -> AsyncIterator[bytes]:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                self._client_left = True
                raise _ClientGone
            if piece := bytes(message.get("body", b"")):
                self._capture(self._request_body, piece)
                yield piece
            if not message.get("more_body"):
                return

    async def _begin(self, head: Head, send: Send) -> None:
        pairs = _pairs(head.headers)
        content_type = header(pairs, "content-type") or ""
        self._response_body = self._forwarder.capture(
            content_type,
            header(pairs, "content-encoding") or "",
            is_text=keeps_response(self._operation, head.status, content_type),
        )
        self._entry.timings.wait = round(clock.monotonic_ms() - self._began, 1)
        passed = [pair for pair in head.headers if pair[0].lower() not in _HOP_BY_HOP]
        await send({"type": "http.response.start", "status": head.status, "headers": passed})

    def _capture(self, body: BodyCapture | None, piece: bytes) -> None:
        """Record a piece. An error here must not fail the call."""
        try:
            if body is not None:
                body.write(piece)
        except Exception as error:
            self._capture_failed = f"{type(error).__name__}: {error}"

    def _note(self, head: Head | None) -> None:
        """Pass the exchange to the writer."""
        entry = self._entry
        try:
            self._fill(entry, head)
        except Exception as error:
            self._capture_failed = f"{type(error).__name__}: {error}"
        if self._capture_failed is not None:
            entry.error = f"not wholly recorded: {self._capture_failed}"
            self._forwarder.journal.lost += 1
        self._forwarder.journal.add(entry)

    def _fill(self, entry: Entry, head: Head | None) -> None:
        entry.time = round(clock.monotonic_ms() - self._began, 1)
        entry.timings = (
            msgspec.structs.replace(entry.timings, receive=round(max(0, entry.time - entry.timings.wait), 1))
            if entry.timings.wait
            else Timings(wait=entry.time)
        )
        request = entry.request
        request.http_version = f"HTTP/{self._scope['http_version']}"
        request.headers = [pair for pair in _pairs(self._scope["headers"]) if not _is_own(pair.name)]
        request.body_size = self._request_body.size
        if self._request_body.size or "content-type" in self._headers:
            request.body = self._request_body.post_data()
        if head is not None:
            entry.response = Response(head.status, _text(head.reason), headers=_pairs(head.headers))
            if self._response_body is not None:
                entry.response.body = self._response_body.content()
                entry.response.body_size = self._response_body.size
            entry.response.redirect_url = header(entry.response.headers, "location") or ""


def _is_own(name: str) -> bool:
    """Return whether a header is only for the connection between the client and the recorder."""
    return name == "host" or name.startswith("x-emulator-")


def _pairs(headers: list[tuple[bytes, bytes]]) -> list[Pair]:
    return [Pair(_text(name), _text(value)) for name, value in headers]


def _text(raw: bytes) -> str:
    """Decode bytes of a head as UTF-8, if possible: a UTF-8 name decoded as Latin-1 would escape the sanitizer."""
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _raw_path(scope: Message) -> str:
    raw: bytes = scope.get("raw_path") or scope["path"].encode()
    return raw.partition(b"?")[0].decode("latin-1")
