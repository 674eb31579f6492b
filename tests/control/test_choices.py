"""Over the network no caller can name code, files or servers: the control plane chooses among what was given."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.state.settings import GUARDED, PER_TEAM, ROWS
from tests.serving import PATIENCE_SECONDS

CODE = {
    "embedder": ["subprocess:check_call", "os:system", "http://127.0.0.1:9/embeddings", "x"],
    "responder": ["canned:/etc/passwd", "canned:/nowhere", "call:os:system", "http://127.0.0.1:9/v1", "x"],
}


def control_of(emulator: Emulator) -> httpx.Client:
    """A client of the control plane."""
    return httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize(("name", "value"), [(name, value) for name, values in CODE.items() for value in values])
def test_control_plane_refuses_a_setting_that_names_code(control: httpx.Client, name: str, value: str) -> None:
    """For a team that is there and for a new one: 403, and nothing changes. The refusal names the flag that allows it.

    It is the same for a file that is there and for one that is not, so no caller learns which files exist.
    """
    changed = control.patch("/teams/default", json={"profile": "strict", name: value})
    made = control.post("/teams", json={"name": "new", name: value})
    for reply in (changed, made):
        assert reply.status_code == 403
        assert f"--allow {name}=VALUE" in reply.json()["error"]
        assert "No such file" not in reply.text
    assert control.get("/teams/default").json()["team"]["overrides"] == {}
    assert control.get("/teams/new").status_code == 404


def test_control_search_runs_no_code_that_a_caller_named(control: httpx.Client, rest: httpx.Client) -> None:
    """The search of a query by a function of the caller's choice, as in `subprocess:check_call`, never begins."""
    key = {"authorization": "Bearer xai-token-emulator"}
    made = rest.post("/v1/collections", headers=key, json={"collection_name": "c"}).json()["collection_id"]
    control.patch("/teams/default", json={"embedder": "subprocess:check_call"})
    body = {"query": "touch pwned", "source": {"collection_ids": [made]}, "retrieval_mode": {"type": "semantic"}}
    assert control.post("/search", json=body).json()["matches"] == []


@pytest.mark.parametrize("name", GUARDED)
def test_control_plane_sets_built_in_values(control: httpx.Client, name: str) -> None:
    """They name no code; null takes the setting back."""
    value = ROWS[name].built_in[0]
    assert control.patch("/teams/default", json={name: value}).json()["team"]["overrides"] == {name: value}
    assert control.patch("/teams/default", json={name: None}).json()["team"]["overrides"] == {}


def test_control_plane_chooses_what_was_given_at_the_start(tmp_path: Path) -> None:
    """With --responder, with --allow, in the seed file, or in Python; also by the redacted form that replies show."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text('{"response": "canned"}')
    seed = tmp_path / "seed.json"
    seeded = "http://sk-key@localhost:3/v1"
    seed.write_text(json.dumps({"xai_emulator_seed": 1, "teams": {"s": {"settings": {"responder": seeded}}}}))
    with (
        Emulator(
            responder="http://localhost:1/v1",
            allow=[f"responder=canned:{answers}", "embedder=builtins:len"],
            seed=seed,
        ) as emulator,
        control_of(emulator) as control,
    ):
        emulator.configure("p", responder="http://localhost:4/v1")
        for value in ("http://localhost:1/v1", f"canned:{answers}", seeded, "http://localhost:4/v1", "echo"):
            assert control.patch("/teams/default", json={"responder": value}).status_code == 200
            assert emulator._server is not None
            assert emulator._server.services.teams.get("default").responder == value
        shown = "http://[redacted]@localhost:3/v1"
        assert control.patch("/teams/default", json={"responder": shown}).status_code == 200
        assert emulator._server.services.teams.get("default").responder == seeded
        assert control.patch("/teams/default", json={"embedder": "builtins:len"}).status_code == 200
        refused = control.patch("/teams/default", json={"embedder": f"canned:{answers}"})
        assert refused.status_code == 403, "what is allowed for one setting is not for the other"
        assert "stand-in, builtins:len" in refused.json()["error"]


def test_value_of_a_stored_team_stays_in_force_after_a_restart(tmp_path: Path) -> None:
    """The team keeps using it; other teams cannot choose it unless the new process allows it again."""
    with Emulator(data_dir=tmp_path) as emulator:
        emulator.configure("kept", responder="http://localhost:1/v1")
    with Emulator(data_dir=tmp_path) as emulator, control_of(emulator) as control:
        body = {"responder": "http://localhost:1/v1"}
        assert control.patch("/teams/kept", json={"profile": "strict"}).json()["team"]["overrides"] == {
            **body,
            "profile": "strict",
        }
        assert control.patch("/teams/kept", json=body).status_code == 200
        control.post("/teams", json={"name": "other"})
        assert control.patch("/teams/other", json=body).status_code == 403


def test_imported_snapshot_brings_no_setting_that_names_code(control: httpx.Client, tmp_path: Path) -> None:
    """Not even one that was written by hand."""
    control.post("/snapshots", json={"name": "s"})
    file = tmp_path / "snapshot"
    file.write_bytes(control.get("/snapshots/s").content)
    with sqlite3.connect(file) as database:
        code: dict[str, Any] = {"embedder": "os:system", "responder": "call:os:system", "profile": "strict"}
        changed = database.execute("UPDATE teams SET overrides = ?", [json.dumps(code)])
        assert changed.rowcount == 1
    database.close()
    assert control.put("/snapshots/s", content=file.read_bytes()).status_code == 200
    assert control.post("/snapshots/s/restore").status_code == 200
    assert control.get("/teams/default").json()["team"]["overrides"] == {"profile": "strict"}


def test_team_settings_with_free_text_are_guarded() -> None:
    """A new one has to say what it names: the others take one of a few words, numbers or a seed."""
    free = set()
    for name in PER_TEAM:
        try:
            ROWS[name].parse("module:function")
            free.add(name)
        except ValueError:
            pass
    assert free <= {*GUARDED, "responder"}
    assert set(GUARDED) == {"embedder", "responder"}


@pytest.mark.parametrize("value", ["embedder", "embedder=", "profile=strict", "responder=nope", "=", ""])
def test_bad_allow_refuses_to_start(value: str) -> None:
    """With a sentence that says what can be given."""
    with pytest.raises(ValueError, match="allow"), Emulator(allow=[value]):
        pass


@pytest.mark.parametrize("value", ["embedder=nope:f", "responder=canned:/nowhere", "embedder=word"])
def test_allowed_value_that_cannot_be_used_refuses_to_start(value: str) -> None:
    """At once, not when it is chosen."""
    with pytest.raises(ValueError, match=r"allow (embedder|responder)"), Emulator(allow=[value]):
        pass


def test_function_for_the_embedder_of_one_team_is_refused(emulator: Emulator) -> None:
    """It would be ignored; the sentence says where a function goes."""
    with pytest.raises(ValueError, match="embedder: a function serves all teams"):
        emulator.configure("team", embedder=len)
