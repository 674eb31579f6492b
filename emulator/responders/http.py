"""`http:URL`: forwards to any server that speaks OpenAI's API, such as `http:http://localhost:11434/v1?model=llama3`.

A user in the URL (`http://KEY@host/v1`) is sent as bearer key; a `model` in its query replaces the model of the
request. Chat and `responses` requests go to /chat/completions, images to /images/…; the emulator creates videos itself,
because that API has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from emulator.core.redaction import redact_url
from emulator.core.threads import map_in_threads
from emulator.core.upstream import Upstream, UpstreamError
from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.requests import ModelRequest

TIMEOUT_SECONDS = 120
_PATHS = {
    RequestKind.CHAT: "/chat/completions",
    RequestKind.RESPONSES: "/chat/completions",
    RequestKind.IMAGE_GENERATION: "/images/generations",
    RequestKind.IMAGE_EDIT: "/images/edits",
}


class Http(msgspec.Struct, frozen=True):
    """Calls the server in threads, several requests at once."""

    upstream: Upstream
    requests_max = 64

    @classmethod
    def from_url(cls, url: str) -> Http:
        """Return the responder for a URL. Raises ValueError."""
        try:
            return cls(Upstream.from_url(url))
        except ValueError:
            raise ValueError(
                f"{redact_url(f'http:{url}')} is not http:URL, such as http:http://localhost:11434/v1"
            ) from None

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """Return the server's answer to each request."""
        return await map_in_threads(self._ask, requests)

    def _ask(self, request: ModelRequest) -> Any:
        path = _PATHS.get(RequestKind(request.kind))
        if path is None:
            return {}
        body = forwarded(request) if request.result_kind is ResultKind.CHAT else request.body
        try:
            asked = {**body, "model": self.upstream.model or request.model}
            return self.upstream.post(path, asked, timeout_seconds=TIMEOUT_SECONDS)
        except UpstreamError as error:
            raise RuntimeError(error.said or str(error)) from None


# Members that the emulator implements itself, with every responder.
_OWN_MEMBERS = ("stream", "stream_options", "deferred", "store", "previous_response_id", "include")


def forwarded(request: ModelRequest) -> Json:
    """Return the chat body for another server, with the passages of the emulator's search before the conversation.

    Files and search tools are removed, because that server does not know them.
    """
    body = {name: value for name, value in request.chat.items() if name not in _OWN_MEMBERS}
    if request.collection_tools:
        tools = [tool for tool in request.tools if tool not in request.collection_tools]
        body = {name: value for name, value in body.items() if name != "tools"} | ({"tools": tools} if tools else {})
    if request.files:
        body["messages"] = [_without_files(message) for message in request.messages]
    passages = [passage for search in request.evidence for passage in (*search.passages, search.opening) if passage]
    if passages:
        found = "\n\n".join(f"[{number}] {each.filename}\n{each.text}" for number, each in enumerate(passages, 1))
        body["messages"] = [{"role": "system", "content": f"{_FOUND}\n\n{found}"}, *body["messages"]]
    return body


_FOUND = "Answer from these passages, which a search in the user's documents has found."


def _without_files(message: Json) -> Json:
    content = message.get("content")
    if not isinstance(content, list):
        return message
    return {**message, "content": [part for part in content if part.get("type") != "file"]}
