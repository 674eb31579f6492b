"""Files and chat completions under OpenAI's Node SDK; batch results, images and videos under the AI SDK."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

NODE = shutil.which("node")
SCRIPTS = Path(__file__).parent.parent / "node"

pytestmark = pytest.mark.skipif(
    NODE is None or not (SCRIPTS / "node_modules").is_dir(),
    reason="node, or the packages that `make test` installs for it, are missing",
)


def test_openai_for_node(emulator: Emulator, rest: httpx.Client) -> None:
    """It uploads, pages, reads and deletes; a file before its expiry is refused with words that name the fix."""
    command = [str(NODE), "files.mjs", emulator.base_url, emulator.api_key]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout)
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
    command = [str(NODE), "chat.mjs", emulator.base_url, emulator.api_key]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert output["created"] == output["streamed"] == "one two three"
    assert [piece for piece in output["pieces"] if piece] == ["one", " two", " three"]
    assert output["refused"] == 400
    assert [call["function"]["name"] for call in output["called"]] == ["weather"]
    assert json.loads(output["parsed"]) == {"city": ""}
    assert output["usage"]["completion_tokens"] > 0


def test_media_for_node(emulator: Emulator, rest: httpx.Client) -> None:
    """The AI SDK generates and edits images, and starts a video and asks for it."""
    command = [str(NODE), "media.mjs", emulator.base_url, emulator.api_key]
    done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
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
        command = [str(NODE), "batch_errors.mjs", own.base_url, own.api_key, batch]
        done = subprocess.run(command, cwd=SCRIPTS, capture_output=True, text=True, timeout=PATIENCE_SECONDS)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"results": results, "failed": failed}
