"""Pages of elsewhere cannot steer an emulator, whichever path they try; programs on this machine can."""

from __future__ import annotations

import httpx
import pytest

from emulator import Emulator
from emulator.control.guard import foreign_caller
from emulator.control.openapi import PREFIX
from emulator.control.route import ControlRoute
from emulator.control.routes import ROUTES

FOREIGN = ["evil.example", "evil.example:7878", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}], ids=["page", "name"]
)
def test_no_path_answers_a_page_of_elsewhere(emulator: Emulator, route: ControlRoute, headers: dict[str, str]) -> None:
    """403 and one sentence, and nothing is done: a Host can be rebound, an Origin cannot be forged by a page."""
    path = route.path.replace("{name}", "default").replace("{id}", "x")
    reply = httpx.request(route.method, f"{emulator.url}{PREFIX}{path}", headers=headers)
    assert reply.status_code == 403, reply.text
    assert "control plane" in reply.json()["error"]
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("host", FOREIGN)
def test_a_foreign_host_is_refused(host: str) -> None:
    """Only names of this machine are taken."""
    assert foreign_caller(host, None, "localhost") is not None


@pytest.mark.parametrize("host", ["localhost", "localhost:7878", "127.0.0.1:1", "[::1]:7878", "LOCALHOST:5", None])
def test_a_local_host_is_taken(host: str | None) -> None:
    """By name or address, with or without a port; a client too old for Host is no browser."""
    assert foreign_caller(host, None, "localhost") is None


@pytest.mark.parametrize(
    ("origin", "taken"),
    [
        ("http://localhost:7878", True),
        ("http://localhost:3000", False),  # a page of another program on this machine
        ("http://127.0.0.1:7878", False),
        ("https://evil.example", False),
        ("null", False),
        ("", False),
        ("http://[", False),
    ],
)
def test_only_the_emulators_own_page_may_ask(origin: str, taken: bool) -> None:
    """An Origin is the emulator's own if it is the host that is called."""
    assert (foreign_caller("localhost:7878", origin, "localhost") is None) == taken


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        ("10.0.0.7:7878", True),
        ("[fd00::1]:7878", True),
        ("xai-emulator:7878", True),  # a name in a private network of containers
        ("host.docker.internal:7878", True),
        ("mac.local", True),
        ("evil.example", False),
    ],
)
def test_who_listens_everywhere_is_called_by_address_or_bare_name(host: str, taken: bool) -> None:
    """What public DNS can answer for could have been rebound, and is refused even then."""
    assert (foreign_caller(host, None, "0.0.0.0") is None) == taken
    assert foreign_caller("box.example:7878", None, "box.example") is None


def test_the_api_itself_answers_every_page(emulator: Emulator) -> None:
    """As the real service does: CORS is open there, and a key is needed."""
    headers = {"origin": "https://evil.example", "authorization": "Bearer k"}
    reply = httpx.get(f"{emulator.base_url}/files", headers=headers)
    assert (reply.status_code, reply.headers["access-control-allow-origin"]) == (200, "*")


@pytest.mark.parametrize(
    "path", ["/nope", "", "/", "/clock/", "/clock/nope", "//health", "/teams//", "/%2e%2e/v1/files"]
)
def test_an_unknown_path_is_never_silently_fine(control: httpx.Client, path: str) -> None:
    """404 in JSON with the version, for every method."""
    for method in ("POST", "PUT", "DELETE"):
        reply = control.request(method, path)
        assert reply.status_code == 404
        assert reply.json()["schema_version"] == 1


def test_a_wrong_method_names_the_right_ones(control: httpx.Client) -> None:
    """405 with Allow."""
    reply = control.put("/clock")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    assert control.head("/clock").content == b""
    assert control.head("/clock").status_code == 200
    assert control.head("/requests/stream").headers["content-type"] == "text/event-stream"  # and it ends


@pytest.mark.parametrize("query", ["tem=a", "team=", "team=a/b", "team=a&team=b", "team=%ff"])
def test_a_query_that_is_not_understood_is_refused(control: httpx.Client, query: str) -> None:
    """A typing error in `team` would else act on the default team."""
    assert control.get(f"/clock?{query}").status_code == 400


def test_a_body_is_bounded(control: httpx.Client) -> None:
    """413, as soon as that is known."""
    assert control.post("/requests/count", content=b" " * (4 * 1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b"", b"{" * 100_000])
def test_a_broken_body_is_refused(control: httpx.Client, body: bytes) -> None:
    """400 and why."""
    reply = control.post("/scripts", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("the body")
