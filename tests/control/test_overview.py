"""The overview of a team: totals, what a file is and where it is used, the settings and who set them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx

from emulator import Emulator
from emulator.state.settings import ROWS


def test_totals_count_what_a_team_has_and_nothing_of_another(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client
) -> None:
    """Files with their bytes, collections, documents per collection, batches."""
    file_id = rest.post("/v1/files", files={"file": ("a.txt", b"12345")}).json()["id"]
    rest.post("/v1/files", files={"file": ("b.txt", b"123")})
    for name in ("one", "two", "three"):
        collection = management.post("/v1/collections", json={"collection_name": name}).json()["collection_id"]
        if name != "three":
            management.post(f"/v1/collections/{collection}/documents/{file_id}", json={})
    rest.post("/v1/batches", json={"name": "n"})
    counts = {"files": 2, "file_bytes": 8, "collections": 3, "documents": 2, "batches": 1}
    assert control.get("/totals").json() == {**counts, "schema_version": 1}
    other = control.get("/totals", params={"team": "other"}).json()
    assert other == {**dict.fromkeys(counts, 0), "schema_version": 1}


def test_file_names_its_content_type_and_its_collections(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client
) -> None:
    """In the order in which it was added to them; a file that another team has is not found."""
    file_id = rest.post("/v1/files", files={"file": ("a.md", b"# Text")}).json()["id"]
    assert control.get(f"/files/{file_id}").json()["file"]["collections"] == []
    added = []
    for name in ("b", "a"):
        collection = management.post("/v1/collections", json={"collection_name": name}).json()["collection_id"]
        management.post(f"/v1/collections/{collection}/documents/{file_id}", json={})
        added.append({"collection_id": collection, "collection_name": name})
    file = control.get(f"/files/{file_id}").json()["file"]
    assert (file["id"], file["content_type"], file["collections"]) == (file_id, "text/markdown", added)
    assert len(file["hash"]) == 64
    assert control.get(f"/files/{file_id}", params={"team": "other"}).status_code == 404
    assert control.get("/files/file_unknown").status_code == 404


def settings_of(control: httpx.Client, **query: Any) -> dict[str, dict[str, Any]]:
    """The settings of a team by their names."""
    rows = control.get("/settings", params=query).json()["settings"]
    return {row.pop("name"): row for row in rows}


def test_settings_say_who_set_them(tmp_path: Path) -> None:
    """The default, the server or the team; every setting but the limits is listed."""
    with (
        Emulator(indexing="realistic", data_dir=tmp_path / "state") as emulator,
        httpx.Client(base_url=f"{emulator.url}/_emulator") as control,
    ):
        control.patch("/teams/default", json={})
        control.get("/clock")
        assert control.patch("/teams/default", json={"profile": "strict"}).status_code == 200
        listed = settings_of(control)
        assert set(listed) == set(ROWS) - {"limits"}
        shown = {name: (row["value"], row["origin"]) for name, row in listed.items()}
        assert shown["profile"] == ("strict", "team")
        assert shown["indexing"] == ("realistic", "server")
        assert shown["batches"] == ("instant", "default")
        assert shown["data_dir"] == (str(tmp_path / "state"), "server")
        assert shown["seed"] == (None, "default")
        assert listed["data_dir"]["flag"] == "--data-dir"
        assert settings_of(control, team="other")["profile"]["value"] == "documented"


def test_settings_show_no_secret() -> None:
    """Keys are counted; tokens, logins and queries are redacted; a function is only said to be one."""
    url = "http://name:s3cr3t-word@localhost:9/v1/embeddings?token=s3cr3t-word"
    keys = ("s3cr3t-word=inference", "another-s3cr3t-word=management")
    given = {"embedder": url, "allow": [f"embedder={url}"], "keys": keys, "control_token": "s3cr3t-token"}
    with Emulator(responder=lambda requests: requests, auth="strict", **given) as emulator:
        reply = httpx.get(f"{emulator.url}/_emulator/settings", headers={"authorization": "Bearer s3cr3t-token"})
        listed = {row["name"]: row["value"] for row in reply.json()["settings"]}
    assert "s3cr3t" not in reply.text
    assert listed["embedder"] == "http://[redacted]@localhost:9/v1/embeddings?token=[redacted]"
    assert listed["allow"] == f"embedder={listed['embedder']}"
    assert listed["control_token"] == "[redacted]"
    assert listed["keys"] == "2"
    assert listed["responder"] == "a Python function"


def test_limits_take_a_number_a_quantity_or_null(control: httpx.Client) -> None:
    """A quantity is read as on the command line; what is none is refused and changes nothing."""
    assert control.put("/limits", json={"file_bytes_max": "512MiB", "filename_chars_max": 9}).status_code == 200
    for wrong in ("512 apples", "", "-1", "1.5MiB", "9" * 30):
        refused = control.put("/limits", json={"file_bytes_max": wrong, "filename_chars_max": 8})
        assert refused.status_code == 422, wrong
        assert refused.json()["error"].startswith("file_bytes_max")
    limits = control.get("/limits").json()["limits"]
    assert (limits["file_bytes_max"]["value"], limits["filename_chars_max"]["value"]) == (512 * 1024**2, 9)
    control.put("/limits", json={"file_bytes_max": "none"})
    assert control.get("/limits").json()["limits"]["file_bytes_max"]["value"] is None
