"""Embedders: the built-in `stand-in`, a Python function, or a server with OpenAI's API.

- `stand-in` compares spellings, not meanings: it tolerates typing errors and inflection, but knows no synonyms. It
  makes no vectors here: the index compares n-grams of texts.
- `MODULE:FUNCTION` is called with a list of texts and returns as many vectors. In Python also the function itself.
- A URL such as `http://KEY@localhost:11434/v1/embeddings?model=nomic-embed-text` is called like OpenAI's /embeddings.

Documents keep the vectors they were indexed with. After a change of the embedder, reindex them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from emulator.core import import_callable
from emulator.core.redaction import redact_url
from emulator.search.embedding.error import EmbedderError

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray

Function: TypeAlias = Callable[[list[str]], Any]

STAND_IN = "stand-in"
_CALL = 128  # texts at once


def embed(embedder: str | Function, texts: Sequence[str]) -> NDArray[float32]:
    """Return a row for each text, by an embedder of the settings. Raises EmbedderError."""
    import numpy

    try:
        function = _function(embedder)
    except ValueError as error:
        raise EmbedderError(f"The embedder cannot be used: {error}") from None
    pieces = [_checked(function, list(texts[start : start + _CALL])) for start in range(0, len(texts), _CALL)]
    if len({piece.shape[1] for piece in pieces}) > 1:
        raise EmbedderError("The embedder gave vectors of different lengths.")
    return numpy.concatenate(pieces) if pieces else numpy.empty((0, 0), numpy.float32)


def check_embedder(embedder: str | Function) -> None:
    """Raise ValueError with one sentence for an embedder that cannot be used."""
    if embedder != STAND_IN:
        _function(embedder)


def _function(embedder: str | Function) -> Function:
    if not isinstance(embedder, str):
        return embedder
    if embedder.startswith(("http://", "https://")):
        from emulator.search.embedding.server import EmbeddingServer  # and with it urllib

        return EmbeddingServer.from_url(embedder).embed
    if ":" not in embedder:
        raise ValueError(f"{redact_url(embedder)!r} is not stand-in, MODULE:FUNCTION or the URL of an /embeddings path")
    return import_callable.load(embedder)


def _checked(function: Function, texts: list[str]) -> NDArray[float32]:
    import numpy

    try:
        vectors = numpy.asarray(function(texts), numpy.float32)
    except EmbedderError:
        raise
    except Exception as error:
        raise EmbedderError(f"The embedder failed: {type(error).__name__}: {error}") from error
    if vectors.ndim != 2 or len(vectors) != len(texts) or not vectors.shape[1]:
        raise EmbedderError(f"The embedder gave an array of shape {vectors.shape} for {len(texts)} texts.")
    if not numpy.isfinite(vectors).all():
        raise EmbedderError("The embedder gave a vector with a number that is not finite.")
    return vectors
