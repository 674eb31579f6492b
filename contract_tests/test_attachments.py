"""A file that is attached to a question is read in the same way wherever it comes from."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from .case import EMULATOR, case
from .clients.client import MODEL, Client
from .clients.models import refusal_kind
from .clients.rest import RestClient
from .target import Target
from .test_page_numbers import pdf

pytestmark = [pytest.mark.own_team, pytest.mark.over_both_protocols]
Json = Any
TEXT, QUESTION = "The copper kettle is warm.", "Is the kettle warm?"
ALL = ("a file", "data", "data with a name", "a data URL", "a data URL with another name")
# The name, the type and the bytes of a file, and how it is attached.
FILES: tuple[tuple[str, str, bytes, tuple[str, ...]], ...] = (
    ("a.txt", "text/plain", TEXT.encode(), ALL),
    ("a.html", "text/html", f"<html><body><p>{TEXT}</p><script>hidden()</script></body></html>".encode(), ALL[::4]),
    ("a.pdf", "application/pdf", pdf(TEXT), ("a public URL", ALL[-1])),
)


def ways(rest: RestClient, filename: str, kind: str, content: bytes) -> dict[str, Json]:
    """Each way to attach a file, as the member `file` of a part of a chat message."""
    file = rest.upload_file(content, filename, content_type=kind).id
    data = b64encode(content).decode()
    found: dict[str, Json] = {
        "a file": {"file_id": file},
        "data": {"file_data": data, "filename": filename, "mime_type": kind},
        "data with a name": {"file_data": data, "filename": filename},
        "a data URL": {"file_data": f"data:{kind};base64,{data}"},
        "a data URL with another name": {"file_data": f"data:{kind};base64,{data}", "filename": "other"},
    }
    if kind == "application/pdf":
        found["a public URL"] = {"url": rest.create_public_url(file).url}
    return found


@case(
    "chat.attachments.sources",
    *("chat.create", "responses.create", "files.upload", "files.create_public_url"),
    evidence=EMULATOR,
    source="OpenAPI: file and input_file; the emulator quotes the passage that fits the question best",
    control=True,
    paid=True,
)
def test_sources(client: Client, rest: RestClient, target: Target, name: str) -> None:
    """An attached file is quoted alike from its id, its bytes, a data URL and its public URL, in chat and responses."""
    for filename, kind, content, chosen in FILES:
        attached = ways(rest, f"{name}{filename}", kind, content)
        for way in chosen:
            file = attached[way]
            parts = [{"type": "text", "text": QUESTION}, {"type": "file", "file": file}]
            body = {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
            chat = rest.json("POST", "/v1/chat/completions", json_body=body)
            text = chat["choices"][0]["message"]["content"]
            assert TEXT in text, (filename, way)
            assert "hidden" not in text, (filename, way)
            item = {"file_url" if key == "url" else key: value for key, value in file.items()}
            items = [{"type": "input_text", "text": QUESTION}, {"type": "input_file", **item}]
            request = {"model": MODEL, "input": [{"role": "user", "content": items}], "store": False}
            answer = rest.json("POST", "/v1/responses", json_body=request)
            assert answer["output"][-1]["content"][0]["text"] == text, (filename, way)
            assert answer["usage"]["input_tokens"] == chat["usage"]["prompt_tokens"], (filename, way)
            if client.protocol == "grpc" and way in ("a file", "data", "a public URL"):
                sent = {"data": content, "filename": file.get("filename"), "mime_type": kind} if way == "data" else file
                parts = [{"text": QUESTION}, {"file": sent}]
                message = {"role": "ROLE_USER", "content": parts}
                found = client.call_rpc("GetCompletion", model=MODEL, messages=[message])
                assert found["outputs"][-1]["message"]["content"] == text, (filename, way)
                assert found["usage"]["prompt_tokens"] == chat["usage"]["prompt_tokens"], (filename, way)
    ended = rest.upload_file(pdf(TEXT), f"{name}b.pdf", content_type="application/pdf").id
    url = rest.create_public_url(ended).url
    rest.revoke_public_url(ended)
    content_parts: list[Json] = [{"type": "text", "text": QUESTION}, {"type": "file", "file": {"url": url}}]
    body = {"model": MODEL, "messages": [{"role": "user", "content": content_parts}]}
    shown = rest.json("POST", "/v1/chat/completions", json_body=body)["choices"][0]["message"]["content"]
    assert TEXT not in shown
    rest.delete_file(ended)
    content_parts[-1] = {"type": "file", "file": {"file_id": ended}}
    assert refusal_kind(lambda: rest.json("POST", "/v1/chat/completions", json_body=body)) == "not_found"
