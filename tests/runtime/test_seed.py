"""The seed file: what it gives to new teams, what a reset goes back to, and how a bad one is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.runtime.start_errors import BadSeed

YAML = """
xai_emulator_seed: 1
settings:
  limits: {file_bytes_max: 1KiB}
clock: {at: 2026-05-01T12:00:00Z}
files:
  - filename: a.txt
    content: héllo
    expires_after: 3600
  - filename: b.png
    base64: iVBORw==
    content_type: image/png
    public_url: true
  - {filename: c.md, path: notes.md}
collections:
  - collection_name: docs
    field_definitions: [{key: author, required: true}]
    documents:
      - {file: a.txt, fields: {author: Ada}}
      - {file: c.md, fields: {author: Bob}}
batches:
  - name: nightly
    requests:
      - batch_request_id: one
        batch_request: {chat_get_completion: {model: grok-4, messages: [{role: user, content: hi}]}}
teams:
  bare:
    files: [{filename: only.txt, content: x}]
"""


def seen(emulator: Emulator, team: str = "default") -> dict[str, Any]:
    """What a team's clients see."""
    suffix = "" if team == "default" else f"@{team}"
    with httpx.Client(base_url=emulator.base_url) as client:
        client.headers["authorization"] = f"Bearer {emulator.api_key}{suffix}"
        files = client.get("/files", params={"order": "asc"}).json()["data"]
        contents = {file["filename"]: client.get(f"/files/{file['id']}/content").content for file in files}
        batches = [batch["name"] for batch in client.get("/batches").json()["batches"]]
        client.headers["authorization"] = f"Bearer {emulator.management_key}{suffix}"
        documents = {}
        for collection in client.get("/collections").json()["collections"]:
            page = client.get(f"/collections/{collection['collection_id']}/documents").json()["documents"]
            documents[collection["collection_name"]] = sorted(
                (document["file_metadata"]["name"], document["status"], document["fields"]["author"])
                for document in page
            )
        return {"files": files, "contents": contents, "documents": documents, "batches": batches}


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    (tmp_path / "notes.md").write_text("# Notes")
    path = tmp_path / "seed.yaml"
    path.write_text(YAML)
    return path


def test_new_teams_begin_with_it_and_a_reset_goes_back_to_it(seed: Path) -> None:
    """Every team has its own copy, at the seed's time, with the seed's settings; a named team has other things."""
    with Emulator(seed=seed) as emulator:
        at_first = seen(emulator)
        assert at_first["contents"] == {"a.txt": "héllo".encode(), "b.png": b"\x89PNG", "c.md": b"# Notes"}
        processed = "DOCUMENT_STATUS_PROCESSED"
        assert at_first["documents"] == {"docs": [("a.txt", processed, "Ada"), ("c.md", processed, "Bob")]}
        assert at_first["batches"] == ["nightly"]
        file = at_first["files"][0]
        assert file["created_at"] == 1777636800  # 2026-05-01T12:00:00Z
        assert file["expires_at"] == 1777636800 + 3600
        assert list(seen(emulator, "bare")["contents"]) == ["only.txt"]
        assert seen(emulator, "other")["contents"] == at_first["contents"]

        headers = {"authorization": f"Bearer {emulator.api_key}"}
        with httpx.Client(base_url=emulator.base_url, headers=headers) as rest:
            assert rest.post("/files", files={"file": ("big.txt", b"x" * 1025)}).status_code == 413
            rest.delete(f"/files/{file['id']}")
            assert rest.post("/files", files={"file": ("d.txt", b"x")}).status_code == 200
        assert seen(emulator) != at_first
        emulator.reset()
        assert seen(emulator) == at_first


def test_snapshot_can_be_used_as_seed(seed: Path, tmp_path: Path) -> None:
    """What one emulator saved, another begins with."""
    snapshot = tmp_path / "one.xai-snapshot"
    with Emulator(seed=seed) as emulator:
        at_first = seen(emulator)
        with httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
            control.post("/snapshots", json={"name": "one"})
            snapshot.write_bytes(control.get("/snapshots/one").content)
    with Emulator(seed=snapshot) as emulator:
        again = seen(emulator)
    assert again["contents"] == at_first["contents"]
    assert again["documents"] == at_first["documents"]
    assert [file["id"] for file in again["files"]] == [file["id"] for file in at_first["files"]]


def test_existing_team_is_not_seeded_again(seed: Path, tmp_path: Path) -> None:
    """A team that exists already is not seeded again."""
    state = tmp_path / "state"
    with Emulator(seed=seed, data_dir=state) as emulator:
        id = seen(emulator)["files"][0]["id"]
        headers = {"authorization": f"Bearer {emulator.api_key}"}
        assert httpx.delete(f"{emulator.base_url}/files/{id}", headers=headers).status_code == 200
    with Emulator(seed=seed, data_dir=state) as emulator:
        assert list(seen(emulator)["contents"]) == ["b.png", "c.md"]
        assert list(seen(emulator, "new")["contents"]) == ["a.txt", "b.png", "c.md"]


