"""Each model answers under its names, at its price, and counts tokens alike over both transports."""

from __future__ import annotations

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
@pytest.mark.over_both_protocols
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
    "models.aliases",
    *("models.get", "models.get_language", "models.get_image_generation", "models.get_video_generation"),
    evidence="documented",
    source="OpenAPI: LanguageModel.aliases; models.proto: GetModelRequest",
)
@pytest.mark.over_both_protocols
def test_aliases(client: Client, rest: RestClient) -> None:
    """A model is the same by its name and by each of its aliases, alone as in its list."""
    for path, rpc in (
        ("language-models", "GetLanguageModel"),
        ("image-generation-models", "GetImageGenerationModel"),
        ("video-generation-models", ""),
    ):
        for model in rest.json("GET", f"/v1/{path}")["models"]:
            for name in (model["id"], *model["aliases"]):
                assert rest.json("GET", f"/v1/{path}/{name}") == model, name
                assert rest.json("GET", f"/v1/models/{name}")["id"] == model["id"], name
                if client.protocol == "grpc" and rpc:
                    found = client.call_rpc(rpc, name=name)
                    assert (found["name"], found["aliases"]) == (model["id"], model["aliases"]), name


TOKENS = "Öl, 油 and 🙂: naïve cafés."


@case(
    "models.tokenize-everywhere",
    *("chat.tokenize",),
    evidence="documented",
    source="OpenAPI: TokenizeResponse; tokenize.proto: Token",
)
@pytest.mark.over_both_protocols
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
