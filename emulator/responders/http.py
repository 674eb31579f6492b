"""`http:URL`: forwards to any server that speaks OpenAI's API, such as `http:http://localhost:11434/v1?model=llama3`.

A user in the URL (`http://KEY@host/v1`) is sent as bearer key, a `model` in its query replaces the model that was asked
for. Chat and `responses` requests go to /chat/completions, pictures to /images/…; films are the emulator's own, for
that API has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from emulator.core.redaction import redact_url
from emulator.core.threads import each_in_threads
from emulator.core.upstream import Upstream, UpstreamError
from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.chat.requests import ModelRequest

TIMEOUT_SECONDS = 120
_PATHS = {
    RequestKind.CHAT: "/chat/completions",
    RequestKind.RESPONSES: "/chat/completions",
    RequestKind.IMAGE_GENERATION: "/images/generations",
    RequestKind.IMAGE_EDIT: "/images/edits",
}


class Http(msgspec.Struct, frozen=True):
    """Answers off the loop, several requests at once."""

    upstream: Upstream
    requests_max = 64

    @classmethod
    def from_url(cls, url: str) -> Http:
        """The server at a URL. Raises ValueError."""
        try:
            return cls(Upstream.from_url(url))
        except ValueError:
            raise ValueError(
                f"{redact_url(f'http:{url}')} is not http:URL, such as http:http://localhost:11434/v1"
            ) from None

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """What the server says to each."""
        return await each_in_threads(self._ask, requests)

    def _ask(self, request: ModelRequest) -> Any:
        path = _PATHS.get(RequestKind(request.kind))
        if path is None:
            return {}
        body = request.chat if request.result_kind is ResultKind.CHAT else request.body
        try:
            asked = {**body, "model": self.upstream.model or request.model}
            return self.upstream.post(path, asked, timeout_seconds=TIMEOUT_SECONDS)
        except UpstreamError as error:
            raise RuntimeError(error.said or str(error)) from None
