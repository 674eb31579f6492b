"""Streams of chat completions that end too soon, stall, or lose their client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import httpx
import openai
import pytest

from emulator import Emulator
from emulator.domain.chat.answers import answer_of
from emulator.domain.chat.deltas import TextDelta, pieces
from emulator.domain.chat.requests import ModelRequest
from emulator.operations.chat.completions import stream_of
from tests.rest.batch_helpers import chat_body

PATH = "/v1/chat/completions"
BODY = chat_body("one two three four", model="grok-4.3", stream=True)


def plan(emulator: Emulator, **effect: Any) -> None:
    """Plan a fault for the next chat completion."""
    control = httpx.post(f"{emulator.url}/_emulator/faults", json={"operation": "chat.create", **effect})
    assert control.is_success, control.text


def until_cut(rest: httpx.Client) -> Iterator[bytes]:
    """Yield what arrives of a stream before its connection ends too soon."""
    with rest.stream("POST", PATH, json=BODY) as reply:
        assert reply.status_code == 200
        pieces = reply.iter_raw()
        try:
            yield from pieces
        except httpx.RemoteProtocolError:
            return
        raise AssertionError("the stream was not cut")


@pytest.mark.parametrize(("after", "words"), [(0, ""), (1, "one"), (3, "one two three"), (99, "one two three four")])
def test_stream_is_cut_after_planned_number_of_deltas(
    emulator: Emulator, rest: httpx.Client, after: int, words: str
) -> None:
    plan(emulator, cut_stream_after_deltas=after)
    received = b"".join(until_cut(rest))
    frames = [json.loads(line[6:]) for line in received.decode().split("\n\n") if line.startswith("data: {")]
    text = "".join(choice["delta"].get("content", "") for frame in frames for choice in frame["choices"])
    assert text == words
    assert b"[DONE]" not in received
    [call] = httpx.get(f"{emulator.url}/_emulator/requests").json()["requests"]
    assert call["outcome"] == "CUT"


def test_cut_of_stream_has_no_effect_on_unary_answer(emulator: Emulator, rest: httpx.Client) -> None:
    plan(emulator, cut_stream_after_deltas=1)
    assert rest.post(PATH, json={**BODY, "stream": False}).status_code == 200


def test_refusal_before_first_event_is_plain_json(emulator: Emulator, rest: httpx.Client) -> None:
    plan(emulator, error="rate_limited", retry_after_seconds=2)
    reply = rest.post(PATH, json=BODY)
    assert (reply.status_code, reply.headers["retry-after"]) == (429, "2")
    assert reply.json()["code"] == "resource-exhausted"


def test_openai_retries_rate_limited_stream(emulator: Emulator, rest: httpx.Client) -> None:
    plan(emulator, error="rate_limited", retry_after_seconds=0)
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=1) as client:
        stream = client.chat.completions.create(**BODY)
        text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert text == "one two three four"


def test_stall_waits_after_planned_number_of_deltas(
    emulator: Emulator, rest: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The seconds of a stall are real ones; here they are none."""
    monkeypatch.setattr("emulator.pipeline.streams.STALL_SECONDS", 0)
    plan(emulator, stall_stream_after_deltas=2)
    assert "[DONE]" in rest.post(PATH, json=BODY).text


def answered(text: str) -> Any:
    """An answer of a text."""
    request = ModelRequest("", "", "chat_get_completion", "grok-4.3", chat_body(text))
    return answer_of(request, text, id="i", created=1)


@pytest.mark.parametrize("read", [1, 2, 3, 4])
def test_stream_that_is_left_early_does_not_finish(read: int) -> None:
    finished: list[bool] = []

    async def leave() -> None:
        deltas = stream_of(answered("a b c"), finish=lambda: finished.append(True)).read()
        for _ in range(read):
            await anext(deltas)
        await deltas.aclose()  # type: ignore[attr-defined]  # it is a generator

    asyncio.run(leave())
    assert finished == ([True] if read == 4 else [])  # three words and the end


@pytest.mark.parametrize("text", ["", "a", " a  b\n\nc ", "  ", "ä\tö"])
def test_pieces_add_up_to_text(text: str) -> None:
    assert "".join(pieces(text)) == text


async def _deltas(text: str) -> list[Any]:
    return [delta async for delta in stream_of(answered(text)).read()]


def test_deltas_of_text_are_words() -> None:
    deltas = asyncio.run(_deltas("one two"))
    assert [delta.text for delta in deltas if isinstance(delta, TextDelta)] == ["one", " two"]


@pytest.mark.parametrize("text", ['a "content":"" b', 'ä\u2028 \\ " \n x', "one"])
def test_chunks_of_stream_differ_in_content_only(rest: httpx.Client, text: str) -> None:
    reply = rest.post(PATH, json=chat_body(text, model="grok-4.3", stream=True))
    chunks = [json.loads(event.removeprefix("data: ")) for event in reply.text.split("\n\n")[:-2]]
    deltas = [chunk["choices"][0].pop("delta") for chunk in chunks]
    assert "".join(delta.get("content", "") for delta in deltas) == text
    assert [delta for delta in deltas[1:-1] if list(delta) != ["content"]] == []
    assert all(chunk == chunks[0] for chunk in chunks[:-1])
