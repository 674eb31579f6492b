"""What a change of a file changes with it: its type, its end, its public URL, its documents."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from emulator import Emulator

HOUR = 3600


@pytest.fixture
def file(rest: httpx.Client) -> dict[str, Any]:
    """A picture, whatever its name says, that lives for two hours."""
    parts = {"expires_after": (None, str(2 * HOUR)), "file": ("a.txt", b"\x89PNG", "image/png")}
    made: dict[str, Any] = rest.post("/v1/files", files=parts).json()
    return made


@pytest.fixture
def documents(management: httpx.Client, rest: httpx.Client, file: dict[str, Any]) -> str:
    """The documents of a collection, of which the file is one."""
    made = management.post("/v1/collections", json={"collection_name": "c"}).json()
    path = f"/v1/collections/{made['collection_id']}/documents"
    management.post(f"{path}/{file['id']}", json={})
    return f"{path}/{file['id']}"


def kind_of(management: httpx.Client, document: str) -> str:
    """The content type of a file, which only its document shows."""
    kind: str = management.get(document).json()["file_metadata"]["content_type"]
    return kind


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({"json": {"expires_after": HOUR}}, "image/png"),
        ({"json": {"filename": "a.txt"}}, "image/png"),
        ({"json": {"filename": "b.pdf"}}, "application/pdf"),
        ({"json": {"filename": "b"}}, "application/octet-stream"),
        ({"files": {"file": ("a.txt", b"%PDF", "application/pdf")}}, "application/pdf"),
    ],
)
def test_renamed_file_gets_content_type_of_its_name(
    rest: httpx.Client, management: httpx.Client, file: dict[str, Any], documents: str, body: Any, kind: str
) -> None:
    """A file is what its name says as soon as it gets another one, and until then what it was said to be last."""
    rest.put(f"/v1/files/{file['id']}", **body).raise_for_status()
    assert kind_of(management, documents) == kind


@pytest.mark.parametrize(("asked", "left"), [(HOUR, HOUR), (3 * HOUR, 3 * HOUR), (None, 2 * HOUR - 600)])
def test_changed_expiry_replaces_former_job(
    emulator: Emulator, rest: httpx.Client, file: dict[str, Any], asked: int | None, left: int
) -> None:
    """It counts from the change, and nothing happens any more when the old one comes."""
    emulator.advance(600)
    rest.put(f"/v1/files/{file['id']}", json={"filename": "b.png", **({"expires_after": asked} if asked else {})})
    services = emulator._running().services
    assert len(services.store.database.rows("SELECT 1 FROM jobs WHERE kind = 'expire_file'")) == 1
    emulator.advance(left - 60)
    assert rest.get(f"/v1/files/{file['id']}").status_code == 200
    emulator.advance(120)
    assert rest.get(f"/v1/files/{file['id']}").status_code == 404
    assert services.store.files.get_including_expired("default", file["id"]) is None  # not only hidden


@pytest.mark.parametrize("body", [{"json": {"filename": "b.pdf", "expires_after": 0}}, {"new": "content"}])
def test_expiry_of_zero_seconds_deletes_file_at_once(
    control: httpx.Client, rest: httpx.Client, file: dict[str, Any], documents: str, body: Any
) -> None:
    """Where the limit for that is off, it is gone with its documents when the call is answered."""
    control.put("/limits", json={"expires_after_seconds_min": None})
    if "new" in body:
        body = {"files": {"expires_after": (None, "0"), "file": ("a.txt", b"new", "text/plain")}}
    assert rest.put(f"/v1/files/{file['id']}", **body).status_code == 404
    assert rest.get(f"/v1/files/{file['id']}").status_code == 404


def test_file_without_expiry_can_get_one(emulator: Emulator, rest: httpx.Client) -> None:
    """And one that has none and gets none has no job."""
    id = rest.post("/v1/files", files={"file": ("a.txt", b"x")}).json()["id"]
    jobs = emulator._running().services.store.database
    rest.put(f"/v1/files/{id}", json={"filename": "b.txt"})
    assert jobs.rows("SELECT 1 FROM jobs WHERE kind = 'expire_file'") == []
    rest.put(f"/v1/files/{id}", json={"expires_after": HOUR})
    assert len(jobs.rows("SELECT 1 FROM jobs WHERE kind = 'expire_file'")) == 1


@pytest.mark.parametrize(("name", "stays"), [("b.png", True), ("b.jpg", False), ("b.txt", False)])
def test_changed_type_revokes_public_url(rest: httpx.Client, file: dict[str, Any], name: str, stays: bool) -> None:
    """Its ending would be wrong; a new name alone is no reason."""
    rest.put(f"/v1/files/{file['id']}", json={"filename": "a.png"})
    url = rest.post(f"/v1/files/{file['id']}/public-url", json={}).json()["public_url"]
    rest.put(f"/v1/files/{file['id']}", json={"filename": name})
    assert rest.get(url).status_code == (200 if stays else 404)


@pytest.mark.parametrize(
    ("body", "again"), [({"filename": "b.txt"}, True), ({"filename": "a.txt"}, False), ({"expires_after": HOUR}, False)]
)
def test_documents_are_reindexed_after_new_name_or_type_only(
    emulator: Emulator, rest: httpx.Client, management: httpx.Client, documents: str, body: Any, again: bool
) -> None:
    """With another name or type, and not with another end."""

    def revision() -> Any:
        [row] = emulator._running().services.store.database.rows("SELECT revision FROM documents")
        return row

    before = revision()
    rest.put(f"/v1/files/{documents.rpartition('/')[2]}", json=body)
    assert (revision() != before) is again
    assert management.get(documents).json()["status"].startswith("DOCUMENT_STATUS_")


@pytest.mark.parametrize(("size", "count", "fits"), [(10, 2, True), (11, 2, False), (1, 1, False)])
def test_new_bytes_take_the_place_of_the_old(
    emulator: Emulator, rest: httpx.Client, control: httpx.Client, size: int, count: int, fits: bool
) -> None:
    """A team that is full may change a file as long as its files are no more and no larger than they may be."""
    kept, changed = (
        rest.post("/v1/files", files={"file": (name, b"x" * 5)}).json()["id"] for name in ("kept.txt", "changed.txt")
    )
    blobs = emulator._running().services.store.blobs._blobs
    before = len(list(blobs.iterdir()))
    control.put("/limits", json={"files_per_team_max": count, "total_bytes_per_team_max": 15})
    reply = rest.put(f"/v1/files/{changed}", files={"file": ("changed.txt", b"y" * size)})
    assert reply.status_code == (200 if fits else 429)
    assert rest.get(f"/v1/files/{changed}/content").content == (b"y" * size if fits else b"x" * 5)
    assert rest.get(f"/v1/files/{kept}/content").content == b"x" * 5
    assert len(list(blobs.iterdir())) == before
    control.put("/limits", json={"files_per_team_max": None, "total_bytes_per_team_max": None})
