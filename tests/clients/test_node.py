"""OpenAI's Node SDK and the AI SDK, each in a process of its own."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.serving import PATIENCE_SECONDS

NODE = shutil.which("node")
SCRIPTS = Path(__file__).parent.parent / "node"

pytestmark = pytest.mark.skipif(
    NODE is None or not (SCRIPTS / "node_modules").is_dir(),
    reason="node, or the packages that `make test` installs for it, are missing",
)


def run(script: str, emulator: Emulator, *arguments: str) -> Any:
    """The JSON that a script prints."""
    command = [str(NODE), script, emulator.base_url, emulator.api_key, *arguments]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_openai_for_node(emulator: Emulator, rest: httpx.Client) -> None:
    """It uploads, pages, reads and deletes; a file before its expiry is refused with words that name the fix."""
    said = run("files.mjs", emulator)
    assert said["expiryFirst"]["expires_at"] == said["expiryFirst"]["created_at"] + 3600
    assert said["fileFirst"]["status"] == 400
    assert "{ expires_after: …, file: … }" in said["fileFirst"]["body"]
    # OpenAI for Node asks for a next page only where `has_more` is true, which the Files API never says: one page.
    assert said["listed"] == ["plain.txt"]
    assert said["content"] == "from node"
    assert said["deleted"]["deleted"] is True
    assert said["missing"] == 404


def test_chat_for_node(emulator: Emulator, rest: httpx.Client) -> None:
    """It creates, streams, calls tools and reads JSON; a refusal has its status."""
    output = run("chat.mjs", emulator)
    assert output["created"] == output["streamed"] == "one two three"
    assert [piece for piece in output["pieces"] if piece] == ["one", " two", " three"]
    assert output["refused"] == 400
    assert [call["function"]["name"] for call in output["called"]] == ["weather"]
    assert json.loads(output["parsed"]) == {"city": ""}
    assert output["usage"]["completion_tokens"] > 0


@pytest.fixture
def garden(emulator: Emulator, rest: httpx.Client) -> tuple[str, str]:
    """A collection with a file, and the id of the file."""
    team = EmulatedTeam(emulator, "default")
    collection = team.call("POST", "/v1/collections", {"collection_name": "garden"})["collection_id"]
    file = team.upload("garden.md", b"The ferns are watered on Monday.")
    team.call("POST", f"/v1/collections/{collection}/documents/{file}", {})
    return collection, file


QUOTE = 'From garden.md: "The ferns are watered on Monday."'


def test_openai_for_node_creates_streams_parses_and_stores_responses(
    emulator: Emulator, garden: tuple[str, str]
) -> None:
    collection, file = garden
    output = run("responses.mjs", emulator, collection)
    assert (output["created"], output["streamed"], output["text"]) == ("one two three", "one two three", "one two")
    assert output["types"][0] == "response.created"
    assert output["types"][-1] == "response.completed"
    assert output["parsed"] == {"city": ""}
    assert output["called"] == [["function_call", "weather", '{"city": ""}']]
    assert output["answered"] == "weather: rain"
    assert output["found"] == ["file_search_call", "message"]
    assert output["results"] == ["The ferns are watered on Monday."]
    assert output["quoted"] == f"{QUOTE} [[1]](collections://{collection}/files/{file})"
    assert (output["kept"], output["items"], output["gone"]) == ("one two three", ["one two three"], 404)
    assert output["refused"] == [400, '400 "Argument not supported: background"']
    assert output["usage"]["total_tokens"] == output["usage"]["input_tokens"] + output["usage"]["output_tokens"]


@pytest.mark.skipif(not (SCRIPTS / "node_modules" / "ai").is_dir(), reason="the npm package ai is missing")
def test_ai_sdk_generates_streams_calls_functions_and_searches(emulator: Emulator, garden: tuple[str, str]) -> None:
    collection, file = garden
    call = {"tool_calls": [{"name": "weather", "arguments": {"city": "Bern"}}]}
    emulator.answer("Rain", call, turn=1)
    emulator.answer("Think", {"reasoning": "step by step", "content": "done"})
    output = run("ai_sdk.mjs", emulator, collection, file)
    assert (output["text"], output["finish"], output["pieces"]) == ("one two three", "stop", ["one", " two", " three"])
    assert output["streamed"] == ["stop", output["tokens"]]
    assert output["object"] == {"city": ""}
    assert [output["looped"], output["streamedLoop"]] == ["weather: rain in Bern"] * 2
    assert output["asked"] == ["Bern", "Bern"]
    assert output["thoughts"] == ["step by step"] * 2
    uri = f"collections://{collection}/files/{file}"
    assert output["found"] == output["searched"] == f"{QUOTE} [[1]]({uri})"
    assert output["sources"] == [uri]
    [found] = output["results"]
    assert (found["queries"], [each["fileId"] for each in found["results"]]) == (["ferns"], [file])
    assert {"tool-call", "tool-result", "text-delta", "source", "finish"} <= set(output["parts"])
    assert output["attached"] == QUOTE
    assert output["refused"] == [400, "invalid-argument: Model not found: grok-2"]


def test_media_for_node(emulator: Emulator, rest: httpx.Client) -> None:
    """The AI SDK generates and edits images, and starts a video and asks for it."""
    output = run("media.mjs", emulator)
    assert output["images"] == [b"\x89PNG\r\n\x1a\n".hex()] * 2
    assert output["cost"] == 220_000_000
    assert output["refused"][0] == 404
    assert output["refused"][1].startswith("not-found: The model no-such-model does not exist")
    assert output["status"] == "completed"
    assert (output["video"]["duration"], output["video"]["progress"]) == (3, 100)


READ = {"type": "text", "id": "a", "status": "cancelled", "error": {"message": "Batch cancelled", "code": "1"}}


@pytest.mark.parametrize(
    ("chaos", "results", "failed"),
    [
        (None, [], {"name": "AI_APICallError", "message": "Invalid JSON response"}),
        ("7:error_objects", [READ], None),
    ],
)
def test_ai_sdk_reads_errors_of_batches_only_as_objects(chaos: str | None, results: list[Any], failed: Any) -> None:
    """In the recorded form, a string, an error costs the whole page of results; the chaos flag sends the other form."""
    with Emulator(batches="manual", chaos=chaos) as own:
        headers = {"authorization": f"Bearer {own.api_key}"}
        with httpx.Client(base_url=own.base_url, headers=headers, timeout=PATIENCE_SECONDS) as client:
            batch = client.post("/batches", json={"name": "b"}).json()["batch_id"]
            chat = {"chat_get_completion": {"model": "grok-4.3", "messages": [{"role": "user", "content": "x"}]}}
            body = {"batch_requests": [{"batch_request_id": "a", "batch_request": chat}]}
            client.post(f"/batches/{batch}/requests", json=body).raise_for_status()
            client.post(f"/batches/{batch}:cancel").raise_for_status()
        found = run("batch_errors.mjs", own, batch)
    assert found == {"results": results, "failed": failed}
