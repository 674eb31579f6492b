"""`Emulator().app` is a Starlette application, which can be mounted in another one and called from any loop."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from emulator import Emulator
from emulator.rest.server import UNKNOWN_ROUTE


@pytest.fixture
def client(emulator: Emulator) -> Iterator[TestClient]:
    """A client of the application itself."""
    with TestClient(emulator.app, base_url="http://localhost") as client:
        client.headers["authorization"] = f"Bearer {emulator.api_key}"
        yield client


@pytest.fixture
def mounted(emulator: Emulator) -> Iterator[TestClient]:
    """A client of a user's application in which the emulator is mounted at `/xai`."""

    async def hello(request: object) -> PlainTextResponse:
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello", hello), Mount("/xai", emulator.app)])
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=True) as client:
        client.headers["authorization"] = f"Bearer {emulator.api_key}"
        yield client


def upload(client: TestClient, prefix: str = "") -> str:
    """The id of a new file."""
    reply = client.post(f"{prefix}/v1/files", files={"file": ("a.txt", b"hello")})
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def test_app_is_a_starlette_application(emulator: Emulator, client: TestClient) -> None:
    """It starts and ends with its host, and serves both APIs."""
    assert isinstance(emulator.app, Starlette)
    assert client.get(f"/v1/files/{upload(client)}/content").content == b"hello"
    assert client.get("/_emulator/health").json()["status"] == "ok"
    assert client.get("/api-docs/openapi.json").json()["info"]["title"] == "xai-emulator"


def test_app_is_recognized_as_asgi_3(emulator: Emulator) -> None:
    """ASGI servers use this check to distinguish ASGI 3 from ASGI 2 applications."""
    assert inspect.iscoroutinefunction(emulator.app.__call__)


def test_websocket_to_the_app_is_closed(client: TestClient) -> None:
    """Also below the prefix of the control API: neither has one."""
    for path in ("/v1/files", "/_emulator/health"):
        with pytest.raises(Exception) as closed, client.websocket_connect(path):  # noqa: PT011 - its type is Starlette's
            pass
        assert type(closed.value).__name__ == "WebSocketDisconnect"


def test_websocket_before_the_first_control_call_leaves_control_working() -> None:
    """The control application is made by the first call, which has to be one on the loop of the state."""
    with Emulator() as emulator:
        with TestClient(emulator.app) as client, pytest.raises(WebSocketDisconnect):
            client.websocket_connect("/_emulator/health").__enter__()
        with TestClient(emulator.app, base_url="http://localhost") as client:
            assert client.get("/_emulator/health").status_code == 200


def test_mounted_app_serves_below_its_path(mounted: TestClient) -> None:
    """The host's own routes stay as they are."""
    id = upload(mounted, "/xai")
    assert mounted.get(f"/xai/v1/files/{id}").json()["bytes"] == 5
    assert mounted.head(f"/xai/v1/files/{id}/content").headers["content-length"] == "5"
    ranged = mounted.get(f"/xai/v1/files/{id}/content", headers={"range": "bytes=1-2"})
    assert (ranged.status_code, ranged.content) == (206, b"el")
    assert mounted.get("/hello").text == "hello"
    assert mounted.get("/v1/files").status_code == 404


def test_mounted_app_decodes_ids_after_the_split(mounted: TestClient) -> None:
    """`%2F` and `%3A` belong to the id there too."""
    assert mounted.get("/xai/v1/batches/team%2Fbatch%3Acancel").json()["error"] == "Batch not found"
    unknown = mounted.get("/xai/v1/batches/team/batch:cancel")
    assert unknown.headers["x-emulator-hint"].startswith("There is no /v1/batches/team/batch:cancel in this API.")
    assert mounted.get("/xai/v1/files/%ff").status_code == 400


def test_mounted_app_refuses_unknown_paths_in_its_dialect(mounted: TestClient) -> None:
    """The paths it speaks of are its own; a wrong method gets Allow."""
    reply = mounted.get("/xai/v1/nope")
    assert (reply.status_code, reply.json()["error"]) == (404, UNKNOWN_ROUTE)
    assert reply.headers["x-emulator-hint"].startswith("There is no /v1/nope in this API.")
    wrong = mounted.patch("/xai/v1/files")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
    journal = mounted.get("/xai/_emulator/requests/unmatched").json()["requests"]
    assert [each["request"]["target"] for each in journal[-2:]] == ["/v1/nope", "/v1/files"]


def test_mounted_app_makes_public_urls_below_its_path(mounted: TestClient) -> None:
    """They can be read without a key."""
    content = ("a.pdf", b"hello", "application/pdf")
    id = mounted.post("/xai/v1/files", files={"file": content}).json()["id"]
    url = mounted.post(f"/xai/v1/files/{id}/public-url").json()["public_url"]
    assert url.startswith("http://localhost/xai/_files-cdn/")
    assert mounted.get(url, headers={"authorization": ""}).content == b"hello"


def test_mounted_control_api_serves_below_its_path(mounted: TestClient) -> None:
    """Its page, its files and its refusals."""
    assert mounted.get("/xai/_emulator/health").status_code == 200
    assert mounted.get("/xai/_emulator", follow_redirects=False).headers["location"] == "/xai/_emulator/"
    browser = {"accept": "text/html"}
    assert mounted.get("/xai/", headers=browser, follow_redirects=False).headers["location"] == "/xai/_emulator/"
    assert "<!doctype html>" in mounted.get("/xai/_emulator/").text
    script = mounted.get("/xai/_emulator/console/main.js")
    assert script.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "/xai/_emulator/nope" in mounted.get("/xai/_emulator/nope").json()["error"]
    foreign = mounted.get("/xai/_emulator/health", headers={"origin": "https://evil.example"})
    assert (foreign.status_code, "x-emulator" in foreign.headers) == (403, True)
