"""Which calls the access list of a key opens, over REST and gRPC."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .case import case
from .clients.client import MODEL, Client, chat_request
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .test_key_parameters import ENDPOINTS, MODELS, keys_path

IMAGE = {"model": "grok-imagine-image", "prompt": "A kettle."}
VIDEO = {"model": "grok-imagine-video", "prompt": "A kettle."}
SEARCH: dict[str, Any] = {"query": "kettle", "source": {"collection_ids": []}}
# The endpoints of access lists, and the calls of each: method, path and body.
CALLS: tuple[tuple[str, str, str, Any], ...] = (
    ("chat", "POST", "/v1/chat/completions", chat_request("Say a.")),
    ("chat", "POST", "/v1/chat/completions", {**chat_request("Say a."), "deferred": True}),
    ("chat", "POST", "/v1/responses", {"model": MODEL, "input": "Say a.", "store": False}),
    ("chat", "POST", "/v1/responses/compact", {"model": MODEL, "input": "Say a."}),
    ("image", "POST", "/v1/images/generations", IMAGE),
    ("video", "POST", "/v1/videos/generations", VIDEO),
    ("files", "GET", "/v1/files", None),
    ("documents", "POST", "/v1/documents/search", SEARCH),
    ("batches", "GET", "/v1/batches", None),
    ("", "GET", "/v1/models", None),
    ("", "GET", "/v1/api-key", None),
)
CHAT = {"model": MODEL, "messages": [{"role": "ROLE_USER", "content": [{"text": "Say a."}]}]}
METHODS: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("chat", "GetCompletion", CHAT),
    ("chat", "StartDeferredCompletion", CHAT),
    ("image", "GenerateImage", IMAGE),
    ("video", "GenerateVideo", VIDEO),
    ("files", "ListFiles", {}),
    ("documents", "Search", SEARCH),
    ("batches", "ListBatches", {}),
    ("", "ListLanguageModels", {}),
)
NAMES = ("chat", "image", "video", "files", "documents", "batches")


@case(
    "keys.endpoints",
    *("keys.create", "chat.create", "files.list", "documents.search", "batches.list"),
    *("images.generate", "videos.generate"),
    evidence="assumed",
    source="Management API guide: api-key:endpoint:chat and :image; the other names, and which calls each opens",
    refusal="endpoint not in access list",
    refusing=("chat.create", "files.list", "documents.search", "batches.list", "images.generate", "videos.generate"),
    destructive=True,
    paid=True,
)
@pytest.mark.over_both_protocols
@pytest.mark.own_team
def test_endpoints(client: Client, rest: RestClient, name: str) -> None:
    """A key reaches the calls of the endpoints in its access list and no others; every key reads models."""
    path = keys_path(rest)
    collection = rest.create_collection(f"{name}notes").id
    search = {**SEARCH, "source": {"collection_ids": [collection]}}
    lists: list[list[str]] = [
        [],
        [ENDPOINTS],
        *([f"api-key:endpoint:{each}"] for each in NAMES),
        ["api-key:endpoint:chat", ENDPOINTS],
    ]
    for acls in lists:
        body = {"name": f"{name}key", "acls": [MODELS, *acls]}
        secret = rest.json("POST", path, json_body=body)["apiKey"]
        found, expected = {}, {}
        limited: Any = client.with_keys(secret, "") if client.protocol == "grpc" else rest.with_keys(secret, "")
        try:
            if client.protocol == "grpc":
                for endpoint, rpc, message in METHODS:
                    given = search if rpc == "Search" else message
                    found[rpc] = refusal_kind(partial(limited.call_rpc, rpc, **given))
                    expected[rpc] = endpoint
            else:
                for endpoint, method, place, message in CALLS:
                    given = search if place.endswith("search") else message
                    title = f"{method} {place} {message}"
                    found[title] = refusal_kind(partial(limited.call, method, place, json_body=given))
                    expected[title] = endpoint
        finally:
            limited.close()
        is_open = {"", *(acl.rpartition(":")[2] for acl in acls), *(NAMES if ENDPOINTS in acls else ())}
        assert found == {title: "" if each in is_open else "forbidden" for title, each in expected.items()}, acls
