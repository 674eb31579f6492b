"""The headers of answers, and the setting that accepts any model."""

from __future__ import annotations

from typing import Any

import httpx
import msgspec
import pytest

from emulator import Emulator
from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.answers import answer_of
from emulator.domain.chat.pace import Pace
from emulator.domain.chat.requests import ModelRequest
from emulator.http.requests import Request
from emulator.rest.responses import AsAnswer
from fixtures.team import EmulatedTeam
from tests.rest.batch_helpers import chat_body
from tests.rpc.client import Rpc, message

CHAT = "/v1/chat/completions"
BODIES: dict[str, dict[str, Any]] = {
    CHAT: chat_body("one two", model="grok-4.3"),
}
RATES = [f"x-ratelimit-{kind}-{what}" for kind in ("limit", "remaining") for what in ("requests", "tokens")]
METRICS = ["x-metrics-e2e-ms", "x-metrics-ttft-ms", "x-metrics-mean-itl-ms"]


@pytest.mark.parametrize("path", BODIES)
def test_answer_has_headers_of_rates_and_metrics(rest: httpx.Client, path: str) -> None:
    headers = rest.post(path, json=BODIES[path]).headers
    assert all(int(headers[name]) > 0 for name in RATES)
    assert [headers[name] for name in METRICS] == ["0", "0", "0"]
    assert "x-ratelimit-reset-requests" not in headers
    assert int(headers[RATES[1]]) - int(headers[RATES[3]]) > 0  # the tokens of this answer


@pytest.mark.parametrize("path", BODIES)
def test_stream_has_headers_of_rates_only(rest: httpx.Client, path: str) -> None:
    headers = rest.post(path, json={**BODIES[path], "stream": True}).headers
    assert [name in headers for name in (*RATES, *METRICS)] == [True] * 4 + [False] * 3


def test_refusal_and_list_have_no_such_headers(rest: httpx.Client) -> None:
    refused, listed = rest.post(CHAT, json={**BODIES[CHAT], "model": "no-such-model"}), rest.get("/v1/models")
    assert (refused.status_code, listed.status_code) == (400, 200)
    assert [name for reply in (refused, listed) for name in (*RATES, *METRICS) if name in reply.headers] == []


def test_metrics_follow_pace_of_responder() -> None:
    request = ModelRequest("", "", RequestKind.CHAT.value, "grok-4.3", BODIES[CHAT])
    answer = answer_of(request, "one two three", id="x", created=1)
    paced = msgspec.structs.replace(answer, pace=Pace(delay=1, ttft=0.5, tokens_per_second=10))
    response = AsAnswer(dict, lambda found: {}, lambda stream: None)(Request({"type": "http"}), paced)  # type: ignore[arg-type, return-value]
    headers = dict(response.raw_headers)
    assert [headers[name.encode()] for name in METRICS] == [b"1900", b"1500", b"100"]


@pytest.fixture
def any_model(emulator: Emulator, rest: httpx.Client) -> httpx.Client:
    """A client of a team that accepts any model."""
    EmulatedTeam(emulator, "default").configure(models="any")
    return rest


@pytest.mark.parametrize("path", BODIES)
def test_any_model_is_accepted_where_team_says_so(any_model: httpx.Client, path: str) -> None:
    answer = any_model.post(path, json={**BODIES[path], "model": "gpt-9"}).json()
    known = any_model.post(path, json=BODIES[path]).json()
    assert (answer["model"], known["model"]) == ("gpt-9", "grok-4.3")
    assert answer["usage"] == known["usage"]


def test_missing_model_is_named_latest_where_any_is_accepted(any_model: httpx.Client) -> None:
    body = {name: value for name, value in BODIES[CHAT].items() if name != "model"}
    assert any_model.post(CHAT, json=body).json()["model"] == "latest"


def test_any_model_makes_images_and_videos(any_model: httpx.Client) -> None:
    body = {"prompt": "a kettle", "model": "dall-e-9"}
    assert any_model.post("/v1/images/generations", json=body).status_code == 200
    assert any_model.post("/v1/videos/generations", json=body).status_code == 200


def test_any_model_is_accepted_over_grpc(emulator: Emulator, any_model: httpx.Client) -> None:
    user = message("xai_api.Message", role=1, content=[message("xai_api.Content", text="x")])
    with Rpc(emulator.grpc_target, emulator.api_key) as rpc:
        request = message("xai_api.GetCompletionsRequest", model="m", messages=[user])
        answer = rpc.call("xai_api.Chat/GetCompletion", request)
        tokens = rpc.call("xai_api.Tokenize/TokenizeText", message("xai_api.TokenizeTextRequest", model="m", text="x"))
    assert (answer.model, tokens.model) == ("m", "m")


def test_unknown_model_is_refused_before_key(rest: httpx.Client) -> None:
    refused = rest.post(CHAT, json={**BODIES[CHAT], "model": "gpt-9"}, headers={"authorization": ""})
    assert (refused.status_code, refused.json()["error"]) == (400, "Model not found: gpt-9")
