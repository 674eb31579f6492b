"""`xai-emulator record`."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS, start_command, until

KEY = "xai-" + "Real0Inference1Key2" * 4
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XAI_MANAGEMENT_KEY", "XAI_MANAGEMENT_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XAI_API_KEY", KEY)
    monkeypatch.setenv("SOME_OTHER_NAME", KEY)


CHILD = """
import os, sys, urllib.request
assert SECRET not in os.environ.values()
request = urllib.request.Request(os.environ["OPENAI_BASE_URL"] + "/files")
request.add_header("authorization", "Bearer " + os.environ["XAI_API_KEY"])
print(urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).status)
sys.exit(7)
"""


@pytest.mark.usefixtures("keys")
def test_command_is_recorded_without_seeing_the_key(run: Run, service: Emulator, tmp_path: Path) -> None:
    out = tmp_path / "live.har"
    child = CHILD.replace("SECRET", repr(KEY))
    code, _, err = run("record", "--out", str(out), "--to", service.url, "--", sys.executable, "-c", child)
    assert code == 7
    (entry,) = json.loads(out.read_text())["log"]["entries"]
    assert (entry["_operation"], entry["response"]["status"]) == ("files.list", 200)
    assert "1 exchanges (1 REST, 0 gRPC) with 1 operations" in err
    assert KEY not in out.read_text() + err


@pytest.mark.usefixtures("keys")
def test_existing_file_is_not_replaced(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "live.har"
    out.write_text("precious")
    code, _, err = run("record", "--out", str(out), "--to", "http://localhost:1", "--", "true")
    assert (code, "--overwrite" in err, out.read_text()) == (2, True, "precious")


@pytest.mark.usefixtures("keys")
@pytest.mark.parametrize(
    ("flags", "word"),
    [
        (["--host", "0.0.0.0"], "--own-keys"),
        (["--keep", "everything"], "cookies"),
        (["--to", "ftp://x"], "is not a URL"),
        (["--to", "http://localhost:1/v1"], "without a path"),
        (["--grpc-to", "localhost:nan"], "HOST:PORT"),
    ],
)
def test_wrong_flag_is_refused(run: Run, tmp_path: Path, flags: list[str], word: str) -> None:
    out = tmp_path / "live.har"
    code, _, err = run("record", "--out", str(out), "--to", "http://localhost:1", *flags, "--", "true")
    assert code == 2
    assert word in err
    assert not out.exists()


def test_run_without_a_key_is_refused(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("XAI_API_KEY", "XAI_MANAGEMENT_KEY", "XAI_MANAGEMENT_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    code, _, err = run("record", "--", "true")
    assert (code, "XAI_API_KEY" in err) == (2, True)


class Recording:
    """`xai-emulator record` as a process of its own."""

    def __init__(self, out: Path, to: str) -> None:
        self.process = start_command("record", "--out", out, "--to", to, "--port", "0", XAI_API_KEY=KEY)
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        words = self.process.stdout.readline().split()
        self.url = words[2]
        exported = (line.removeprefix("export ").strip().partition("=") for line in self.process.stderr)
        self.key = next(value for name, _, value in exported if name == "XAI_API_KEY")

    def files(self) -> int:
        headers = {"authorization": f"Bearer {self.key}"}
        return httpx.get(f"{self.url}/v1/files", headers=headers, timeout=PATIENCE_SECONDS, trust_env=False).status_code

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(PATIENCE_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()
        return code


def test_signal_ends_the_recording(service: Emulator, tmp_path: Path) -> None:
    out = tmp_path / "live.har"
    recording = Recording(out, service.url)
    assert recording.files() == 200
    assert recording.end(signal.SIGTERM) == 0
    assert len(json.loads(out.read_text())["log"]["entries"]) == 1


def test_kill_leaves_a_whole_file(service: Emulator, tmp_path: Path) -> None:
    out = tmp_path / "live.har"
    recording = Recording(out, service.url)
    for _ in range(5):
        assert recording.files() == 200
    until(lambda: len(json.loads(out.read_text())["log"]["entries"]) == 5)
    assert recording.end(signal.SIGKILL) == -signal.SIGKILL
    assert len(json.loads(out.read_text())["log"]["entries"]) == 5
    assert os.stat(out).st_mode & 0o077 == 0


FOREIGN = {
    "log": {
        "version": "1.2",
        "creator": {"name": "WebInspector", "version": "1"},
        "entries": [
            {
                "startedDateTime": "2026-11-21T12:00:00Z",
                "request": {
                    "method": "GET",
                    "url": "https://api.x.ai/v1/files?filter=owner%40example.org",
                    "headers": [
                        {"name": "Authorization", "value": f"Bearer {KEY}"},
                        {"name": "Cookie", "value": "a=b1c2"},
                    ],
                },
                "response": {
                    "status": 200,
                    "content": {
                        "size": 2,
                        "mimeType": "application/json",
                        "text": '{"data":[],"owner":"a@example.org"}',
                    },
                },
            },
            {
                "request": {
                    "method": "POST",
                    "url": "https://api.x.ai/v1/files",
                    "postData": {"mimeType": "multipart/form-data; boundary=x", "text": "--x the secret content"},
                },
                "response": {"status": 200, "content": {}},
            },
            {
                "request": {"method": "GET", "url": "https://api.x.ai/v1/files/file_1/content"},
                "response": {"status": 200, "content": {"mimeType": "application/json", "text": "the secret content"}},
            },
            {
                "request": {
                    "method": "POST",
                    "url": "https://elsewhere.example/login",
                    "postData": {"text": "password"},
                },
                "response": {"status": 200, "content": {"text": "the secret content"}},
            },
        ],
    }
}


def test_har_of_a_browser_is_sanitized(run: Run, tmp_path: Path) -> None:
    source, out = tmp_path / "browser.har", tmp_path / "clean.har"
    source.write_text(json.dumps(FOREIGN))
    code, _, err = run("record", "--from", str(source), "--out", str(out))
    assert (code, "3 exchanges; left out: 1" in err) == (0, True)
    text = out.read_text()
    assert not any(secret in text for secret in (KEY, "b1c2", "example.org", "secret content", "elsewhere", "password"))
    listed, upload, download = json.loads(text)["log"]["entries"]
    assert (listed["_operation"], listed["response"]["status"]) == ("files.list", 200)
    assert upload["request"]["postData"]["_bytes"] == len("--x the secret content")
    assert download["response"]["content"]["size"] == len("the secret content")
    assert run("record", "--from", str(source), "--out", str(out))[0] == 2


def test_bodies_that_are_not_understood_are_left_out_of_a_sanitized_file(run: Run, tmp_path: Path) -> None:
    """Chat, whose prompts no rule knows, a gRPC method that is not known, and the content of an upload over gRPC."""
    from emulator.rpc.messages import load

    chunk = load().message("xai_api.UploadFileChunk")(data=b"the secret content").SerializeToString()
    frame = b"\0" + len(chunk).to_bytes(4, "big") + chunk
    answer = {"status": 200, "content": {"mimeType": "application/json", "text": '{"x":"the secret content"}'}}
    requests = [
        ("/v1/chat/completions", {"mimeType": "application/json", "text": '{"prompt":"the secret content"}'}),
        ("/xai_api.Chat/Unknown", {"mimeType": "application/grpc", "text": "the secret content"}),
        ("/xai_api.Files/UploadFile", {"mimeType": "application/grpc", "text": frame.decode()}),
    ]
    entries = [
        {"request": {"method": "POST", "url": f"https://api.x.ai{path}", "postData": body}, "response": answer}
        for path, body in requests
    ]
    entries[2]["response"] = {"status": 200, "headers": {"grpc-status": "3"}, "content": {}}
    source, out = tmp_path / "theirs.har", tmp_path / "clean.har"
    source.write_text(json.dumps({"log": {"entries": entries}}))
    assert run("record", "--from", str(source), "--out", str(out))[0] == 0
    text = out.read_text()
    assert "secret" not in text
    assert "c2VjcmV0" not in text
    chat, unknown, upload = json.loads(text)["log"]["entries"]
    assert chat["request"]["postData"]["_bytes"] == len(requests[0][1]["text"])
    assert unknown["_grpc"]["messages"] == {"request": 0, "response": 0}
    assert upload["_grpc"]["request"] == [{"data": {"_bytes": 18}}]
