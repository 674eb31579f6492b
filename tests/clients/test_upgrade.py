"""A client that offers h2c with its first request, as HTTP/1.1 lets it: curl. For that of the JDK: tests/languages."""

from __future__ import annotations

import shutil
import subprocess

import httpx
import pytest

from emulator import Emulator


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
