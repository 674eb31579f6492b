"""Pages of elsewhere cannot steer an emulator, whichever path they try; programs on this machine can."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.control.openapi import PREFIX
from emulator.control.route import ControlRoute
from emulator.control.routes import ROUTES
from emulator.pipeline.origin_check import OriginCheck
from emulator.state.settings import BadSetting, from_keywords


def check(**settings: Any) -> OriginCheck:
    """The check of an emulator with these settings."""
    return OriginCheck.of(from_keywords(settings))


FOREIGN = ["evil.example", "evil.example:7878", "localhost.evil.example", "127.0.0.1.evil.example", "", "[", "10.0.0.1"]


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: f"{route.method} {route.path}")
@pytest.mark.parametrize(
    "headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}], ids=["page", "name"]
)
def test_foreign_origin_or_host_returns_403_on_every_path(
    emulator: Emulator, route: ControlRoute, headers: dict[str, str]
) -> None:
    """403 and one sentence, and nothing is done: a Host can be rebound, an Origin cannot be forged by a page."""
    path = route.path.replace("{name}", "default").replace("{id}", "x")
    reply = httpx.request(route.method, f"{emulator.url}{PREFIX}{path}", headers=headers)
    assert reply.status_code == 403, reply.text
    assert "control plane" in reply.json()["error"]
    assert "access-control-allow-origin" not in reply.headers


@pytest.mark.parametrize("host", FOREIGN)
def test_foreign_host_is_refused(host: str) -> None:
    """Only names of this machine are taken."""
    assert check().control_refusal(host, None) is not None


@pytest.mark.parametrize("host", ["localhost", "localhost:7878", "127.0.0.1:1", "[::1]:7878", "LOCALHOST:5", None])
def test_local_host_is_accepted(host: str | None) -> None:
    """By name or address, with or without a port; a client too old for Host is no browser."""
    assert check().control_refusal(host, None) is None


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
def test_only_own_origin_is_accepted(origin: str, taken: bool) -> None:
    """An Origin is the emulator's own if it is the host that is called."""
    assert (check().control_refusal("localhost:7878", origin) is None) == taken


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
def test_public_bind_accepts_addresses_and_bare_host_names(host: str, taken: bool) -> None:
    """What public DNS can answer for could have been rebound, and is refused even then."""
    assert (check(host="0.0.0.0").control_refusal(host, None) is None) == taken
    assert check(host="box.example").control_refusal("box.example:7878", None) is None


# --- names


