"""`xai-emulator mcp` under the official client of the Model Context Protocol."""

from __future__ import annotations

import argparse
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import pytest

from emulator import Emulator
from emulator.cli import main
from emulator.cli.mcp import build_server
from emulator.cli.mcp_tools import DESTRUCTIVE, TOOLS, tools
from tests.serving import environment

# Imported by the tests: it takes two seconds, which every process that only collects this module would spend too.
pytestmark = pytest.mark.skipif(find_spec("mcp") is None, reason="needs the package mcp")


def connected(emulator: Emulator) -> Any:
    """A client of the server for an emulator that was reset, both in this process; to be entered and left in a test."""
    import mcp

    emulator.reset()
    return mcp.Client(build_server(argparse.Namespace(url=emulator.url, control_token=None)))


async def result_of(client: Any, tool: str, **arguments: Any) -> Any:
    """What a tool returns."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    assert json.loads(result.content[0].text) == result.structured_content
    return result.structured_content


async def error_of(client: Any, tool: str, **arguments: Any) -> str:
    """The sentence with which a tool fails."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    return str(result.content[0].text)


async def test_tools_are_listed_with_valid_schemas_and_hints(emulator: Emulator) -> None:
    """Each has a purpose, the JSON Schema of its arguments, and says whether it changes or removes something."""
    async with connected(emulator) as client:
        listed = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert listed.keys() == TOOLS.keys()
        for name, tool in listed.items():
            jsonschema_rs.meta.validate(tool.input_schema)
            assert tool.description.endswith("."), name
            assert tool.annotations.destructive_hint == (name in DESTRUCTIVE)
            assert not (tool.annotations.read_only_hint and tool.annotations.destructive_hint)
        assert {name for name, tool in listed.items() if tool.annotations.read_only_hint} >= {"list_calls", "search"}
        assert not any(listed[name].annotations.read_only_hint for name in ("plan_fault", "advance_clock", "run_jobs"))


async def test_agent_sees_calls_and_plans_faults(emulator: Emulator) -> None:
    """A planned fault meets the next call of the program, and the agent reads that in the list of calls."""
    async with connected(emulator) as client:
        key = {"authorization": f"Bearer {emulator.api_key}"}
        planned = await result_of(client, "plan_fault", operation="files.list", status=503)
        assert planned["rule"]["rule"]["status"] == 503
        assert httpx.get(f"{emulator.base_url}/files", headers=key).status_code == 503
        assert httpx.get(f"{emulator.base_url}/file", headers=key).status_code == 404
        calls = (await result_of(client, "list_calls", operation="files.list"))["requests"]
        assert [(call["status"], len(call["faults"])) for call in calls] == [(503, 1)]
        assert (await result_of(client, "list_unknown_calls"))["requests"][0]["request"]["target"] == "/v1/file"
        code = await result_of(client, "show_call_as_code", number=calls[0]["number"])
        assert "curl" in code["curl"]
        await result_of(client, "verify_calls", operation="files.list", times=1)
        assert (await result_of(client, "clear_calls"))["cleared"]["requests"] == 2


async def test_agent_moves_clock_and_searches(emulator: Emulator) -> None:
    """The clock of the team that is named moves, and its collections are searched with ranks."""
    async with connected(emulator) as client:
        before = await result_of(client, "read_clock", team="ada")
        await result_of(client, "advance_clock", team="ada", seconds=3600)
        after = await result_of(client, "read_clock", team="ada")
        assert after["now"] > before["now"]
        management = {"authorization": f"Bearer {emulator.management_key}@ada"}
        with httpx.Client(base_url=emulator.base_url, headers=management) as http:
            collection = http.post("/collections", json={"collection_name": "c"}).json()["collection_id"]
            files = {"name": (None, "a.txt"), "data": ("a.txt", b"Solar panels turn light into power.", "text/plain")}
            assert http.post(f"/collections/{collection}/documents", files=files).status_code == 200
        found = await result_of(client, "search", team="ada", query="solar", source={"collection_ids": [collection]})
        assert found["matches"][0]["rank"] == 1
        assert (await result_of(client, "count_resources", team="ada"))["documents"] == 1
        await result_of(client, "save_snapshot", team="ada", name="before")
        await result_of(client, "reset_team", team="ada")
        assert (await result_of(client, "count_resources", team="ada"))["documents"] == 0
        await result_of(client, "restore_snapshot", team="ada", name="before")
        assert (await result_of(client, "count_resources", team="ada"))["documents"] == 1


async def test_wrong_arguments_are_errors_with_reason(emulator: Emulator) -> None:
    """Of a tool that is unknown, of an argument, and of what the control API refuses."""
    async with connected(emulator) as client:
        assert (
            await error_of(client, "plan_fault", operation="files.list", colour="red") == "plan_fault takes no 'colour'"
        )
        assert await error_of(client, "show_call_as_code") == "show_call_as_code needs 'number'"
        assert "no_such_operation" in await error_of(client, "plan_fault", operation="no_such_operation", status=503)
        assert await error_of(client, "restore_snapshot", name="a/../b")


async def test_guide_is_a_resource(emulator: Emulator) -> None:
    """It is the page that `/llms.txt` serves."""
    async with connected(emulator) as client:
        resources = (await client.list_resources()).resources
        assert [str(each.uri) for each in resources] == ["emulator://guide"]
        read = await client.read_resource("emulator://guide")
        assert read.contents[0].text == httpx.get(f"{emulator.url}/llms.txt").text


async def test_command_serves_on_stdin_and_stdout(emulator: Emulator) -> None:
    """The process that an agent starts answers, and ends when its input does."""
    import mcp

    command = mcp.StdioServerParameters(
        command=sys.executable,
        args=["-m", "emulator", "mcp", "--url", emulator.url],
        env=environment(),
        cwd=Path(__file__).parents[2],
    )
    async with mcp.Client(command) as client:
        assert (await result_of(client, "read_clock"))["schema_version"] == 1


def test_dead_emulator_is_named() -> None:
    """The sentence says where no emulator answers, and how to start one."""
    from emulator.cli.client import ControlFailed
    from emulator.cli.mcp import _call

    with pytest.raises(ControlFailed, match="no emulator answers at http://localhost:9"):
        _call(argparse.Namespace(url="http://localhost:9", control_token=None), "read_clock", {})


def test_missing_package_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without the official package the command says what to install."""
    monkeypatch.setitem(sys.modules, "mcp.server.stdio", None)
    assert main(("mcp",)) == 1
    assert capsys.readouterr().err == "xai-emulator: this needs a package: pip install 'mcp>=2'\n"


def test_every_argument_of_a_tool_goes_somewhere() -> None:
    """Path, query or body: none is dropped."""
    for tool in tools().values():
        in_path = {name for name in tool.schema["properties"] if f"{{{name}}}" in tool.path}
        assert in_path | tool.in_query | tool.in_body == tool.schema["properties"].keys(), tool.name
