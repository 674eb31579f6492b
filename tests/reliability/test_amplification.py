"""Small requests that ask for much work: each is refused, or fails, in words."""

from __future__ import annotations

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.serving import PATIENCE_SECONDS

MIB = 1024 * 1024


@pytest.mark.parametrize(("size", "overlap"), [(2, 1), (1000, 999)])
def test_chunks_that_multiply_a_document_fail_it(emulator: Emulator, size: int, overlap: int) -> None:
    """A document whose chunks would be too many, or too many bytes together, is FAILED and says so; nothing of it
    is stored, and its collection stays usable.
    """
    team = EmulatedTeam(emulator, f"chunks{size}")
    chunking = {"chars_configuration": {"max_chunk_size_chars": size, "chunk_overlap_chars": overlap}}
    asked = {"collection_name": "c", "chunk_configuration": chunking}
    documents = f"/v1/collections/{team.call('POST', '/v1/collections', asked)['collection_id']}/documents"
    large, small = team.upload("large.txt", b"x" * MIB), team.upload("small.txt", b"x" * 100)
    for file in (large, small):
        team.call("POST", f"{documents}/{file}", {})
    failed = team.call("GET", f"{documents}/{large}")
    assert (failed["status"], failed["chunk_count"]) == ("DOCUMENT_STATUS_FAILED", 0)
    assert "more than 50000 chunks" in failed["error_message"]
    assert team.call("GET", f"{documents}/{small}")["status"] == "DOCUMENT_STATUS_PROCESSED"


def test_large_injected_field_is_refused(emulator: Emulator) -> None:
    """A field of 20 MiB that would be added to each chunk of a document is refused when the document is added."""
    team = EmulatedTeam(emulator, "injected")
    definitions = [{"key": "field", "inject_into_chunk": True}]
    asked = {"collection_name": "c", "field_definitions": definitions}
    collection = team.call("POST", "/v1/collections", asked)["collection_id"]
    reply = httpx.post(
        f"{emulator.url}/v1/collections/{collection}/documents/{team.upload('a.txt', b'x' * 10_000)}",
        json={"fields": {"field": "x" * 20 * MIB}},
        headers={"authorization": f"Bearer {team.management_key}"},
        timeout=PATIENCE_SECONDS,
    )
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "document_fields_bytes_max")


def test_json_of_millions_of_items_is_refused(emulator: Emulator) -> None:
    """A body of millions of small items is refused before it is decoded."""
    reply = httpx.post(
        f"{emulator.base_url}/documents/search",
        content=b'{"query":"x","source":{"collection_ids":[' + b"0," * 10_000_000 + b"0]}}",
        headers={"authorization": f"Bearer {emulator.api_key}", "content-type": "application/json"},
        timeout=PATIENCE_SECONDS,
    )
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (413, "json_items_max")