@pytest.mark.parametrize(
    ("host", "answers"),
    [
        ("localhost:7878", True),
        ("LOCALHOST.", True),
        ("app.localhost:7878", True),
        ("127.0.0.2", True),
        ("[::1]:7878", True),
        ("192.168.1.5:7878", True),  # a forwarded port
        ("xai:7878", True),  # /etc/hosts, a service of compose
        ("host.docker.internal:7878", True),
        ("evil.example", False),
        ("evil.example:7878", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("", False),
        ("[", False),
    ],
)
@pytest.mark.parametrize("listening", ["localhost", "0.0.0.0"])
def test_v1_answers_to_names_that_cannot_be_rebound(listening: str, host: str, answers: bool) -> None:
    """Wherever it listens: what a public DNS server cannot answer for."""
    assert (check(host=listening).api_refusal(host) is None) == answers
    assert check(host=listening).api_refusal(None) is None


@pytest.mark.parametrize(
    ("given", "host", "answers"),
    [
        ("devbox.lan", "devbox.lan:7878", True),
        ("DevBox.Lan.", "devbox.lan", True),
        ("devbox.lan", "DEVBOX.LAN", True),
        ("devbox.lan", "other.devbox.lan", False),
        ("devbox.lan", "devbox.lan.evil.example", False),
        (".devbox.lan", "other.devbox.lan:1", True),
        (".devbox.lan", "a.b.devbox.lan", True),
        (".devbox.lan", "devbox.lan", False),
        (".devbox.lan", "evildevbox.lan", False),
        ("203.0.113.5", "203.0.113.5:7878", True),
        ("2001:db8::1", "[2001:db8::1]:7878", True),
    ],
)
def test_allow_host_adds_a_name_or_all_names_below_a_dot(given: str, host: str, answers: bool) -> None:
    """For the control plane with its console, and for `/v1`."""
    chosen = check(allow_hosts=[given])
    assert (chosen.control_refusal(host, f"http://{host}") is None) == answers
    assert (chosen.api_refusal(host) is None) == answers


def test_public_url_is_a_name_of_the_emulator() -> None:
    """Who gives it expects to be called there."""
    chosen = check(public_url="https://xai.example.org:444/base")
    assert chosen.api_refusal("xai.example.org") is None
    assert chosen.control_refusal("xai.example.org:444", None) is None
    assert chosen.api_refusal("example.org") is not None


@pytest.mark.parametrize("name", ["", ".", "*", "a b", "http://devbox.lan", "devbox.lan:7878", "devbox..lan", "é.lan"])
def test_allow_host_that_is_no_host_refuses_to_start(name: str) -> None:
    """A port or a pattern would never fit a name."""
    with pytest.raises(BadSetting, match="allow_hosts"):
        from_keywords({"allow_hosts": [name]})


def test_refusal_of_a_name_names_the_flag(emulator: Emulator) -> None:
    """On the control plane and on both planes of `/v1`, in the dialect of each; nothing is done and nothing logged."""
    emulator.reset()
    headers = {"host": "devbox.lan", "authorization": "Bearer k"}
    control = httpx.get(f"{emulator.url}/_emulator/clock", headers=headers)
    inference = httpx.post(f"{emulator.base_url}/files", headers=headers, files={"file": ("a.txt", b"a")})
    management = httpx.get(f"{emulator.base_url}/collections", headers=headers)
    preflight = httpx.options(f"{emulator.base_url}/files", headers={**headers, "origin": "http://localhost:3000"})
    assert [reply.status_code for reply in (control, inference, management, preflight)] == [403] * 4
    sentences = [control.json()["error"], inference.json()["error"], management.json()["message"]]
    assert all("'devbox.lan'" in sentence and "--allow-host NAME" in sentence for sentence in sentences)
    assert inference.headers["x-emulator-rule"] == "host"
    assert httpx.get(f"{emulator.base_url}/files", headers={"authorization": "Bearer k"}).json()["data"] == []


def test_allowed_name_is_served_by_every_plane() -> None:
    """The console, the control API and `/v1`."""
    with Emulator(allow_hosts=["devbox.lan"]) as emulator:
        headers = {"host": "devbox.lan:80", "authorization": "Bearer k"}
        for path in ("/_emulator/", "/_emulator/clock", "/v1/files"):
            assert httpx.get(f"{emulator.url}{path}", headers=headers).status_code == 200


@pytest.mark.parametrize("base", ["http://testserver", "https://api.x.ai", "http://localhost"])
async def test_call_within_the_process_may_use_any_name(emulator: Emulator, base: str) -> None:
    """Through `httpx.ASGITransport` there is no browser and no DNS."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(emulator.app), base_url=base) as client:
        assert (await client.get("/v1/files", headers={"authorization": "Bearer k"})).status_code == 200


# --- pages

PAGES = [
    ("http://localhost:3000", True),
    ("https://127.0.0.1:8443", True),
    ("http://[::1]:5173", True),
    ("http://app.localhost", True),
    ("https://evil.example", False),
    ("http://localhost.evil.example", False),
    ("http://127.0.0.1.evil.example", False),
    ("http://10.0.0.1", False),
    ("null", False),
    ("", False),
    ("http://[", False),
    ("file://localhost", False),
]


@pytest.mark.parametrize(("origin", "may"), PAGES)
@pytest.mark.parametrize("method", ["GET", "OPTIONS"])
def test_cors_by_default_lets_pages_of_this_machine_in(emulator: Emulator, method: str, origin: str, may: bool) -> None:
    """Any other page gets no CORS header at all, so its browser shows it nothing and sends no preflighted call."""
    headers = {"origin": origin, "authorization": "Bearer k"}
    reply = httpx.request(method, f"{emulator.base_url}/files", headers=headers)
    assert reply.status_code == 200
    assert reply.headers.get("access-control-allow-origin") == (origin if may else None)
    assert reply.headers.get("vary") == ("origin" if may else None)
    names = {name for name in reply.headers if name.startswith("access-control-")}
    preflight = {"access-control-allow-methods", "access-control-allow-headers"} if method == "OPTIONS" else set()
    expected = {"access-control-allow-origin", "access-control-expose-headers", *preflight}
    assert names == (expected if may else set())


def test_call_without_origin_has_no_cors_headers(emulator: Emulator) -> None:
    """It is no page's."""
    reply = httpx.get(f"{emulator.base_url}/files", headers={"authorization": "Bearer k"})
    assert [name for name in reply.headers if name.startswith("access-control")] == []


@pytest.mark.parametrize("origin", [None, "https://evil.example", "http://localhost:3000"])
def test_cors_any_answers_as_recorded(origin: str | None) -> None:
    """`*` in every header, also for a call without an origin, and in a preflight that answers 200."""
    headers = {"authorization": "Bearer k"} | ({} if origin is None else {"origin": origin})
    with Emulator(cors="any") as emulator:
        preflight = httpx.options(f"{emulator.base_url}/files", headers=headers)
        assert preflight.status_code == 200
        for name in ("allow-origin", "allow-methods", "allow-headers", "expose-headers"):
            assert preflight.headers.get_list(f"access-control-{name}") == ["*"]
        reply = httpx.get(f"{emulator.base_url}/files", headers=headers)
        assert reply.headers.get_list("access-control-allow-origin") == ["*"]
        assert "access-control-allow-origin" not in httpx.get(f"{emulator.url}/_emulator/clock").headers


def test_cors_off_lets_no_page_in() -> None:
    """Not even one of this machine."""
    with Emulator(cors="off") as emulator:
        headers = {"origin": "http://localhost:3000", "authorization": "Bearer k"}
        for method in ("GET", "OPTIONS"):
            reply = httpx.request(method, f"{emulator.base_url}/files", headers=headers)
            assert [name for name in reply.headers if name.startswith("access-control")] == []


# --- paths


@pytest.mark.parametrize(
    "path", ["/nope", "", "/", "/clock/", "/clock/nope", "//health", "/teams//", "/%2e%2e/v1/files"]
)
def test_unknown_control_path_returns_404(control: httpx.Client, path: str) -> None:
    """404 in JSON with the version, for every method."""
    for method in ("POST", "PUT", "DELETE"):
        reply = control.request(method, path)
        assert reply.status_code == 404
        assert reply.json()["schema_version"] == 1


def test_wrong_method_returns_405_with_allow(control: httpx.Client) -> None:
    """405 with Allow."""
    reply = control.put("/clock")
    assert (reply.status_code, reply.headers["allow"]) == (405, "GET, HEAD")
    assert control.head("/clock").content == b""
    assert control.head("/clock").status_code == 200
    assert control.head("/requests/stream").headers["content-type"] == "text/event-stream"  # and it ends


@pytest.mark.parametrize("query", ["tem=a", "team=", "team=a/b", "team=a&team=b", "team=%ff"])
def test_invalid_control_query_returns_400(control: httpx.Client, query: str) -> None:
    """A typing error in `team` would else act on the default team."""
    assert control.get(f"/clock?{query}").status_code == 400


def test_control_body_over_limit_returns_413(control: httpx.Client) -> None:
    """413, as soon as that is known."""
    assert control.post("/requests/count", content=b" " * (4 * 1024 * 1024 + 1)).status_code == 413


@pytest.mark.parametrize("body", [b"{", b"\xff", b"[]", b"", b"{" * 100_000])
def test_broken_control_body_returns_400(control: httpx.Client, body: bytes) -> None:
    """400 and why."""
    reply = control.post("/scripts", content=body)
    assert reply.status_code == 400
    assert reply.json()["error"].startswith("the body")