def public_url(emulator: Emulator, team: str) -> str:
    """Where everybody can read the picture of a team."""
    url = next(file["public_url"] for file in seen(emulator, team)["files"] if file["filename"] == "b.png")
    assert httpx.get(url).content == b"\x89PNG"
    return str(url).removeprefix(emulator.url)


@pytest.mark.parametrize("random_seed", ["7", None])
def test_public_urls_of_the_seed_are_of_one_team(seed: Path, tmp_path: Path, random_seed: str | None) -> None:
    """Each team has its own, which a reset and a restart do not change, whatever ids are derived from."""
    state = tmp_path / "state"
    with Emulator(seed=seed, data_dir=state, random_seed=random_seed) as emulator:
        urls = {team: public_url(emulator, team) for team in ("default", "other")}
        assert len(set(urls.values())) == 2
        emulator.reset()
        assert public_url(emulator, "default") == urls["default"]
    for _ in range(2):
        with Emulator(seed=seed, data_dir=state, random_seed=random_seed) as emulator:
            assert {team: public_url(emulator, team) for team in urls} == urls
            emulator.reset("other")
            assert {team: public_url(emulator, team) for team in urls} == urls


def test_reading_the_seed_touches_no_team_of_a_client(seed: Path, tmp_path: Path) -> None:
    """Whatever their names are; and what a reading that was cut off has left behind is no part of the next one."""
    state = tmp_path / "state"
    with Emulator(data_dir=state) as emulator:
        for team in ("seed", ".seed"):  # the second is that of a reading
            headers = {"authorization": f"Bearer {emulator.api_key}@{team}"}
            httpx.post(f"{emulator.base_url}/files", headers=headers, files={"file": ("mine.txt", b"x")})
    with Emulator(seed=seed, data_dir=state) as emulator:
        assert list(seen(emulator, "seed")["contents"]) == ["mine.txt"]
        assert list(seen(emulator, "new")["contents"]) == ["a.txt", "b.png", "c.md"]


def test_responder_is_taken_from_seed_but_not_from_snapshot(tmp_path: Path) -> None:
    """Who writes a seed file is here; a snapshot may come from anywhere, and brings no code along."""
    answers = tmp_path / "answers.jsonl"
    answers.write_text(json.dumps({"response": "from a file"}) + "\n")
    responder = f"canned:{answers}"
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"xai_emulator_seed": 1, "settings": {"responder": responder, "profile": "strict"}}))
    with Emulator(seed=path) as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        assert control.get("/teams/default").json()["team"]["overrides"] == {
            "profile": "strict",
            "responder": responder,
        }
        control.post("/snapshots", json={"name": "s"})
        control.post("/snapshots/s/restore")
        assert control.get("/teams/default").json()["team"]["overrides"]["responder"] == responder
        snapshot = control.get("/snapshots/s").content
    with Emulator() as emulator, httpx.Client(base_url=f"{emulator.url}/_emulator") as control:
        control.put("/snapshots/s", content=snapshot)
        control.post("/snapshots/s/restore")
        assert control.get("/teams/default").json()["team"]["overrides"] == {"profile": "strict"}


