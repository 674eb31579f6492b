"""HTTP requests and answers as plain values, and the two ways they are sent: httpx, and `fetch` in Node."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx

from ..observed_headers import ObservedHeaders
from ..observed_objects import ObservedObjects
from .node import Node


@dataclass(frozen=True)
class FilePart:
    """A file in a form."""

    filename: str | None
    content: bytes
    content_type: str | None = None


Form = Sequence[tuple[str, str | FilePart]]  # in the order in which it goes over the wire


@dataclass(frozen=True)
class Request:
    """An HTTP request; at most one of body and form."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    form: Form | None = None


@dataclass(frozen=True)
class Response:
    """An HTTP response; header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_json(self) -> bool:
        return self.headers.get("content-type", "").split(";")[0].strip() == "application/json"

    def json(self) -> Any:
        """The body as JSON values."""
        return json.loads(self.body)


ATTEMPTS_MAX = 3
WAIT_SECONDS_MAX = 60


class Transport(Protocol):
    """Sends requests."""

    name: str
    version: str

    def send(self, request: Request) -> Response: ...

    def close(self) -> None: ...


class RetryingTransport:
    """Retries, after the time that the server names, what it refuses as one call too many."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.name, self.version = transport.name, transport.version

    def send(self, request: Request) -> Response:
        """Send a request, up to three times."""
        response = self._transport.send(request)
        for _ in range(ATTEMPTS_MAX - 1):
            seconds = response.headers.get("retry-after", "")
            if response.status != 429 or not seconds.isdigit():  # a team without credits is not helped by waiting
                break
            time.sleep(min(int(seconds), WAIT_SECONDS_MAX))
            response = self._transport.send(request)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class HeaderMismatch(AssertionError):
    """The headers of a response do not fit those of others."""

    def __init__(self, reason: str, response: Response) -> None:
        super().__init__(reason)
        self.response = response


class HeaderTransport:
    """Compares the headers of all responses of a run."""

    def __init__(self, transport: Transport) -> None:
        self._transport, self._observed = transport, ObservedHeaders()
        self.name, self.version = transport.name, transport.version

    def send(self, request: Request) -> Response:
        """Send a request. Raises HeaderMismatch."""
        response = self._transport.send(request)
        reason = self._observed.mismatch(request, response)
        if reason is not None:
            raise HeaderMismatch(reason, response)
        return response

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class ObservedTransport:
    """Lets the case know that something was written by what it sends."""

    def __init__(self, transport: Transport, observed: ObservedObjects) -> None:
        self._transport, self._observed = transport, observed
        self.name, self.version = transport.name, transport.version

    @staticmethod
    def of(transport: Transport, observed: ObservedObjects) -> Transport:
        """Return a transport that does so."""
        if isinstance(transport, ObservedTransport) and transport._observed is observed:
            return transport
        return ObservedTransport(transport, observed)

    def send(self, request: Request) -> Response:
        """Send a request."""
        if request.method not in ("GET", "HEAD"):
            self._observed.write()
        return self._transport.send(request)

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()


class HttpxTransport:
    """Sends with httpx, on a kept-alive connection."""

    name = "httpx"
    version = httpx.__version__

    def __init__(self) -> None:
        self._client = httpx.Client(timeout=120, follow_redirects=False)

    def send(self, request: Request) -> Response:
        """Send a request as it is written."""
        files = None
        if request.form is not None:  # all as `files`: that keeps the order
            files = [(name, _httpx_part(value)) for name, value in request.form]
        response = self._client.request(
            request.method, request.url, headers=dict(request.headers), content=request.body, files=files
        )
        return Response(response.status_code, dict(response.headers), response.content)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _httpx_part(value: str | FilePart) -> Any:
    if isinstance(value, str):
        return (None, value.encode())
    if value.content_type is None:
        return (value.filename, value.content)
    return (value.filename, value.content, value.content_type)


class FetchTransport:
    """Sends with the `fetch` of Node, forms as its own FormData."""

    name = "fetch"

    def __init__(self, node: Node) -> None:
        self._node = node
        self.version = node.version

    def send(self, request: Request) -> Response:
        """Send a request; a part without a file name goes as a plain field, as browsers do."""
        form = None
        if request.form is not None:
            form = [_fetch_part(name, value) for name, value in request.form]
        found = self._node.call(
            "fetch",
            method=request.method,
            url=request.url,
            headers=dict(request.headers),
            body=None if request.body is None else base64.b64encode(request.body).decode(),
            form=form,
        )
        return Response(found["status"], found["headers"], base64.b64decode(found["body"]))

    def close(self) -> None:
        """Nothing: Node is closed by the code that started it."""


def _fetch_part(name: str, value: str | FilePart) -> dict[str, Any]:
    if isinstance(value, str):
        return {"name": name, "value": value}
    return {
        "name": name,
        "filename": value.filename,
        "content": base64.b64encode(value.content).decode(),
        "type": value.content_type or "",
    }
