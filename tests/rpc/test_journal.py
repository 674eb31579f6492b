"""What the journal shows of calls over gRPC."""

from __future__ import annotations

import httpx
import xai_sdk

from emulator import Emulator
from tests.rpc.client import Rpc, data, init


def test_messages_are_shown_field_by_field(emulator: Emulator, control: httpx.Client) -> None:
    """Texts, enums, lists, maps and messages are shown by their names; the bytes of content by their number."""
    target = emulator.grpc_target
    client = xai_sdk.Client(
        api_host=target,
        api_key=emulator.api_key,
        management_api_host=target,
        management_api_key=emulator.management_key,
    )
    definition = {"key": "year", "required": False, "unique": False, "inject_into_chunk": False}
    made = client.collections.create("papers", metric_space="cosine", field_definitions=[definition])
    client.collections.upload_document(made.collection_id, "a.txt", b"text", {"year": "2026"})
    client.close()
    calls = {call["operation"]: call for call in control.get("/requests").json()["requests"]}
    created, added = calls["collections.create"]["request"]["json"], calls["documents.add"]["request"]["json"]
    assert created["collection_name"] == "papers"
    assert created["field_definitions"] == [{"key": "year"}]
    assert created["metric_space"].endswith("COSINE")
    assert added["fields"] == {"year": "2026"}
    assert calls["collections.create"]["response"]["json"]["collection_id"] == made.collection_id


def test_streams_and_empty_messages_are_shown_by_their_length(emulator: Emulator, control: httpx.Client) -> None:
    """Of an upload all of its messages; a message of nothing is none."""
    messages = [init("a.txt"), data(b"some"), data(b" words")]
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        rpc.call("xai_api.Files/UploadFile", messages)
        rpc.call("xai_api.Auth/get_api_key_info", b"")
    calls = {call["operation"]: call["request"] for call in control.get("/requests").json()["requests"]}
    assert calls["files.upload"]["bytes"] == sum(len(each.SerializeToString()) for each in messages)
    assert calls["auth.api_key"] is None
