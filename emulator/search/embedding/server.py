"""An embedder that calls a server with OpenAI's /embeddings path: Ollama, vLLM, llama.cpp, or OpenAI itself."""

from __future__ import annotations

from typing import Any

import msgspec

from emulator.core.redaction import redact_url
from emulator.core.upstream import Upstream, UpstreamError
from emulator.search.embedding.error import EmbedderError

TIMEOUT_SECONDS = 60


class EmbeddingServer(msgspec.Struct, frozen=True):
    """A server that answers POST {"input": [texts], "model": …} with {"data": [{"index": 0, "embedding": […]}]}."""

    upstream: Upstream

    @classmethod
    def from_url(cls, url: str) -> EmbeddingServer:
        """Return the server at a URL; its user is the bearer key, `model` in its query the model. Raises ValueError."""
        wrong = f"{redact_url(url)!r} is not a URL such as http://localhost:11434/v1/embeddings?model=nomic-embed-text"
        try:
            upstream = Upstream.from_url(url)
        except ValueError:
            raise ValueError(wrong) from None
        if not upstream.url.endswith("/embeddings"):
            raise ValueError(wrong)
        return cls(upstream)

    def embed(self, texts: list[str]) -> list[Any]:
        """Return a vector for each text."""
        model = {} if self.upstream.model is None else {"model": self.upstream.model}
        body = {"input": texts, "encoding_format": "float", **model}
        try:
            data = self.upstream.post("", body, timeout_seconds=TIMEOUT_SECONDS)["data"]
            return [item["embedding"] for item in sorted(data, key=lambda item: item["index"])]
        except UpstreamError as error:
            raise EmbedderError(str(error)) from None
        except (KeyError, TypeError):
            raise EmbedderError(f"{self.upstream.url} did not answer as OpenAI's /embeddings does") from None
