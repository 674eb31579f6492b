"""The short path of `Application`: what comes on the own port is answered as on the whole way through Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import httpx
import msgspec
import pytest
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import Message

from emulator import Emulator
from emulator.http.application import Application
from emulator.http.requests import Request, header, headers_of
from emulator.http.responses import JsonResponse, Response
from emulator.http.routing import TableRoute


class Row(msgspec.Struct, frozen=True):
    method: str
    path: str


class Refused(Exception):
    """A refusal for which the application has a handler."""


class Headers(list[tuple[bytes, bytes]]):
    """The headers of a request, which count how often they are gone through."""

    passes = 0

    def __iter__(self) -> Iterator[tuple[bytes, bytes]]:
        self.passes += 1
        return super().__iter__()

    def __reversed__(self) -> Iterator[tuple[bytes, bytes]]:
        self.passes += 1
        return super().__reversed__()


async def answer(row: Row, request: Request) -> Response:
    """Answer, or fail as the id in the path says."""
    match request.path_params["id"]:
        case "refused":
            raise Refused
        case "missing":
            raise HTTPException(404)
        case "defect":
            raise ZeroDivisionError
    return JsonResponse({"id": request.path_params["id"]})


async def not_found(scope: Any, receive: Any, send: Any) -> None:
    await Response(b"nothing here", 404, b"text/plain")(scope, receive, send)


async def refused(request: Any, error: Exception) -> Response:
    return Response(b"refused", 403, b"text/plain")


async def messages(path: str, *, on_port: bool, method: str = "GET", **arguments: Any) -> list[Message]:
    """What an application sends for a request on the port, or as any ASGI application."""
    table = TableRoute([Row("GET", "/things/{id}")], answer)
    app = Application([], not_found=not_found, exception_handlers={Refused: refused}, table=table, **arguments)
    sent: list[Message] = []
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "scheme": "http",
        "headers": [(b"host", b"elsewhere.example")],
    }

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    await (app.respond_on_port if on_port else app)(scope, receive, send)
    return sent


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/things/a"),
        ("HEAD", "/things/a"),
        ("GET", "/things/refused"),
        ("GET", "/things/missing"),
        ("POST", "/things/a"),
        ("GET", "/elsewhere"),
        ("GET", "/things/%FF"),
    ],
)
def test_request_on_the_port_is_answered_as_any_other(method: str, path: str) -> None:
    async def both() -> None:
        try:
            usual: object = await messages(path, on_port=False, method=method)
        except Exception as error:
            usual = type(error)
        try:
            short: object = await messages(path, on_port=True, method=method)
        except Exception as error:
            short = type(error)
        assert short == usual

    asyncio.run(both())


def test_defect_on_the_port_is_left_to_the_server() -> None:
    with pytest.raises(ZeroDivisionError):
        asyncio.run(messages("/things/defect", on_port=True))


def test_middleware_of_an_application_sees_requests_on_the_port() -> None:
    only = Middleware(TrustedHostMiddleware, allowed_hosts=["localhost"])
    sent = asyncio.run(messages("/things/a", on_port=True, middleware=[only]))
    assert sent[0]["status"] == 400


def test_headers_are_indexed_once_for_a_request() -> None:
    headers = Headers([(b"host", b"localhost"), (b"accept", b"first"), (b"accept", b"second")])
    scope: dict[str, Any] = {"headers": headers}
    assert header(scope, b"accept") == "first"
    assert header(scope, b"origin") is None
    assert headers_of(scope)[b"host"] == b"localhost"
    assert headers.passes == 1


def test_refused_call_on_the_port_is_answered_with_its_headers(emulator: Emulator) -> None:
    with httpx.Client(base_url=emulator.url) as client:
        reply = client.get("/v1/files/%FF", headers={"authorization": "Bearer xai-emulator"})
        assert reply.status_code == 400
        assert reply.headers["x-emulator-rule"] == "path"
        assert client.delete("/v1/api-key").status_code == 405
