"""An embedder that is a server with an /embeddings path as OpenAI's: Ollama, vLLM, llama.cpp, OpenAI itself."""

from __future__ import annotations

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import parse_qs, unquote, urlsplit, urlunsplit
from urllib.request import OpenerDirector, ProxyHandler, Request, build_opener

import msgspec

from emulator.search.embedders import EmbedderError

TIMEOUT_SECONDS = 60


class EmbeddingServer(msgspec.Struct, frozen=True):
    """A server that answers POST {"input": [texts], "model": …} with {"data": [{"index": 0, "embedding": […]}]}."""

    url: str
    key: str | None
    model: str | None
    opener: OpenerDirector

    @classmethod
    def from_url(cls, url: str) -> EmbeddingServer:
        """The server at a URL; its user is the bearer key, `model` in its query the model. Raises ValueError."""
        parts = urlsplit(url)
        if not parts.hostname or not parts.path.rstrip("/").endswith("/embeddings"):
            raise ValueError(
                f"{url!r} is not a URL such as http://localhost:11434/v1/embeddings?model=nomic-embed-text"
            )
        key, at, host = parts.netloc.rpartition("@")
        model = parse_qs(parts.query).get("model", [None])[0]
        address = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        return cls(address, unquote(key) if at else None, model, build_opener(ProxyHandler({})))

    def embed(self, texts: list[str]) -> list[Any]:
        """A vector for each text."""
        body = {"input": texts, "encoding_format": "float"} | ({"model": self.model} if self.model else {})
        headers = {"content-type": "application/json", "accept": "application/json"}
        if self.key is not None:
            headers["authorization"] = f"Bearer {self.key}"
        request = Request(self.url, json.dumps(body).encode(), headers)
        try:
            with self.opener.open(request, timeout=TIMEOUT_SECONDS) as reply:
                data = json.load(reply)["data"]
            return [item["embedding"] for item in sorted(data, key=lambda item: item["index"])]
        except HTTPError as error:
            with error:
                said = error.read(200).decode("utf-8", "replace")
            raise EmbedderError(f"{self.url} answered {error.code}: {said}") from None
        except URLError as error:
            raise EmbedderError(f"{self.url}: {error.reason}") from None
        except (KeyError, TypeError):
            raise EmbedderError(f"{self.url} did not answer as OpenAI's /embeddings does") from None
