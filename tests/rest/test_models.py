"""Lists of models over REST, with plain HTTP and with openai."""

from __future__ import annotations

import httpx
import openai
import pytest

from emulator import Emulator

LISTS = ["models", "language-models", "image-generation-models", "video-generation-models", "embedding-models"]


def test_models_list_has_recorded_members(rest: httpx.Client) -> None:
    reply = rest.get("/v1/models").json()
    assert list(reply) == ["data", "object"]
    first = reply["data"][0]
    assert list(first) == ["id", "created", "object", "owned_by", "context_length"]
    assert (first["object"], first["owned_by"]) == ("model", "xai")


def test_language_model_has_prices_and_aliases(rest: httpx.Client) -> None:
    model = rest.get("/v1/language-models/grok-latest").json()
    assert model["id"] == "grok-4.3"
    assert model["fingerprint"] == "fp_eb3c003fc66c14ed"
    assert (model["prompt_text_token_price"], model["completion_text_token_price"]) == (12_500, 25_000)
    assert model["completion_text_token_price_long_context"] == 50_000
    assert model["long_context_threshold"] == 200_000
    assert model["aliases"] == ["grok-4.3-latest", "grok-latest"]


@pytest.mark.parametrize("path", LISTS)
def test_single_model_is_the_one_of_the_list(rest: httpx.Client, path: str) -> None:
    reply = rest.get(f"/v1/{path}").json()
    for model in reply.get("data") or reply["models"]:
        assert rest.get(f"/v1/{path}/{model['id']}").json() == model


@pytest.mark.parametrize("path", LISTS)
def test_unknown_model_returns_404(rest: httpx.Client, path: str) -> None:
    reply = rest.get(f"/v1/{path}/grok-2")
    assert (reply.status_code, reply.json()) == (404, {"code": "not-found", "error": "Model not found: grok-2"})


@pytest.mark.parametrize("path", LISTS)
def test_list_without_key_returns_401(emulator: Emulator, path: str) -> None:
    assert httpx.get(f"{emulator.base_url}/{path}").status_code == 401


def test_openai_reads_models(emulator: Emulator) -> None:
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key) as client:
        assert "grok-4.3" in [model.id for model in client.models.list()]
        assert client.models.retrieve("grok-4.3").owned_by == "xai"
