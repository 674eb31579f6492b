"""The Models service, as xai-sdk reads it."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import httpx
import pytest
import xai_sdk

from emulator import Emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[xai_sdk.Client]:
    with xai_sdk.Client(api_key=emulator.api_key, api_host=emulator.grpc_target) as client:
        yield client


def test_language_models_have_the_prices_of_rest(client: xai_sdk.Client, rest: httpx.Client) -> None:
    by_id = {model["id"]: model for model in rest.get("/v1/language-models").json()["models"]}
    models = client.models.list_language_models()
    assert [model.name for model in models] == list(by_id)
    for model in models:
        same = by_id[model.name]
        assert model.prompt_text_token_price == same["prompt_text_token_price"]
        assert model.cached_prompt_token_price == same["cached_prompt_text_token_price"]
        assert model.system_fingerprint == same["fingerprint"]
        assert model.created.seconds == same["created"]
        assert list(model.aliases) == same["aliases"]
        assert len(model.input_modalities) == len(same["input_modalities"])


def test_alias_gets_its_model(client: xai_sdk.Client) -> None:
    assert client.models.get_language_model("grok-latest").name == "grok-4.3"
    assert client.models.get_image_generation_model("grok-imagine-image-pro").image_price == 700_000_000


def test_embedding_models_are_empty(client: xai_sdk.Client) -> None:
    assert list(client.models.list_embedding_models()) == []


def test_unknown_model_is_not_found(client: xai_sdk.Client) -> None:
    for get in (
        client.models.get_language_model,
        client.models.get_embedding_model,
        client.models.get_image_generation_model,
    ):
        with pytest.raises(grpc.RpcError) as refused:
            get("grok-2")
        assert refused.value.code() is grpc.StatusCode.NOT_FOUND
        assert refused.value.details() == "Model not found: grok-2"
