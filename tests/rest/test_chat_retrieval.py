"""Retrieval for model requests: collections and files are searched, quoted and cited; nothing is fetched."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from emulator import Emulator
from fixtures.team import EmulatedTeam
from tests.rest.batch_helpers import chat_body

Json = dict[str, Any]
PATH = "/v1/chat/completions"
FERNS = "The lighthouse keeper waters the ferns on Monday."


@pytest.fixture
def team(emulator: Emulator) -> EmulatedTeam:
    """A team without anything."""
    emulator.reset()
    return EmulatedTeam(emulator, "default")


def collection(team: EmulatedTeam, *texts: str) -> tuple[str, list[str]]:
    """A collection of a document for each text, and the ids of their files."""
    id = team.call("POST", "/v1/collections", {"collection_name": "c"})["collection_id"]
    files = [team.upload(f"{number}.txt", text.encode()) for number, text in enumerate(texts)]
    for file in files:
        team.call("POST", f"/v1/collections/{id}/documents/{file}", {})
    return id, files


def result(team: EmulatedTeam, body: Json, kind: str = "responses") -> Json:
    """What a batch answers to one request: chat completions have no tool for collections."""
    batch = team.call("POST", "/v1/batches", {"name": "b"})["batch_id"]
    requests = [{"batch_request_id": "a", "batch_request": {kind: body}}]
    team.call("POST", f"/v1/batches/{batch}/requests", {"batch_requests": requests})
    team.advance_until(batch_done=batch)
    [found] = team.call("GET", f"/v1/batches/{batch}/results")["results"]
    outcome: Json = found["batch_result"]
    return outcome["response"]["chat_get_completion"] if "response" in outcome else outcome


def search(question: str, *collections: str, **tool: Any) -> Json:
    """A `responses` body with a tool that searches collections."""
    tools = [{"type": "file_search", "vector_store_ids": list(collections), **tool}]
    return {"model": "grok-4.3", "input": question, "tools": tools}


def text_of(completion: Json) -> str:
    """The text of a completion."""
    return str(completion["choices"][0]["message"]["content"])


def ask(rest: httpx.Client, question: str, *files: Json, **body: Any) -> httpx.Response:
    """Ask about attached files."""
    parts = [{"type": "text", "text": question}, *({"type": "file", "file": file} for file in files)]
    return rest.post(
        PATH, json={**chat_body(model="grok-4.3"), "messages": [{"role": "user", "content": parts}], **body}
    )


# --- collections


def test_collection_search_quotes_and_cites_best_match(team: EmulatedTeam) -> None:
    id, files = collection(team, "The kettle is copper.", FERNS)
    completion = result(team, search("ferns on Monday", id))
    uri = f"collections://{id}/files/{files[1]}"
    assert text_of(completion) == f'From 1.txt: "{FERNS}" [[1]]({uri})'
    assert completion["citations"] == [uri]


def test_collection_search_costs_one_call(team: EmulatedTeam) -> None:
    id, _ = collection(team, FERNS)
    usage = result(team, search("ferns", id))["usage"]
    tokens = usage["prompt_tokens"] * 12_500 + usage["completion_tokens"] * 25_000
    assert usage["cost_in_usd_ticks"] == tokens + 25_000_000


def test_answer_without_match_says_so_without_citation(team: EmulatedTeam) -> None:
    id = team.call("POST", "/v1/collections", {"collection_name": "empty"})["collection_id"]
    completion = result(team, search("ferns", id))
    assert text_of(completion) == 'No passage of the searched collections matches: "ferns"'
    assert "citations" not in completion


def test_tool_choice_none_searches_nothing(team: EmulatedTeam) -> None:
    id, _ = collection(team, FERNS)
    completion = result(team, {**search("ferns", id), "tool_choice": "none"})
    assert text_of(completion) == "ferns"
    assert "citations" not in completion


def test_schema_is_answered_without_citation(team: EmulatedTeam) -> None:
    id, _ = collection(team, FERNS)
    schema = {"type": "object", "properties": {"found": {"type": "boolean"}}, "required": ["found"]}
    text = {"format": {"type": "json_schema", "name": "m", "schema": schema}}
    completion = result(team, {**search("ferns", id), "text": text})
    assert text_of(completion) == '{"found": false}'
    assert "citations" not in completion
    assert completion["usage"]["cost_in_usd_ticks"] > 25_000_000


def test_unknown_collection_and_that_of_another_team_are_not_found(emulator: Emulator, team: EmulatedTeam) -> None:
    other, _ = collection(EmulatedTeam(emulator, "other"), FERNS)
    for id in (other, "collection_00000000-0000-4000-8000-000000000000"):
        assert result(team, search("ferns", id)) == {"error": "Collection not found"}


@pytest.mark.parametrize("count", [2, 3])
def test_collections_over_limit_are_refused(team: EmulatedTeam, count: int) -> None:
    team.configure(limits={"chat_collections_max": 2})
    ids = [collection(team, FERNS)[0] for _ in range(count)]
    found = result(team, search("ferns", *ids))
    assert ("error" in found) == (count == 3)


# --- attached files


def test_best_of_several_files_is_quoted(team: EmulatedTeam, rest: httpx.Client) -> None:
    ids = [team.upload(name, text) for name, text in (("a.txt", b"copper kettle"), ("b.txt", FERNS.encode()))]
    reply = ask(rest, "ferns on Monday?", *({"file_id": id} for id in ids)).json()
    assert text_of(reply) == f'From b.txt: "{FERNS}"'


def test_question_without_match_quotes_opening_of_first_file(team: EmulatedTeam, rest: httpx.Client) -> None:
    ids = [team.upload(name, text) for name, text in (("a.txt", b"copper kettle"), ("b.txt", FERNS.encode()))]
    reply = ask(rest, "Summarize!", *({"file_id": id} for id in ids)).json()
    assert text_of(reply) == 'From a.txt: "copper kettle"'


def test_quote_is_folded_and_cut_at_word(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", b"ferns\n\n" + b"word " * 200)
    quote = text_of(ask(rest, "ferns?", {"file_id": file}).json()).partition('"')[2].removesuffix('"')
    assert quote.startswith("ferns word word")
    assert quote.endswith("word")
    assert 490 < len(quote) <= 500


def test_file_without_text_is_named(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.bin", bytes(range(256)))
    assert text_of(ask(rest, "ferns?", {"file_id": file}).json()) == "a.bin has no text that can be searched"


@pytest.mark.parametrize("prefix", ["", "data:text/plain;base64,"], ids=["base64", "data URL"])
def test_inline_file_is_searched_and_not_stored(team: EmulatedTeam, rest: httpx.Client, prefix: str) -> None:
    data = prefix + base64.b64encode(FERNS.encode()).decode()
    reply = ask(rest, "ferns?", {"file_data": data, "filename": "notes.txt"}).json()
    assert text_of(reply) == f'From notes.txt: "{FERNS}"'
    assert rest.get("/v1/files").json()["data"] == []


def test_address_of_another_server_is_named_and_not_fetched(rest: httpx.Client) -> None:
    text = text_of(ask(rest, "ferns?", {"url": "https://example.com/a.txt"}).json())
    assert text == "https://example.com/a.txt is not fetched: the emulator reads no other server"


def test_own_public_url_is_read(rest: httpx.Client) -> None:
    image = rest.post("/v1/files", files={"file": ("a.png", b"\x89PNG\r\n\x1a\n\xff", "image/png")}).json()["id"]
    url = rest.post(f"/v1/files/{image}/public-url").json()["public_url"]
    assert text_of(ask(rest, "ferns?", {"url": url}).json()) == "a.png has no text that can be searched"
    rest.post(f"/v1/files/{image}/public-url/revoke")
    assert "is not fetched" in text_of(ask(rest, "ferns?", {"url": url}).json())


def test_file_of_earlier_turn_is_searched_again(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    first = {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": file}}]}
    messages = [first, {"role": "assistant", "content": "y"}, {"role": "user", "content": "ferns?"}]
    assert text_of(ask(rest, "", messages=messages).json()) == f'From a.txt: "{FERNS}"'


def test_tool_result_is_answered_without_search(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    first = {"role": "user", "content": [{"type": "text", "text": "x"}, {"type": "file", "file": {"file_id": file}}]}
    call = {"id": "c", "type": "function", "function": {"name": "weather", "arguments": "{}"}}
    messages = [
        first,
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c", "content": "rain"},
    ]
    reply = ask(rest, "", messages=messages).json()
    assert text_of(reply) == "weather: rain"
    assert reply["usage"]["cost_in_usd_ticks"] < 50_000_000


def test_several_choices_with_file_return_400(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    reply = ask(rest, "x", {"file_id": file}, n=2)
    assert (reply.status_code, reply.json()["error"]) == (400, "n must be 1 when server-side tools are used")


def test_image_that_is_none_returns_400(team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    parts = [{"type": "text", "text": "x"}, {"type": "image_url", "image_url": {"file_id": file}}]
    reply = ask(rest, "", messages=[{"role": "user", "content": parts}])
    assert (reply.status_code, reply.headers["x-emulator-rule"]) == (400, "image_type")


def test_responder_gets_the_evidence(emulator: Emulator, team: EmulatedTeam, rest: httpx.Client) -> None:
    file = team.upload("a.txt", FERNS.encode())
    services = emulator._running().services
    services.teams.set_responder(
        services.teams.get("default"),
        lambda request: request.evidence[0].passages[0].filename + " " + request.endpoint.value,
    )
    try:
        assert text_of(ask(rest, "ferns?", {"file_id": file}).json()) == "a.txt chat"
    finally:
        services.teams.set_responder(services.teams.get("default"), "echo")
