"""Work that ends the process: it is given up after some attempts, and nothing else is."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import httpx
import pytest

from emulator.store.jobs import ATTEMPTS_MAX
from tests.rest.batch_helpers import chat_body, line, request
from tests.serving import PATIENCE_SECONDS, Served, until

DEADLY = """
import os, signal

def kill_on_poison(text):
    if "poison" in text:
        os.kill(os.getpid(), signal.SIGKILL)

def answer(request):
    kill_on_poison(request.prompt)
    return request.prompt

def embed(texts):
    for text in texts:
        kill_on_poison(text)
    return [[1.0] * 4 for _ in texts]
"""


@pytest.fixture
def flags(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[str, ...]:
    """An emulator whose responder and embedder kill the process when they meet the word poison."""
    (tmp_path / "deadly.py").write_text(DEADLY)
    monkeypatch.chdir(tmp_path)  # where `python -m emulator` looks for modules
    return (
        *("--data-dir", str(tmp_path / "data"), "--batches", "instant"),
        *("--responder", "call:deadly:answer", "--embedder", "deadly:embed"),
    )


def client_of(served: Served) -> httpx.Client:
    headers = {"authorization": "Bearer xai-emulator"}
    return httpx.Client(base_url=served.url, headers=headers, timeout=PATIENCE_SECONDS)


def pending(client: httpx.Client, batch: str) -> int:
    """How many requests of a batch wait."""
    state = client.get(f"/v1/batches/{batch}").raise_for_status().json()["state"]
    return int(state["num_pending"] + (state["num_requests"] == 0))


def restart_until_done(flags: tuple[str, ...], batch: str) -> tuple[int, dict[str, str]]:
    """How often the process was killed before the batch was done, and what each request was answered."""
    for kills in range(20):
        try:
            with Served(*flags) as served, client_of(served) as client:
                until(lambda: pending(client, batch) == 0)
                page = client.get(f"/v1/batches/{batch}/results", params={"limit": 1000}).raise_for_status().json()
                return kills, {row["batch_request_id"]: str(row["batch_result"]) for row in page["results"]}
        except (httpx.TransportError, AssertionError):  # it died while it was asked, or before it was ready
            continue
    raise AssertionError("the process does not come up any more")


@pytest.mark.parametrize("source", ["added", "file"])
def test_request_that_kills_the_process_fails_after_some_restarts(flags: tuple[str, ...], source: str) -> None:
    """A batch request whose answer ends the process fails with a sentence after a few restarts. All other requests of
    the batch are answered."""
    prompts = {f"r{n:02}": "poison" if n == 17 else f"prompt {n}" for n in range(40)}
    with Served(*flags) as served, client_of(served) as client:
        if source == "file":
            content = "\n".join(line(id, body=chat_body(prompt)) for id, prompt in prompts.items())
            file = client.post("/v1/files", files={"file": ("a.jsonl", content)}).raise_for_status().json()["id"]
            body = {"name": "n", "input_file_id": file}
            batch = client.post("/v1/batches", json=body).raise_for_status().json()["batch_id"]
        else:
            batch = client.post("/v1/batches", json={"name": "n"}).raise_for_status().json()["batch_id"]
            items = [request(id, body=chat_body(prompt)) for id, prompt in prompts.items()]
            client.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}).raise_for_status()
        served.process.wait(PATIENCE_SECONDS)
    kills, results = restart_until_done(flags, batch)
    assert kills <= ATTEMPTS_MAX, "the first kill was before"
    assert f"the emulator ended {ATTEMPTS_MAX} times while it answered this request" in results.pop("r17")
    assert all(f"'{prompts[id]}'" in result for id, result in results.items())
    assert len(results) == len(prompts) - 1


def test_document_that_kills_the_process_fails_after_some_restarts(flags: tuple[str, ...]) -> None:
    """A document whose indexing ends the process becomes FAILED with a sentence after a few restarts. Other documents
    are indexed."""
    management = {"authorization": "Bearer xai-token-emulator"}
    with Served(*flags) as served, client_of(served) as client:
        created = client.post("/v1/collections", json={"collection_name": "c"}, headers=management)
        place = f"/v1/collections/{created.raise_for_status().json()['collection_id']}/documents"
        ids = {}
        for text in ("poison", "harmless"):
            sent = client.post("/v1/files", files={"file": (f"{text}.txt", text)}).raise_for_status()
            ids[text] = sent.json()["id"]
        with pytest.raises(httpx.TransportError):
            client.post(f"{place}/{ids['poison']}", json={}, headers=management)
        served.process.wait(PATIENCE_SECONDS)
    for kills in range(ATTEMPTS_MAX):
        try:
            with Served(*flags) as served, client_of(served) as client:
                client.post(f"{place}/{ids['harmless']}", json={}, headers=management).raise_for_status()
                found = {
                    text: client.get(f"{place}/{id}", headers=management).raise_for_status().json()
                    for text, id in ids.items()
                }
        except (httpx.TransportError, AssertionError):
            continue
        assert kills == ATTEMPTS_MAX - 1
        assert found["harmless"]["status"].endswith("PROCESSED")
        assert found["poison"]["status"].endswith("FAILED")
        assert f"the emulator ended {ATTEMPTS_MAX} times while it was indexed" in found["poison"]["error_message"]
        return
    raise AssertionError("the process does not come up any more")


def test_work_stopped_in_good_order_does_not_count_as_attempt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopping the emulator while it works, however often, lets no request and no document fail."""
    (tmp_path / "slow.py").write_text(
        "import os, time\n"
        "def answer(request):\n"
        "    open(os.environ['BEGUN'], 'a').write('x')\n"
        "    while not os.path.exists(os.environ['GO_ON']):\n"
        "        time.sleep(0.01)\n"
        "    return 'done'\n"
    )
    begun, go_on = tmp_path / "begun", tmp_path / "go-on"
    monkeypatch.chdir(tmp_path)  # where `python -m emulator` looks for modules
    flags = ("--data-dir", str(tmp_path / "data"), "--batches", "instant", "--responder", "call:slow:answer")
    variables = {"BEGUN": str(begun), "GO_ON": str(go_on)}
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    batch = ""
    for stops in range(ATTEMPTS_MAX + 2):
        with Served(*flags) as served, client_of(served) as client:
            if not batch:
                batch = client.post("/v1/batches", json={"name": "n"}).raise_for_status().json()["batch_id"]
                items = [request("a")]
                client.post(f"/v1/batches/{batch}/requests", json={"batch_requests": items}).raise_for_status()
            until(lambda: begun.exists() and len(begun.read_text()) > stops)  # noqa: B023 - called at once
            served.process.send_signal(signal.SIGTERM)
            try:
                served.process.wait(PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                pytest.fail("it does not stop")
    go_on.touch()
    kills, results = restart_until_done(flags, batch)
    assert (kills, "done" in results["a"]) == (0, True)
