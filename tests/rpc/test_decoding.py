"""Where the messages of unary calls are decoded."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from emulator.operations import OPERATIONS
from emulator.rpc import server
from emulator.rpc.batches import methods
from emulator.rpc.messages import load
from emulator.rpc.methods import METHODS
from emulator.rpc.request_metadata import MessageCodec
from tests.rpc.client import message

SEARCH = next(method for method in METHODS if OPERATIONS[method.operation].name == "documents.search")


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> list[threading.Thread]:
    """The threads in which messages are decoded."""
    found: list[threading.Thread] = []
    parse = server.parse

    def noted(message_type: type, raw: bytes) -> object:
        found.append(threading.current_thread())
        return parse(message_type, raw)

    monkeypatch.setattr(server, "parse", noted)
    return found


@pytest.mark.parametrize(("excess", "on_loop"), [(0, True), (1, False)])
async def test_large_message_is_decoded_off_the_loop(
    threads: list[threading.Thread], monkeypatch: pytest.MonkeyPatch, excess: int, on_loop: bool
) -> None:
    """One of megabytes may hold a million items, and other calls do not wait until all are looked at."""
    raw = message("xai_api.SearchRequest", query="fox", limit=3).SerializeToString()
    monkeypatch.setattr(server, "DECODED_ON_LOOP_BYTES_MAX", len(raw) - excess)
    codec = MessageCodec(load().message("xai_api.SearchRequest"), load().message("xai_api.SearchResponse"))
    request = await server._read(SEARCH, codec, raw)
    assert request.query == "fox"
    assert [thread is threading.current_thread() for thread in threads] == [on_loop]


def test_large_batch_request_is_converted_when_its_message_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is off the loop; the small ones are converted as they are asked for, and all keep their order."""
    converted: list[int] = []
    convert = methods._new_request

    def noted(number: int, request: Any) -> Any:
        converted.append(number)
        return convert(number, request)

    def chat(id: str, text: str) -> Any:
        content = message("xai_api.Content", text=text)
        asked = message("xai_api.GetCompletionsRequest", messages=[message("xai_api.Message", content=[content])])
        return message("xai_api.BatchRequest", batch_request_id=id, completion_request=asked)

    monkeypatch.setattr(methods, "_new_request", noted)
    large = "x" * methods.SMALL_BYTES_MAX
    requests = [chat("a", ""), chat("b", large), chat("c", ""), chat("d", large)]
    read = methods._read_add(message("xai_api.AddBatchRequestsRequest", batch_requests=requests))
    assert converted == [1, 3]
    assert [request.id for request in read.requests] == ["a", "b", "c", "d"]
    assert converted == [1, 3, 0, 2]
