"""How a document was cut, as the control plane shows it."""

from __future__ import annotations

import httpx
import pytest

TEXT = " ".join(f"word{number}" for number in range(200))


@pytest.fixture
def path(rest: httpx.Client, management: httpx.Client, control: httpx.Client) -> str:
    """The path of a document's chunks, in a collection that cuts small and injects a field."""
    body = {
        "collection_name": "c",
        "chunk_configuration": {"chars_configuration": {"max_chunk_size_chars": 100, "chunk_overlap_chars": 20}},
        "field_definitions": [{"key": "author", "inject_into_chunk": True}],
    }
    collection = management.post("/v1/collections", json=body).json()["collection_id"]
    file_id = rest.post("/v1/files", files={"file": ("a.txt", TEXT.encode())}).json()["id"]
    added = management.post(f"/v1/collections/{collection}/documents/{file_id}", json={"fields": {"author": "Ada"}})
    assert added.status_code == 200
    return f"/collections/{collection}/documents/{file_id}/chunks"


def test_chunks_are_listed_in_order(control: httpx.Client, management: httpx.Client, path: str) -> None:
    """The chunks are as many as the document says, each within its size, numbered from 0, with what is injected."""
    shown = control.get(path, params={"limit": 1000}).json()["chunks"]
    document = management.get(f"/v1{path.removesuffix('/chunks')}").json()
    assert [chunk["number"] for chunk in shown] == list(range(document["chunk_count"]))
    assert all(0 < len(chunk["content"]) <= 100 for chunk in shown)
    assert all("Ada" in chunk["indexed_text"] and "Ada" not in chunk["content"] for chunk in shown)
    assert shown[0]["content"].startswith("word0 ")
    assert shown[-1]["content"].endswith("word199")


def test_page_by_page(control: httpx.Client, path: str) -> None:
    """A walk with `after` sees each chunk once."""
    everything = control.get(path, params={"limit": 1000}).json()["chunks"]
    seen: list[object] = []
    while page := control.get(path, params={"limit": 3, "after": len(seen) - 1}).json()["chunks"]:
        seen += page
    assert seen == everything


def test_chunks_of_unknown_document_return_404(control: httpx.Client, path: str) -> None:
    """A document that the team does not have is not found."""
    assert control.get(path, params={"team": "other"}).status_code == 404
    assert control.get(path.replace("file_", "file_0")).status_code == 404


def test_document_waiting_for_indexing_has_no_chunks(
    control: httpx.Client, rest: httpx.Client, management: httpx.Client, path: str
) -> None:
    """As long as it is not indexed, there is nothing to show."""
    control.patch("/teams/default", json={"indexing": "manual"})
    management.patch(f"/v1{path.removesuffix('/chunks')}")
    assert control.get(path).json()["chunks"] == []
    control.post("/jobs/run")
    assert control.get(path).json()["chunks"] != []
