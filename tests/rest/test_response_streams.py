"""Streams of responses: the order of events, what they add up to, and streams that end too soon."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from emulator import Emulator
from emulator.domain.chat.answers import answer_of
from emulator.domain.chat.deltas import deltas_of
from emulator.domain.chat.evidence import Passage, Search, SearchTool
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.domain.chat.response_events import EventWriter
from emulator.domain.chat.responses import response_json
from fixtures.team import EmulatedTeam
from tests.rest.test_responses import FERNS, WEATHER, collection, search
from tests.serving import PATIENCE_SECONDS, until

Json = dict[str, Any]
PATH = "/v1/responses"
BODY = {"model": "grok-4.3", "input": "one two", "stream": True}


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team without anything."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def events(text: str) -> list[Json]:
    """The events of a stream, each with its name and in sequence; nothing follows the last one."""
    found = []
    for number, frame in enumerate(text.removesuffix("\n\n").split("\n\n")):
        name, data = frame.split("\n")
        event = json.loads(data.removeprefix("data: "))
        assert name == f"event: {event['type']}"
        assert list(event)[:2] == ["sequence_number", "type"]
        assert event["sequence_number"] == number
        found.append(event)
    return found


def stream(rest: httpx.Client, **body: Any) -> list[Json]:
    """The events of a new response."""
    reply = rest.post(PATH, json={**BODY, **body})
    assert reply.headers["content-type"] == "text/event-stream"
    found = events(reply.text)
    assert reply.headers["x-request-id"] == found[0]["response"]["id"]
    return found


def types(found: list[Json]) -> list[str]:
    """The types of events without their common prefix, each run of deltas once."""
    names = [event["type"].removeprefix("response.") for event in found]
    return [name for place, name in enumerate(names) if not place or name != names[place - 1]]


MESSAGE = (
    *("output_item.added", "content_part.added", "output_text.delta", "output_text.done", "content_part.done"),
    "output_item.done",
)
SEARCH = (
    *("output_item.added", "file_search_call.in_progress", "file_search_call.searching", "file_search_call.completed"),
    "output_item.done",
)


def test_stream_of_text_has_recorded_events(rest: httpx.Client) -> None:
    found = stream(rest)
    assert types(found) == ["created", "in_progress", *MESSAGE, "completed"]
    begun = found[0]["response"]
    assert (begun["status"], begun["output"], begun["completed_at"]) == ("in_progress", [], None)
    assert "usage" not in begun
    assert [event["delta"] for event in found if "delta" in event] == ["one", " two"]


def test_members_of_events_have_recorded_order(rest: httpx.Client) -> None:
    orders = {event["type"].removeprefix("response."): list(event)[2:] for event in stream(rest)}
    assert orders["output_item.added"] == ["item", "output_index"]
    assert orders["content_part.added"] == ["content_index", "item_id", "output_index", "part"]
    assert orders["output_text.delta"] == ["content_index", "delta", "item_id", "output_index", "logprobs"]
    assert orders["output_text.done"] == ["content_index", "item_id", "output_index", "text", "logprobs"]


def test_stream_of_search_begins_with_search_and_cites_at_end(team: EmulatedTeam, rest: httpx.Client) -> None:
    id, [file] = collection(team, FERNS)
    found = stream(rest, input="ferns", tools=search(id), include=["file_search_call.results"])
    cited = [*MESSAGE[:3], "output_text.annotation.added", *MESSAGE[3:]]
    assert types(found) == ["created", "in_progress", *SEARCH, *cited, "completed"]
    begun, done = (event["item"] for event in found if event.get("item", {}).get("type") == "file_search_call")
    assert (begun["status"], begun["queries"], begun["results"]) == ("in_progress", [], None)
    assert (done["status"], done["queries"], done["results"][0]["file_id"]) == ("completed", ["ferns"], file)
    [annotation] = [event for event in found if event["type"].endswith("annotation.added")]
    assert list(annotation)[2:] == ["annotation", "annotation_index", "content_index", "item_id", "output_index"]
    assert annotation["annotation"]["url"] == f"collections://{id}/files/{file}"
    assert annotation["output_index"] == 1


def test_stream_of_attached_file_shows_no_search(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    parts = [{"type": "input_text", "text": "ferns?"}, {"type": "input_file", "file_id": file}]
    found = stream(rest, input=[{"role": "user", "content": parts}])
    assert types(found) == ["created", "in_progress", *MESSAGE, "completed"]
    assert found[-1]["response"]["usage"]["num_server_side_tools_used"] == 1


def test_function_call_is_streamed_in_one_piece(rest: httpx.Client) -> None:
    found = stream(rest, tools=[WEATHER], tool_choice="required")
    arguments = ["function_call_arguments.delta", "function_call_arguments.done"]
    assert types(found) == [
        *("created", "in_progress", "output_item.added"),
        *arguments,
        *("output_item.done", "completed"),
    ]
    added, delta, done, ended = found[2:6]
    assert (added["item"]["arguments"], added["item"]["status"]) == ("", "in_progress")
    assert delta["delta"] == done["arguments"] == ended["item"]["arguments"] == '{"city": ""}'


def test_stream_over_bound_ends_incomplete(rest: httpx.Client) -> None:
    last = stream(rest, max_output_tokens=1)[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


def accumulate(found: list[Json]) -> list[Json]:
    """The output that the events of items add up to, checked against what each item ends with."""
    output: list[Json] = []
    texts: dict[tuple[int, int], str] = {}
    for event in found:
        kind = event["type"]
        if kind == "response.output_item.added":
            assert event["output_index"] == len(output), "items come one after the other"
            output.append(event["item"])
        elif kind.endswith(".delta"):
            place = event["output_index"], event.get("content_index", event.get("summary_index", 0))
            assert event["item_id"] == output[event["output_index"]]["id"]
            texts[place] = texts.get(place, "") + event["delta"]
        elif kind == "response.output_item.done":
            assert event["item"]["id"] == output[event["output_index"]]["id"]
            output[event["output_index"]] = event["item"]
    for (item, part), text in texts.items():
        whole = output[item]
        parts = whole.get("content") or whole.get("summary") or [{"text": whole.get("arguments")}]
        assert text in parts[part].values()
    return output


CALL = {"name": "f", "arguments": {"a": 1}}
SAID: dict[str, Any] = {
    "text": "one two",
    "empty": "",
    "reasoning": {"content": "x y", "reasoning_content": "first second"},
    "reasoning alone": {"content": "", "reasoning_content": "first"},
    "calls": {"tool_calls": [CALL, CALL]},
    "text and call": {"content": "see", "tool_calls": [CALL]},
    "reasoning and call": {"reasoning_content": "hm", "tool_calls": [CALL]},
    "refusal": {"content": "", "refusal": "no way"},
    "text and refusal": {"content": "well", "refusal": "no way"},
    "length": {"content": "x", "finish_reason": "length"},
    "choices": {"choices": [{"message": {"content": "a b"}}, {"message": {"content": "c", "reasoning_content": "r"}}]},
}
SEARCHES: dict[str, tuple[Search, ...]] = {
    "no search": (),
    "search": (
        Search(SearchTool.COLLECTIONS, "q", 1, passages=(Passage("one", 0.5, "f", "n", "c", ("collection_1",)),)),
        Search(SearchTool.ATTACHMENTS, "q", 1),
        Search(SearchTool.COLLECTIONS, "q", 1),
    ),
}


@pytest.mark.parametrize("evidence", SEARCHES.values(), ids=SEARCHES)
@pytest.mark.parametrize("said", SAID.values(), ids=SAID)
def test_events_add_up_to_unary_response(said: Any, evidence: tuple[Search, ...]) -> None:
    request = ModelRequest(
        *("", "", "responses", "grok-4.3", {"input": "x"}), endpoint=Endpoint.RESPONSES, evidence=evidence
    )
    answer = answer_of(request, said, id="i", created=1)
    writer = EventWriter(answer)
    found = [*writer.begin(), *(event for delta in deltas_of(answer) for event in writer.write(delta))]
    assert [event["sequence_number"] for event in found] == list(range(len(found)))
    assert accumulate(found) == response_json(answer)["output"]
    assert found[-1]["response"] == response_json(answer)
    assert found[-1]["type"] == f"response.{response_json(answer)['status']}"
    assert len({item["id"] for item in response_json(answer)["output"]}) == len(response_json(answer)["output"])


def test_reasoning_is_streamed_first_as_summary() -> None:
    request = ModelRequest("", "", "responses", "grok-4.3", {"input": "x"}, endpoint=Endpoint.RESPONSES)
    answer = answer_of(request, SAID["reasoning"], id="i", created=1)
    writer = EventWriter(answer)
    found = [*writer.begin(), *(event for delta in deltas_of(answer) for event in writer.write(delta))]
    assert types(found) == [
        *("created", "in_progress", "output_item.added", "reasoning_summary_part.added"),
        *("reasoning_summary_text.delta", "reasoning_summary_text.done", "reasoning_summary_part.done"),
        *("output_item.done", *MESSAGE, "completed"),
    ]


# --- streams that end too soon


def plan(emulator: Emulator, **effect: Any) -> None:
    """Plan a fault for the next response."""
    httpx.post(
        f"{emulator.url}/_emulator/faults", json={"operation": "responses.create", **effect}, timeout=PATIENCE_SECONDS
    ).raise_for_status()


def stored(rest: httpx.Client, id: str) -> int:
    """The status of reading a stored response."""
    return rest.get(f"{PATH}/{id}").status_code


def until_cut(rest: httpx.Client) -> Iterator[bytes]:
    """Yield what arrives of a stream before its connection ends too soon."""
    with rest.stream("POST", PATH, json=BODY) as reply:
        pieces = reply.iter_raw()
        try:
            yield from pieces
        except httpx.RemoteProtocolError:
            return
        raise AssertionError("the stream was not cut")


@pytest.mark.parametrize(("after", "words"), [(0, []), (1, ["one"]), (2, ["one", " two"])])
def test_stream_that_is_cut_has_no_end_and_is_not_stored(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client, after: int, words: list[str]
) -> None:
    plan(emulator, cut_stream_after_deltas=after)
    found = events(b"".join(until_cut(rest)).decode())
    assert [event["delta"] for event in found if "delta" in event] == words
    assert "completed" not in types(found)
    if after < 2:
        assert stored(rest, found[0]["response"]["id"]) == 404


def test_stall_waits_in_midst_of_stream(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seconds of a stall are real ones; here they are none."""
    monkeypatch.setattr("emulator.pipeline.streams.STALL_SECONDS", 0)
    plan(emulator, stall_stream_after_deltas=1)
    assert types(stream(rest))[-1] == "completed"


