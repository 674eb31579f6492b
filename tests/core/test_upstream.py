"""Servers that the emulator calls get the key that was given for them, and no other server does."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from emulator.cli import main
from emulator.core.upstream import Upstream, UpstreamError
from tests.serving import PATIENCE_SECONDS

KEY = "sk-0123456789abcdef"


class Server(ThreadingHTTPServer):
    """Answers every request with a prepared response, and records the path and the key of each."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.seen: list[tuple[str, str | None]] = []
        self.status, self.location, self.content = 200, "", b"{}"
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"] or 0))
        self.server.seen.append((self.path, self.headers["authorization"]))
        self.send_response(self.server.status)
        if self.server.location:
            self.send_header("location", self.server.location)
        self.send_header("content-length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content)

    do_GET = do_POST

    def log_message(self, *arguments: Any) -> None:
        """Say nothing."""


@pytest.fixture
def servers() -> Iterator[tuple[Server, Server]]:
    """Two servers: one that is asked, and another."""
    with Server() as first, Server() as second:
        threads = [
            threading.Thread(target=each.serve_forever, kwargs={"poll_interval": 0.01}) for each in (first, second)
        ]
        for thread in threads:
            thread.start()
        yield first, second
        for each in (first, second):
            each.shutdown()
        for thread in threads:
            thread.join()


def post(server: Server) -> Any:
    """Ask a server, with a key."""
    return Upstream.from_url(server.url.replace("//", f"//{KEY}@") + "/v1").post(
        "/x", {}, timeout_seconds=PATIENCE_SECONDS
    )


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_to_another_host_is_refused_with_a_sentence(servers: tuple[Server, Server], status: int) -> None:
    """The key reaches the first server alone, whatever the kind of redirect."""
    first, second = servers
    first.status, first.location = status, f"{second.url}/v1/x?leak={KEY}"
    with pytest.raises(UpstreamError, match=f"answered {status}, a redirect to '127.0.0.1': not followed") as failure:
        post(first)
    assert first.seen == [("/v1/x", f"Bearer {KEY}")]
    assert second.seen == []
    assert KEY not in str(failure.value)


@pytest.mark.parametrize("location", ["", "/elsewhere", "http://["])
def test_redirect_without_another_host_is_refused_too(servers: tuple[Server, Server], location: str) -> None:
    """A location that is missing, relative or broken gives the same sentence."""
    servers[0].status, servers[0].location = 302, location
    with pytest.raises(UpstreamError, match="a redirect to another path"):
        post(servers[0])


def test_error_that_repeats_the_key_is_shown_without_it(servers: tuple[Server, Server]) -> None:
    """In the sentence, and in what the server said."""
    servers[0].status, servers[0].content = 401, b'{"error": {"message": "Incorrect API key: %s."}}' % KEY.encode()
    with pytest.raises(UpstreamError) as failure:
        post(servers[0])
    assert failure.value.said == "Incorrect API key: [redacted]."
    assert KEY not in str(failure.value)


def test_key_that_no_header_can_carry_is_refused() -> None:
    """Without quoting it."""
    with pytest.raises(ValueError, match="not printable ASCII") as refusal:
        Upstream.from_url(f"http://{KEY}%0a@localhost/v1")
    assert KEY not in str(refusal.value)


def test_repr_of_an_upstream_holds_no_key() -> None:
    """A struct would show all its fields."""
    assert KEY not in repr(Upstream.from_url(f"http://{KEY}@localhost/v1"))


def test_command_line_follows_no_redirect(servers: tuple[Server, Server], capsys: pytest.CaptureFixture[str]) -> None:
    """The control token goes to the emulator that was named, and nowhere else."""
    first, second = servers
    first.status, first.location = 302, second.url
    assert main(["faults", "list", "--url", first.url, "--control-token", KEY]) == 1
    assert first.seen == [("/_emulator/faults?team=default", f"Bearer {KEY}")]
    assert second.seen == []
    assert "a redirect to '127.0.0.1': not followed" in capsys.readouterr().err
