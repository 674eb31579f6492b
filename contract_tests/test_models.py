"""Each model answers under its names, at its price, and counts tokens alike over both transports."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from . import matchers
from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.rest import RestClient
from .test_answers import TEXT, cost

pytestmark = [pytest.mark.over_both_protocols, pytest.mark.own_team]
Json = Any


@case(
    "chat.models",
    *("chat.create", "responses.create", "models.list_language", "chat.tokenize"),
    evidence=EMULATOR,
    source="recorded live, 2026-04 to 2026-09: the answer names the model behind an alias; prices are of the model",
    control=True,
    paid=True,
)
def test_models(client: Client, rest: RestClient) -> None:
    """Each model answers under its name and its aliases, with its own fingerprint and at its own price."""
    for model in rest.json("GET", "/v1/language-models")["models"]:
        for name in (model["id"], *model["aliases"]):
            body = {"model": name, "messages": [{"role": "user", "content": TEXT}]}
            whole = rest.json("POST", "/v1/chat/completions", json_body=body)
            matchers.check(whole, {"model": model["id"], "system_fingerprint": model["fingerprint"]}, name)
            ticks = cost(rest, whole["usage"], model["id"])
            assert whole["usage"]["cost_in_usd_ticks"] == ticks, name
            response = rest.json("POST", "/v1/responses", json_body={"model": name, "input": TEXT, "store": False})
            usage = {"cost_in_usd_ticks": ticks}
            matchers.check(response, {"model": model["id"], "usage": usage, "store": False}, name)
            assert response["metadata"] == {"system_fingerprint": model["fingerprint"]}, name
            rest.json("POST", "/v1/tokenize-text", json_body={"text": TEXT, "model": name})
            if client.protocol == "grpc":
                message = {"model": name, "messages": [{"role": "ROLE_USER", "content": [{"text": TEXT}]}]}
                for found in (
                    client.call_rpc("GetCompletion", **message),
                    client.stream_rpc("GetCompletionChunk", **message)[-1],
                ):
                    matchers.check(found, {"model": model["id"], "system_fingerprint": model["fingerprint"]}, name)
                    assert found["usage"].get("cost_in_usd_ticks", ticks) == ticks, name
                assert client.call_rpc("TokenizeText", text="a", model=name)["model"] == model["id"], name


@case(
    "models.same-everywhere",
    *("models.list", "models.get", "models.list_language", "models.get_language", "models.list_image_generation"),
    *("models.get_image_generation", "models.list_video_generation", "models.get_video_generation"),
    *("teams.list", "teams.list_models"),
    evidence="documented",
    source="OpenAPI: the paths of models; the prices of long prompts and context lengths are recorded live, 2026-09",
)
def test_same_everywhere(rest: RestClient, client: Client) -> None:
    """A model is the same in each list, alone and under each of its aliases, and the list of all models has it."""
    every = {each["id"]: each for each in rest.json("GET", "/v1/models")["data"]}
    named: list[str] = []
    for word in ("language-models", "image-generation-models", "video-generation-models"):
        models = rest.json("GET", f"/v1/{word}")["models"]
        named += [each["id"] for each in models]
        for model in models:
            one = every[model["id"]]
            for name in (model["id"], *model["aliases"]):
                assert rest.json("GET", f"/v1/{word}/{name}") == model, name
                assert rest.json("GET", f"/v1/models/{name}") == one, name
            assert {key: one[key] for key in ("created", "object", "owned_by")} == {
                key: model[key] for key in ("created", "object", "owned_by")
            }, one
            matchers.check(model, _MODELS.get(model["id"], {}), model["id"])
            for price in ("prompt_text", "cached_prompt_text", "completion_text"):
                long = model.get(f"{price}_token_price_long_context")
                assert long in (None, 2 * model.get(f"{price}_token_price", 0)), (model["id"], price)
        assert len({each["fingerprint"] for each in models}) == len(models)
        aliases = [alias for each in models for alias in each["aliases"]]
        assert len({*aliases}) == len(aliases)
    assert named == list(every)
    assert every["grok-4.3"].get("context_length") in (None, 1_000_000)
    team = rest.json("GET", "/auth/teams")["teams"][0]["teamId"]
    assert [each["name"] for each in rest.json("GET", f"/auth/teams/{team}/models")["models"]] == named
    if client.protocol == "grpc":
        for rpc, path in (
            ("ListLanguageModels", "/v1/language-models"),
            ("ListImageGenerationModels", "/v1/image-generation-models"),
        ):
            shown = rest.json("GET", path)["models"]
            for message, model in zip(client.call_rpc(rpc)["models"], shown, strict=True):
                one = rpc.removeprefix("List").removesuffix("s")
                for name in (model["id"], *model["aliases"]):
                    assert client.call_rpc(f"Get{one}", name=name) == message, name
                _check_model(message, model)


_MODELS: dict[str, Json] = {
    "grok-4.3": {
        "prompt_text_token_price": 12_500,
        "cached_prompt_text_token_price": 2_000,
        "completion_text_token_price": 25_000,
        "prompt_image_token_price": 12_500,
        "input_modalities": ["text", "image"],
        "output_modalities": ["text"],
    },
    "grok-imagine-image": {"image_price": 200_000_000, "max_prompt_length": 8000, "output_modalities": ["image"]},
    "grok-imagine-video": {"output_modalities": ["video"]},
}


def _check_model(message: Json, model: Json) -> None:
    renamed = {
        "name": "id",
        "system_fingerprint": "fingerprint",
        "cached_prompt_token_price": "cached_prompt_text_token_price",
    }
    for name, value in message.items():
        shown = model.get(renamed.get(name, name))
        if name in ("input_modalities", "output_modalities"):
            assert [str(each).lower().removeprefix("modality_") for each in value] == shown, (name, model["id"])
        elif name == "created":
            assert datetime.fromisoformat(value).timestamp() == shown, (name, model["id"])
        elif name != "max_prompt_length" or shown is not None:
            assert value == shown, (name, model["id"])


TOKENS = "Öl, 油 and 🙂: naïve cafés."


@case(
    "models.tokenize-everywhere",
    *("chat.tokenize",),
    evidence="documented",
    source="OpenAPI: TokenizeResponse; tokenize.proto: Token",
)
def test_tokens(client: Client, rest: RestClient) -> None:
    """Tokens are the text in its order, with their bytes in UTF-8, and are the same over gRPC."""
    found = rest.json("POST", "/v1/tokenize-text", json_body={"text": TOKENS, "model": MODEL, "user": "u"})["token_ids"]
    assert b"".join(bytes(each["token_bytes"]) for each in found) == TOKENS.encode()
    assert "".join(each["string_token"] for each in found) == TOKENS
    assert all(bytes(each["token_bytes"]).decode() == each["string_token"] for each in found)
    ids = {each["string_token"]: each["token_id"] for each in found}
    assert len(set(ids.values())) == len(ids)
    if client.protocol == "grpc":
        tokens = client.call_rpc("TokenizeText", text=TOKENS, model=MODEL, user="u")["tokens"]
        for token, shown in zip(tokens, found, strict=True):
            assert (token["token_id"], token["string_token"]) == (shown["token_id"], shown["string_token"])
