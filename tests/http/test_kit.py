"""The HTTP kit by itself: a table of routes in a Starlette application, its middlewares, requests and responses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import msgspec
import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.testclient import TestClient

from emulator.core.errors import ApiError
from emulator.http.middleware import StepsMiddleware, allow_origins, answer_preflight, label
from emulator.http.requests import Request, query_pairs
from emulator.http.responses import EventStream, FileDownload, JsonResponse, Response
from emulator.http.routing import TableRoute, raw_path
from emulator.pipeline.origin_check import OriginCheck
from emulator.port import CONNECTION
from emulator.state.settings import from_keywords


class Row(msgspec.Struct, frozen=True):
    """A row of a table."""

    method: str
    path: str


async def show_match(row: Row, request: Request) -> Response:
    """Which row was found, with which parameters."""
    return JsonResponse({"row": row.path, "parameters": request.path_params})


async def refuse(request: Any, error: ApiError) -> Response:
    """A refusal without a dialect."""
    return JsonResponse(error.message, 400)


def client_of(*rows: Row, middleware: list[Middleware] | None = None) -> TestClient:
    """A client of an application that has nothing but a table."""
    table = TableRoute(rows, show_match, middleware or [])
    handlers: dict[Any, Any] = {ApiError: refuse}
    app = Starlette(routes=[table], exception_handlers=handlers)
    app.router.default = table.not_found
    return TestClient(app)


def test_table_route_looks_up_the_raw_path() -> None:
    """And decodes the parameters afterwards."""
    client = client_of(Row("GET", "/things/{id}"), Row("GET", "/things/{id}:stop"))
    assert client.get("/things/a%2Fb%3Astop").json() == {"row": "/things/{id}", "parameters": {"id": "a/b:stop"}}
    assert client.get("/things/a%2Fb:stop").json() == {"row": "/things/{id}:stop", "parameters": {"id": "a/b"}}


def test_table_route_refuses_in_the_way_of_starlette() -> None:
    """404, and 405 with Allow; a path that is not UTF-8 is an ApiError."""
    client = client_of(Row("GET", "/things/{id}"), Row("PUT", "/things/{id}"))
    assert client.get("/nope").status_code == 404
    wrong = client.delete("/things/a")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, PUT")
    assert client.get("/things/%ff").status_code == 400


def test_middleware_of_a_table_sees_every_refusal() -> None:
    """Its check comes before 404, 405 and the decoding of the path."""
    middleware = [Middleware(StepsMiddleware, lambda scope, headers: Response(status_code=418))]
    client = client_of(Row("GET", "/things/{id}"), middleware=middleware)
    assert [client.request(*each).status_code for each in (("GET", "/nope"), ("PUT", "/things/a"))] == [418, 418]
    assert client.get("/things/%ff").status_code == 418


def test_middlewares_add_to_the_head_of_a_response() -> None:
    """CORS headers, the label and an id; a preflight is answered on any path."""
    check = OriginCheck.of(from_keywords({"cors": "any"}))
    middleware = [Middleware(StepsMiddleware, allow_origins(check), label(lambda: b"id-1"), answer_preflight)]
    client = client_of(Row("GET", "/things"), middleware=middleware)
    reply = client.get("/things")
    assert (reply.headers["access-control-allow-origin"], reply.headers["x-request-id"]) == ("*", "id-1")
    assert "access-control-allow-methods" not in reply.headers
    preflight = client.options("/nope")
    assert (preflight.status_code, preflight.headers["access-control-allow-methods"]) == (200, "*")


@pytest.mark.parametrize(
    ("scope", "path"),
    [
        ({"path": "/a/b", "raw_path": b"/a%2Fb?c"}, "/a%2Fb"),
        ({"path": "/a b"}, "/a%20b"),
        ({"path": "/a b", "raw_path": None}, "/a%20b"),
        ({"path": "/x/a", "raw_path": b"/%78/a", "root_path": "/x"}, "/a"),
        ({"path": "/x/y/", "raw_path": b"/x/y/", "root_path": "/x/y"}, "/"),
        ({"path": "/x", "raw_path": b"/x", "root_path": "/x"}, ""),
        ({"path": "/xy", "raw_path": b"/xy", "root_path": "/x"}, "/xy"),
    ],
)
def test_raw_path_is_what_was_sent_below_the_mount(scope: dict[str, Any], path: str) -> None:
    """Without the query; servers may leave `raw_path` out, and `root_path` may be encoded in any way."""
    assert raw_path(scope) == path


def test_query_pairs_keep_order_and_repetition() -> None:
    """A value may be missing; what is not UTF-8 is refused."""
    assert list(query_pairs("a=1&b&a=%20+")) == [("a", "1"), ("b", ""), ("a", "  ")]
    assert list(query_pairs("")) == []
    with pytest.raises(UnicodeDecodeError):
        list(query_pairs("a=%ff"))


class Connection:
    """A transport that notes what is handed to it whole; it may decline."""

    def __init__(self, *, takes: bool) -> None:
        self.takes, self.responses = takes, list[tuple[int, bytes]]()

    def respond(self, status: int, headers: object, body: bytes) -> bool:
        """Take a response, or not."""
        if self.takes:
            self.responses.append((status, body))
        return self.takes


async def receive_nothing() -> dict[str, Any]:
    """No message ever comes."""
    return await asyncio.Future()


async def send_of(response: Any, scope: dict[str, Any], receive: Any = receive_nothing) -> list[dict[str, Any]]:
    """The messages with which a response is sent."""
    messages: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        messages.append(message)

    await response({"type": "http", "method": "GET", **scope}, receive, send)
    return messages


@pytest.mark.parametrize("takes", [True, False])
def test_response_takes_the_short_path_where_the_connection_does(takes: bool) -> None:
    """Otherwise it is two messages, with the same body."""
    connection = Connection(takes=takes)
    messages = asyncio.run(send_of(Response(b"{}"), {"extensions": {CONNECTION: connection}}))
    assert connection.responses == ([(200, b"{}")] if takes else [])
    assert [each.get("body") for each in messages] == ([] if takes else [None, b"{}"])


@pytest.mark.parametrize("extensions", [{}, {"extensions": None}])
def test_response_without_a_connection_is_two_messages(extensions: dict[str, Any]) -> None:
    """As under any other ASGI server."""
    start, body = asyncio.run(send_of(Response(b"{}"), extensions))
    assert (start["status"], body["body"]) == (200, b"{}")
    assert dict(start["headers"])[b"content-length"] == b"2"


def test_replaced_body_has_its_own_length() -> None:
    """The length is that of what is sent."""
    response = JsonResponse({})
    response.replace_body(b"[1]")
    start, body = asyncio.run(send_of(response, {}))
    assert (dict(start["headers"])[b"content-length"], body["body"]) == (b"3", b"[1]")


def test_event_stream_closes_its_events_when_the_client_leaves() -> None:
    """Where it waits for the next one."""
    ended = []

    async def events() -> AsyncGenerator[bytes, None]:
        try:
            yield b": one\n\n"
            await asyncio.Future()
        finally:
            ended.append(True)

    async def run() -> list[dict[str, Any]]:
        left = asyncio.Event()

        async def receive() -> dict[str, Any]:
            await left.wait()
            return {"type": "http.disconnect"}

        messages: list[dict[str, Any]] = []

        async def send(message: Any) -> None:
            messages.append(message)
            if message.get("body"):
                left.set()

        await EventStream(events())({"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}, receive, send)
        return messages

    start, first = asyncio.run(run())[:2]
    assert (b"content-type", b"text/event-stream") in start["headers"]
    assert (first["body"], ended) == (b": one\n\n", [True])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_file_download_is_finished_before_its_last_piece(method: str) -> None:
    """Once, whether its bytes are wanted or its head alone: a client that has read everything may look."""
    happened: list[str] = []

    async def read() -> AsyncGenerator[bytes, None]:
        yield b"ab"
        yield b"c"

    async def send(message: Any) -> None:
        happened.append(message.get("body", b"").decode() if "body" in message else "head")

    download = FileDownload(read(), "a.db", 3, lambda: happened.append("finished"))
    assert (b"content-disposition", b'attachment; filename="a.db"') in download.raw_headers
    asyncio.run(download({"type": "http", "method": method}, receive_nothing, send))
    assert happened == (["head", "ab", "finished", "c", ""] if method == "GET" else ["head", "", "finished"])
