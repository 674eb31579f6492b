"""`--log requests`: one line on the terminal for each call of every team."""

from __future__ import annotations

import re

import httpx
import pytest

from emulator import Emulator
from tests.rpc.client import Rpc, message
from tests.serving import KEY, Served, until


def test_call_is_logged_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator(log="requests") as emulator, httpx.Client(base_url=emulator.url, headers=KEY) as rest:
        rest.get("/v1/files?limit=2")
        rest.get("/v1/files/file_1", headers={"authorization": "Bearer xai-emulator@ada"})
        rest.get("/v1/nothing")
        rest.get("/_emulator/health")
        with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
            rpc.call("xai_api.Files/ListFiles", message("xai_api.ListFilesRequest"))
    lines = [re.sub(r"^\d\d:\d\d:\d\d\.\d{3} | +\d+\.\d ms", "", line) for line in capsys.readouterr().err.splitlines()]
    assert [" ".join(line.split()) for line in lines] == [
        "rest 200 files.list GET /v1/files?limit=2",
        "rest 404 files.get GET /v1/files/file_1 team=ada rule=not_found",
        "rest 404 - GET /v1/nothing rule=unknown_route",
        "grpc OK files.list POST /xai_api.Files/ListFiles",
    ]


def test_nothing_is_logged_by_default(capsys: pytest.CaptureFixture[str]) -> None:
    with Emulator() as emulator:
        httpx.get(f"{emulator.base_url}/files", headers=KEY)
    assert capsys.readouterr().err == ""


def test_served_process_logs_requests_or_is_quiet() -> None:
    with Served("--log", "requests") as served:
        served.upload("a.txt", b"secret content")
        until(lambda: any("files.upload" in line for line in served.said))
        assert not any("secret content" in line for line in served.said)
    with Served("--quiet") as served:
        served.upload("a.txt", b"x")
        served.stop()
    assert served.said == []