def test_keys_of_the_seed_are_the_only_ones(tmp_path: Path) -> None:
    """With `auth=strict` a key of the seed file opens its plane, and the keys that everybody knows do not."""
    path = tmp_path / "seed.json"
    path.write_text(json.dumps({"xai_emulator_seed": 1, "keys": {"mine": "inference"}, "files": []}))
    with Emulator(seed=path, auth="strict") as emulator:
        assert emulator.api_key == "mine"
        for key, status in (("mine", 200), ("xai-emulator", 400)):
            headers = {"authorization": f"Bearer {key}"}
            assert httpx.get(f"{emulator.base_url}/files", headers=headers).status_code == status


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("xai_emulator_seed: 2", "reads xai_emulator_seed 1, not 2"),
        ("files: []", "xai_emulator_seed is missing"),
        ("a: [", "neither a snapshot nor YAML or JSON"),
        ("xai_emulator_seed: 1\nfilez: []", "there is no field 'filez'"),
        ("xai_emulator_seed: 1\nfiles: [{filename: a, content: x, path: y}]", r"files\[0\]: give exactly one of"),
        ("xai_emulator_seed: 1\nfiles: [{filename: a, path: y}]", "No such file"),
        ("xai_emulator_seed: 1\nfiles: [{filename: a, base64: '?'}]", "base64 is not valid"),
        ("xai_emulator_seed: 1\nfiles: [{filename: a, content: x, expires_after: 1}]", "400 .*at least 3600"),
        ("xai_emulator_seed: 1\ncollections: [{}]", r"collections\[0\]: 400 .*not be empty"),
        (
            "xai_emulator_seed: 1\ncollections: [{collection_name: c, documents: [{file: x}]}]",
            "no file above is called 'x'",
        ),
        ("xai_emulator_seed: 1\nsettings: {profile: x}", "settings: profile: 'x' is not one of"),
        ("xai_emulator_seed: 1\nsettings: {port: 1}", "settings: port: there is no such setting"),
        ("xai_emulator_seed: 1\nsettings: {limits: [1]}", r"settings: limits: '\[1\]' is not limits by their names"),
        ("xai_emulator_seed: 1\nsettings: {responder: {a: b}}", "settings: responder: .* is not echo"),
        ("xai_emulator_seed: 1\nsettings: {embedder: {a: b}}", "settings: embedder: "),
        ("xai_emulator_seed: 1\nclock: {at: 0001-01-01T00:00:00Z}", "clock: at lies before 1970"),
        ("xai_emulator_seed: 1\nkeys: {k: nowhere}", "keys: a key is given as"),
        ("xai_emulator_seed: 1\nfiles: " + "[" * 3000, "neither a snapshot nor YAML or JSON"),
        ('xai_emulator_seed: 1\nfiles: [{filename: a, content: "\\ud800"}]', r"files\[0\]: this is not valid Unicode"),
        ('xai_emulator_seed: 1\nfiles: [{filename: "\\ud800", content: x}]', r"files\[0\]: this is not valid Unicode"),
        ('xai_emulator_seed: 1\nfiles: [{filename: a, path: "a\\0b"}]', r"files\[0\]: path is not valid"),
        ("xai_emulator_seed: 1\ncollections: [&c {collection_name: *c}]", r"collections\[0\]: this is no JSON"),
        ('xai_emulator_seed: 1\nbatches: [{name: "\\ud800"}]', r"batches\[0\]: this is no JSON"),
        ("xai_emulator_seed: 1\nteams: {t: {files: [{filename: a}]}}", r"teams\.t\.files\[0\]: give exactly one"),
    ],
)
def test_bad_seed_refuses_to_start(tmp_path: Path, text: str, why: str) -> None:
    """The sentence names the file, the part of it and the reason, in the API's words where that refuses."""
    path = tmp_path / "seed.yaml"
    path.write_text(text)
    with pytest.raises(BadSeed, match=why) as refused, Emulator(seed=path):
        pass
    assert str(refused.value).startswith(f"{path}: ")


def test_missing_seed_refuses_to_start(tmp_path: Path) -> None:
    """A file that is not there is not an empty one."""
    with pytest.raises(BadSeed, match="No such file"), Emulator(seed=tmp_path / "none.yaml"):
        pass


def test_large_seed_reports_progress(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """Loading a large seed file prints its progress on stderr; a small one prints nothing."""
    monkeypatch.setattr("emulator.runtime.seed.CALLS_PER_LINE", 2)
    seed = tmp_path / "seed.json"
    seed.write_text(
        json.dumps({"xai_emulator_seed": 1, "files": [{"filename": f"{n}", "content": ""} for n in range(5)]})
    )
    with Emulator(seed=seed):
        pass
    lines = [line.partition(": ")[2] for line in capfd.readouterr().err.splitlines() if "calls" in line]
    assert lines == ["2 calls, now at files[1]", "4 calls, now at files[3]"]


def test_seeded_key_holds_in_every_new_team(tmp_path: Path) -> None:
    """Its secret is that of the file, with `@TEAM` for another team than the default one; no change is in the audit."""
    seed = tmp_path / "seed.yaml"
    seed.write_text(
        "xai_emulator_seed: 1\napi_keys:\n  - {secret: xai-emulator-ci, acls: ['api-key:endpoint:files'], qpm: 100}\n"
    )
    with Emulator(seed=seed, auth="strict") as emulator, httpx.Client(base_url=emulator.url) as http:
        for suffix in ("", "@ada"):
            api = {"authorization": f"Bearer xai-emulator-ci{suffix}"}
            assert http.get("/v1/files", headers=api).status_code == 200
            assert http.get("/v1/batches", headers=api).status_code == 403
            management = {"authorization": f"Bearer xai-token-emulator{suffix}"}
            [team] = http.get("/auth/teams", headers=management).json()["teams"]
            [key] = http.get(f"/auth/teams/{team['teamId']}/api-keys", headers=management).json()["apiKeys"]
            assert (key["name"], key["qpm"], key["redactedApiKey"]) == ("ci", 100, "xai-...r-ci")
            assert http.get(f"/audit/teams/{team['teamId']}/events", headers=management).json() == {"events": []}


@pytest.mark.parametrize("secret", ["xai-real", "xai-emulator-", "xai-emulator-a b", "xai-emulator-a@team"])
def test_seeded_key_with_another_secret_is_refused(tmp_path: Path, secret: str) -> None:
    seed = tmp_path / "seed.json"
    seed.write_text(json.dumps({"xai_emulator_seed": 1, "api_keys": [{"secret": secret}]}))
    with pytest.raises(BadSeed, match="secret"), Emulator(seed=seed):
        pass
