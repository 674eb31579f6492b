"""Whatever a chat body holds, it is answered or refused: never a 500, and never half of an answer."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator import Emulator
from tests.examples import examples
from tests.rest.batch_helpers import chat_body
from tests.serving import PATIENCE_SECONDS

PATH = "/v1/chat/completions"
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
SCALAR = st.none() | st.booleans() | st.integers(-3, 300) | st.floats(-3, 3) | TEXT
JSON = st.recursive(
    SCALAR, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=6
)
SOURCE = st.fixed_dictionaries({}, optional={"file_id": TEXT, "url": TEXT, "file_data": TEXT, "filename": TEXT})
IMAGE = st.fixed_dictionaries({}, optional={"file_id": TEXT, "url": TEXT, "detail": st.sampled_from(["low", "x"])})
PART = st.one_of(
    st.fixed_dictionaries({"type": st.just("text"), "text": TEXT}),
    st.fixed_dictionaries({"type": st.just("file"), "file": SOURCE}),
    st.fixed_dictionaries({"type": st.just("image_url"), "image_url": IMAGE}),
    st.fixed_dictionaries({"type": TEXT}),
)
CALL = st.fixed_dictionaries(
    {"id": TEXT, "function": st.fixed_dictionaries({"name": TEXT, "arguments": TEXT})}, optional={"type": TEXT}
)
MESSAGE = st.fixed_dictionaries(
    {"role": st.sampled_from(["user", "assistant", "system", "tool", "function", "developer"])},
    optional={
        "content": st.none() | TEXT | st.lists(PART, max_size=3),
        "tool_calls": st.none() | st.lists(CALL, max_size=2),
        "tool_call_id": TEXT,
        "name": TEXT,
    },
)
TOOL = st.fixed_dictionaries(
    {"type": st.sampled_from(["function", "live_search"])},
    optional={"function": st.none() | st.fixed_dictionaries({"name": TEXT}, optional={"parameters": JSON})},
)
OPTIONS = {
    "stream": st.none() | st.booleans(),
    "stream_options": st.none() | st.fixed_dictionaries({}, optional={"include_usage": st.booleans()}),
    "n": st.none() | st.integers(-1, 5),
    "max_tokens": st.none() | st.integers(-1, 5),
    "stop": st.none() | TEXT | st.lists(TEXT, max_size=5),
    "tools": st.none() | st.lists(TOOL, max_size=3),
    "tool_choice": st.none() | st.sampled_from(["auto", "none", "required", "x"]) | st.dictionaries(TEXT, JSON),
    "response_format": st.none()
    | st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "json_object", "json_schema", "x"])}, optional={"json_schema": JSON}
    ),
    "reasoning_effort": st.none() | TEXT,
    "service_tier": st.none() | TEXT,
}
BODY = st.fixed_dictionaries(
    {"messages": st.lists(MESSAGE, max_size=4), "model": st.just("grok-4.3")}, optional=OPTIONS
)


@pytest.fixture(scope="module")
def client(emulator: Emulator) -> Any:
    """A client for all examples."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


@given(body=BODY)
@settings(max_examples=examples(300), suppress_health_check=[HealthCheck.too_slow])
def test_any_chat_body_is_answered_or_refused(client: httpx.Client, body: Any) -> None:
    reply = client.post(PATH, json=body)
    assert reply.status_code in (200, 400, 404, 410, 422), (reply.status_code, reply.text)
    if reply.status_code == 200 and body.get("stream"):
        assert reply.text.endswith("data: [DONE]\n\n")


@given(body=st.dictionaries(st.sampled_from([*OPTIONS, "messages", "model"]), JSON, max_size=4))
@settings(max_examples=examples(200))
def test_any_json_is_answered_or_refused(client: httpx.Client, body: Any) -> None:
    reply = client.post(PATH, json={**chat_body(model="grok-4.3"), **body})
    assert reply.status_code in (200, 400, 404, 410, 422), (reply.status_code, reply.text)


@given(text=TEXT)
@settings(max_examples=examples(100))
def test_tokens_of_any_text_cover_it(client: httpx.Client, text: str) -> None:
    reply = client.post(
        "/v1/tokenize-text",
        content=msgspec.json.encode({"text": text, "model": "grok-4.3"}),
        headers={"content-type": "application/json"},
    )
    tokens = reply.json()["token_ids"]
    assert b"".join(bytes(token["token_bytes"]) for token in tokens).decode() == text
