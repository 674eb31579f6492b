"""Values that a call has to refuse, beside the bounds of `test_bounds`: each is refused wherever it can be sent."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest

from .case import case
from .clients.client import MODEL, chat_request
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .test_answer_parameters import PNG

pytestmark = [pytest.mark.own_team, pytest.mark.usefixtures("transport")]
Json = Any
SOURCE = "OpenAPI: the descriptions of the members; which values are refused is assumed where they do not say it"


def check_refused(rest: RestClient, method: str, path: str, bodies: tuple[Json, ...]) -> None:
    """Fail where a call accepts one of these bodies."""
    for body in bodies:
        kind = refusal_kind(partial(rest.call, method, path, json_body=body))
        assert kind == "invalid", (path, body, kind)


@case(
    "chat.refused-values",
    *("chat.create", "responses.create", "models.list_language"),
    evidence="assumed",
    source=SOURCE,
    refusal="invalid value",
    refusing=("chat.create", "responses.create"),
    paid=True,
)
def test_chat(rest: RestClient, name: str) -> None:
    """Models of text refuse images, a choice of tools needs tools, tools of the server make one choice."""
    text = rest.upload_file(b"The kettle.", f"{name}a.txt").id
    models = rest.json("GET", "/v1/language-models")["models"]
    blind = [each["id"] for each in models if "image" not in each["input_modalities"]]
    picture = {"type": "image_url", "image_url": {"url": PNG}}
    chat = chat_request("Say a.")

    def said(*parts: Json) -> Json:
        return [{"role": "user", "content": list(parts)}]

    check_refused(
        *(rest, "POST", "/v1/chat/completions"),
        (
            {**chat, "tool_choice": "required"},
            {**chat, "tool_choice": {"type": "function", "function": {"name": "look_up"}}},
            {**chat, "messages": []},
            {**chat, "messages": said({"type": "file", "file": {}})},
            {**chat, "messages": said({"type": "image_url"})},
            {**chat, "messages": said({"type": "file", "file": {"file_id": text}}), "n": 2},
            *({**chat, "messages": said(picture), "model": each} for each in blind),
        ),
    )
    check_refused(
        *(rest, "POST", "/v1/responses"),
        (
            {"model": MODEL, "input": "Say a.", "tool_choice": "required"},
            {"model": MODEL, "input": "Say a.", "max_output_tokens": 0},
            {"model": MODEL, "input": said({"type": "input_image", "file_id": text})},
            *({"model": each, "input": said({"type": "input_image", "image_url": PNG})} for each in blind),
        ),
    )
    assert blind


@case(
    "collections.refused-values",
    *("collections.create", "collections.update"),
    evidence="assumed",
    source=SOURCE,
    refusal="invalid value",
)
def test_collections(rest: RestClient, name: str) -> None:
    """Chunk configurations refuse members of another strategy; definitions refuse what documents do not keep."""
    body = {"collection_name": f"{name}notes"}
    configurations = (
        {"chars_configuration": {"max_chunk_size_chars": 60, "chunk_overlap_chars": -1}},
        {"tokens_configuration": {"max_chunk_size_tokens": 60, "encoding_name": "latin-1"}},
        {"chars_configuration": {"max_chunk_size_chars": 60}, "bytes_configuration": {"max_chunk_size_bytes": 60}},
    )
    bodies = tuple({**body, "chunk_configuration": each} for each in configurations)
    definitions = [{"key": "author"}, {"key": "place"}]
    collection = rest.create_collection(f"{name}library", fields=definitions).id
    for word in "ab":
        file = rest.upload_file(b"The kettle.", f"{name}{word}.txt").id
        rest.add_document(collection, file, {"author": "Sappho"})
    check_refused(rest, "POST", "/v1/collections", bodies)
    updates: tuple[Json, ...] = ({"key": "place", "required": True}, {"key": "author", "unique": True}, {"key": ""})
    changes = tuple(
        {"field_definition_updates": [{"field_definition": each, "operation": "FIELD_DEFINITION_ADD"}]}
        for each in updates
    )
    check_refused(rest, "PUT", f"/v1/collections/{collection}", (*changes, *bodies))
    shown = rest.json("GET", f"/v1/collections/{collection}")["field_definitions"]
    assert [each["key"] for each in shown] == ["author", "place"]


@case(
    "media.refused-values",
    *("images.generate", "images.edit", "videos.generate", "videos.edit", "videos.extend"),
    evidence="assumed",
    source=SOURCE,
    refusal="invalid value",
    paid=True,
)
def test_media(rest: RestClient, name: str) -> None:
    """A file that is no image or no video is refused as one, and so are two sources and numbers out of range."""
    text, image = (rest.upload_file(b"x", f"{name}a.{word}").id for word in ("txt", "png"))
    url = "https://x.ai/a"
    for path, model, bodies in (
        ("images/generations", "grok-imagine-image", ({"n": 0}, {"n": 11})),
        (
            "images/edits",
            "grok-imagine-image",
            (
                {"image": {"file_id": text}},
                {"image": {"url": url, "file_id": image}},
                {"image": {"url": url}, "images": [{"url": url}]},
            ),
        ),
        (
            "videos/generations",
            "grok-imagine-video",
            ({"duration": 16}, {"image": {"file_id": text}}, {"prompt": ""}),
        ),
        ("videos/edits", "grok-imagine-video", ({"video": {"file_id": image}}, {"video": {"file_id": text}})),
        (
            "videos/extensions",
            "grok-imagine-video",
            ({"video": {"file_id": image}}, {"video": {"url": url}, "duration": 11}),
        ),
    ):
        given: tuple[Json, ...] = tuple({"model": model, "prompt": "A kettle.", **each} for each in bodies)
        check_refused(rest, "POST", f"/v1/{path}", given)