def test_rate_limit_before_first_event_is_plain_json(
    emulator: Emulator, team: EmulatedTeam, rest: httpx.Client
) -> None:
    plan(emulator, error="rate_limited", retry_after_seconds=2)
    reply = rest.post(PATH, json=BODY)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")
    assert reply.json()["code"] == "resource-exhausted"


def send(emulator: Emulator, body: Json) -> socket.socket:
    """Send a request over a new connection."""
    content = json.dumps(body).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {emulator.api_key}\r\n"
    head += f"Content-Type: application/json\r\nContent-Length: {len(content)}\r\n\r\n"
    client = socket.create_connection(("127.0.0.1", emulator.port), timeout=PATIENCE_SECONDS)
    client.sendall(head.encode() + content)
    return client


def test_client_that_leaves_before_answer_stores_nothing(
    emulator: Emulator, team: EmulatedTeam, control: httpx.Client
) -> None:
    plan(emulator, delay_seconds=60)  # far longer than the test takes, so that the call ends by its cancellation

    def calls() -> list[Json]:
        found: list[Json] = control.get("/requests").json()["requests"]
        return found

    with send(emulator, {**BODY, "stream": False}):
        until(calls)
    until(lambda: calls()[0]["outcome"])
    assert calls()[0]["outcome"] == "CANCELLED"
    assert emulator._running().services.store.responses.total("default") == 0
