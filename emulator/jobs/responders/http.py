"""`http:URL`: forwards to any server that speaks OpenAI's API, such as `http:http://localhost:11434/v1?model=llama3`.

A user in the URL (`http://KEY@host/v1`) is sent as bearer key, a `model` in its query replaces the model that was asked
for. Chat and `responses` requests go to /chat/completions, pictures to /images/…; films are the emulator's own, for
that API has none.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

from emulator.domain.batches import RequestKind, ResultKind
from emulator.domain.batches_chat import Json
from emulator.domain.batches_results import BatchRequest
from emulator.threads import each_in_threads

TIMEOUT_SECONDS = 120
_PATHS = {
    RequestKind.CHAT: "/chat/completions",
    RequestKind.RESPONSES: "/chat/completions",
    RequestKind.IMAGE_GENERATION: "/images/generations",
    RequestKind.IMAGE_EDIT: "/images/edits",
}


class Http(msgspec.Struct, frozen=True):
    """Answers off the loop, several requests at once."""

    base: str
    key: str | None
    model: str | None
    opener: OpenerDirector
    requests_max = 64

    @classmethod
    def from_url(cls, url: str) -> Http:
        """The server at a URL. Raises ValueError."""
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"http:{url} is not http:URL, such as http:http://localhost:11434/v1")
        key, at, host = parts.netloc.rpartition("@")
        base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        model = parse_qs(parts.query).get("model", [None])[0]
        return cls(base, unquote(key) if at else None, model, build_opener(ProxyHandler({})))

    async def answer(self, requests: Sequence[BatchRequest]) -> list[Any]:
        """What the server says to each."""
        return await each_in_threads(self._ask, requests)

    def _ask(self, request: BatchRequest) -> Any:
        path = _PATHS.get(RequestKind(request.kind))
        if path is None:
            return {}
        body = request.chat if request.result_kind is ResultKind.CHAT else request.body
        return self._post(path, {**body, "model": self.model or request.model})

    def _post(self, path: str, body: Json) -> Any:
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        request = Request(self.base + path, json.dumps(body).encode(), headers)
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
                return json.load(reply)
        except HTTPError as error:
            raise RuntimeError(_complaint(error)) from None
        except (URLError, OSError, ValueError) as error:
            raise RuntimeError(f"{self.base}{path}: {getattr(error, 'reason', error)}") from None


def _complaint(error: HTTPError) -> str:
    """The message of a refusal, in either of the two shapes that are in use."""
    with error:
        text = error.read(65_536).decode("utf-8", "replace")
    try:
        found = json.loads(text)["error"]
        return str(found["message"] if isinstance(found, dict) else found)
    except (ValueError, TypeError, KeyError):
        return f"{error.code} {error.reason}: {text[:200]}"
