"""Chat completions over REST: answers, streams, refusals in the recorded words, deferred answers."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.rest.batch_helpers import chat_body

Json = dict[str, Any]
PATH = "/v1/chat/completions"
CITY = {"properties": {"city": {"type": "string"}}}
WEATHER = {"type": "function", "function": {"name": "weather", "parameters": CITY}}


def post(rest: httpx.Client, content: Any = "Hello there world", **body: Any) -> httpx.Response:
    """Send a chat request."""
    return rest.post(PATH, json={**chat_body(content, model="grok-4.3"), **body})


def chunks(reply: httpx.Response) -> list[Json]:
    """The chunks of a stream, which ends with [DONE]."""
    frames = reply.text.removesuffix("\n\n").split("\n\n")
    assert frames[-1] == "data: [DONE]"
    return [json.loads(frame.removeprefix("data: ")) for frame in frames[:-1]]


def upload(rest: httpx.Client, text: str, name: str = "a.txt") -> str:
    """The id of a new file."""
    return str(rest.post("/v1/files", files={"file": (name, text.encode())}).json()["id"])


def attached(question: str, *files: Json) -> list[Json]:
    """A question with attached files."""
    return [{"type": "text", "text": question}, *({"type": "file", "file": file} for file in files)]


def test_completion_has_recorded_members_in_order(rest: httpx.Client) -> None:
    completion = post(rest).json()
    assert list(completion) == [
        *("id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier")
    ]
    [choice] = completion["choices"]
    assert list(choice) == ["index", "message", "finish_reason"]
    assert choice["message"] == {"role": "assistant", "content": "Hello there world", "refusal": None}
    usage = completion["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (5, 5, 10)
    assert usage["cost_in_usd_ticks"] == 5 * 12_500 + 5 * 25_000


def test_retired_model_is_answered_by_its_successor(rest: httpx.Client) -> None:
    assert post(rest, model="grok-4-fast").json()["model"] == "grok-4.3"


def test_stream_adds_up_to_unary_answer(rest: httpx.Client) -> None:
    found = chunks(post(rest, stream=True))
    deltas = [chunk["choices"][0]["delta"] for chunk in found]
    assert "".join(delta.get("content", "") for delta in deltas) == "Hello there world"
    assert [delta.get("role") for delta in deltas] == ["assistant", None, None, None]
    assert list(deltas[0]) == ["content", "role"]
    assert [chunk["choices"][0].get("finish_reason") for chunk in found] == [None, None, None, "stop"]
    assert all("usage" not in chunk for chunk in found)
    assert len({chunk["id"] for chunk in found}) == 1


def test_stream_with_include_usage_ends_with_usage(rest: httpx.Client) -> None:
    *_, last = chunks(post(rest, stream=True, stream_options={"include_usage": True}))
    assert last["choices"] == []
    assert last["usage"] == post(rest).json()["usage"]


def test_forced_tool_call_is_streamed_in_one_delta(rest: httpx.Client) -> None:
    body = {"tools": [WEATHER], "tool_choice": "required"}
    message = post(rest, **body).json()["choices"][0]["message"]
    assert message["content"] == ""
    [call] = message["tool_calls"]
    assert list(call) == ["id", "function", "type"]
    first, last = chunks(post(rest, **body, stream=True))
    [streamed] = first["choices"][0]["delta"]["tool_calls"]
    assert streamed["function"] == call["function"]
    assert last["choices"][0]["finish_reason"] == "tool_calls"


def test_attached_file_is_quoted_and_charged(rest: httpx.Client) -> None:
    file = upload(rest, "The kettle is copper.\n\nThe ferns are watered on Monday.")
    completion = post(rest, attached("When are the ferns watered?", {"file_id": file})).json()
    text = completion["choices"][0]["message"]["content"]
    assert text == 'From a.txt: "The kettle is copper. The ferns are watered on Monday."'
    assert "citations" not in completion
    usage = completion["usage"]
    tokens = usage["prompt_tokens"] * 12_500 + usage["completion_tokens"] * 25_000
    assert usage["cost_in_usd_ticks"] == tokens + 50_000_000


@pytest.mark.parametrize("end", ["deleted", "expired", "of another team", "unknown"])
def test_attached_file_that_is_not_there_returns_404(emulator: Any, rest: httpx.Client, end: str) -> None:
    id, headers = "file_00000000-0000-4000-8000-000000000000", {}
    if end != "unknown":
        reply = rest.post("/v1/files", data={"expires_after": "3600"}, files={"file": ("a.txt", b"ferns")})
        id = reply.json()["id"]
    if end == "deleted":
        rest.delete(f"/v1/files/{id}")
    elif end == "expired":
        emulator.advance(3600)
    elif end == "of another team":
        headers["authorization"] = f"Bearer {emulator.api_key}@other"
    body = chat_body(attached("ferns?", {"file_id": id}), model="grok-4.3", stream=True)  # type: ignore[arg-type]
    reply = rest.post(PATH, json=body, headers=headers)
    assert (reply.status_code, reply.json()) == (404, {"code": "not-found", "error": f"File {id} not found"})


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"messages": []}, 400, {"code": "400", "error": "Bad data: Messages cannot be empty"}),
        ({"model": "grok-2"}, 400, "Model not found: grok-2"),
        ({"model": None}, 400, "Model not found: latest"),
        ({"presence_penalty": 0}, 400, "Model grok-4.3 does not support parameter presencePenalty."),
        (
            {"model": "grok-4.20", "reasoning_effort": "low"},
            400,
            "Model grok-4.20-0309-reasoning does not support parameter reasoningEffort.",
        ),
        (
            {"max_tokens": -5},
            400,
            "Maximum number of tokens max_tokens must be positive but max_tokens = -5",
        ),
        (
            {"tool_choice": "none"},
            400,
            "Invalid request content: A tool_choice was set on the request but no tools were specified.",
        ),
        (
            {"messages": [{"role": "user", "content": []}]},
            400,
            "Each message must have at least one content element",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "file", "file": {}}]}]},
            400,
            "FileContent must set one of file_id, url, or inline data",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "input_image", "image_url": "u"}]}]},
            400,
            "Empty content block",
        ),
        (
            {"search_parameters": {"mode": "off"}},
            410,
            "Live search is deprecated. Please switch to the Agent Tools API: "
            "https://docs.x.ai/docs/guides/tools/overview",
        ),
    ],
)
def test_request_that_the_real_service_refuses_is_refused_in_its_words(
    rest: httpx.Client, body: Json, status: int, error: Any
) -> None:
    reply = post(rest, **body)
    expected = error if isinstance(error, dict) else {"code": "invalid-argument", "error": error}
    assert (reply.status_code, reply.json()) == (status, expected)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (
            {"messages": [{"role": "invalid_role", "content": "x"}]},
            "messages[0].role: unknown variant `invalid_role`, expected one of `developer`, `system`, `user`, "
            "`assistant`, `tool`, `function` at line 1 column ",
        ),
        (
            {"tools": [{"type": "x_search"}]},
            "tools[0].type: unknown variant `x_search`, expected `function` or `live_search` at line 1 column ",
        ),
    ],
)
def test_body_of_wrong_shape_returns_422_as_text(rest: httpx.Client, body: Json, sentence: str) -> None:
    reply = post(rest, **body)
    assert (reply.status_code, reply.headers["content-type"]) == (422, "text/plain; charset=utf-8")
    assert reply.text.startswith(f"Failed to deserialize the JSON body into the target type: {sentence}")


def test_model_is_looked_up_before_the_key(rest: httpx.Client) -> None:
    no_key = {"authorization": ""}
    assert rest.post(PATH, json=chat_body(model="grok-2"), headers=no_key).json()["error"] == "Model not found: grok-2"
    assert rest.post(PATH, json=chat_body(model="grok-4.3"), headers=no_key).status_code == 401
    assert rest.post(PATH, json={"model": "grok-4.3", "messages": []}, headers=no_key).status_code == 401


def test_deferred_completion_is_fetched_once(rest: httpx.Client) -> None:
    started = post(rest, deferred=True).json()
    assert list(started) == ["request_id"]
    path = f"/v1/chat/deferred-completion/{started['request_id']}"
    assert rest.get(path).json()["choices"][0]["message"]["content"] == "Hello there world"
    assert rest.get(path).status_code == 404


def test_tokens_cover_the_text(rest: httpx.Client) -> None:
    text = "Hello wörld! 12345\n"
    tokens = rest.post("/v1/tokenize-text", json={"text": text, "model": "grok-4.3"}).json()["token_ids"]
    assert b"".join(bytes(token["token_bytes"]) for token in tokens).decode() == text
    assert all(0 <= token["token_id"] < 2**17 for token in tokens)
