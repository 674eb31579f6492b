"""Clients that offer h2c with their first request, as HTTP/1.1 lets them: curl and the JDK's default client."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import httpx
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS


def has_curl_with_http2() -> bool:
    """Whether the curl on this machine can offer h2c."""
    curl = shutil.which("curl")
    return curl is not None and b"HTTP2" in subprocess.run([curl, "--version"], capture_output=True).stdout


@pytest.mark.skipif(not has_curl_with_http2(), reason="there is no curl that speaks HTTP/2 here")
@pytest.mark.parametrize("framing", [[], ["-H", "Transfer-Encoding: chunked"]], ids=["length", "chunked"])
def test_curl_http2_uploads_a_file(emulator: Emulator, rest: httpx.Client, framing: list[str]) -> None:
    key = f"Authorization: Bearer {emulator.api_key}"
    command = ["curl", "-sS", "--http2", "-H", key, *framing, "-F", "file=hello;filename=a.txt"]
    done = subprocess.run([*command, f"{emulator.base_url}/files"], capture_output=True, text=True, check=True)
    (file,) = rest.get("/v1/files").json()["data"]
    assert file["id"] in done.stdout
    assert rest.get(f"/v1/files/{file['id']}/content").content == b"hello"


@pytest.mark.skipif(shutil.which("javac") is None, reason="there is no JDK here")
def test_default_java_client_uploads_files(emulator: Emulator, rest: httpx.Client) -> None:
    """With a Content-Length and in chunks, over HTTP/1.1, whatever it offered."""
    program = Path(__file__).with_name("Upgrade.java")
    done = subprocess.run(
        ["java", "-Xshare:auto", "-XX:TieredStopAtLevel=1", str(program), emulator.url],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.stdout.splitlines() == ["200 HTTP_1_1", "200 HTTP_1_1", "200"], done.stderr
    files = rest.get("/v1/files").json()["data"]
    assert [file["filename"] for file in files] == ["java.txt", "java.txt"]
    assert rest.get(f"/v1/files/{files[0]['id']}/content").content == b"from Java"
