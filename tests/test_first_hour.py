"""The first hour: the demo from its first line to its last."""

from __future__ import annotations

import io
import socket

import pytest

from emulator.cli import main
from emulator.runtime import demo

STEPS = (
    "An emulator is running",
    "Upload a file that expires",
    "Make a collection with fields",
    "Search",
    "Run a batch",
    "Let an hour pass in a millisecond",
    "Let the next call fail",
    "Look at it",
)


def test_demo_runs_all_steps(capsys: pytest.CaptureFixture[str]) -> None:
    """Upload, collection, fields, search, batch, time and faults, with both SDKs; each step prints its result."""
    stream = io.StringIO()
    assert demo.demo(0, once=True, out=stream) == 0
    out, err = stream.getvalue(), capsys.readouterr().err
    places = [out.index(step) for step in STEPS]
    assert places == sorted(places)
    for outcome in (
        "expires 3600 seconds after its creation",
        f"{demo.DOCUMENTS} documents, {demo.DOCUMENTS} chunks, all indexed already",
        demo.FIRST,
        "parental-leave.txt",
        "3 of 3 requests are done",
        "File not found: it has expired",
        "2 attempts: 503, then 200",
        "/_emulator/",
    ):
        assert outcome in out
    assert "\x1b" not in out, "no colours without a terminal"
    assert err == ""


def test_demo_without_sdk_names_install_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an SDK the demo names the command that installs it."""
    monkeypatch.setattr(demo, "find_spec", lambda name: None)
    assert main(["demo", "--once"]) == 2
    assert "pip install openai xai-sdk" in capsys.readouterr().err


def test_demo_on_taken_port_exits_with_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    """A port in use is named, with what to do."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--once", "--port", str(port)]) == 1
    assert str(port) in capsys.readouterr().err
