"""Vectors of texts by the embedder of a team."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.core.threads import map_in_threads
from emulator.search.embedding.embedders import STAND_IN, embed
from emulator.state.teams import Team

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


async def embed_texts(team: Team, texts: Sequence[str]) -> NDArray[float32] | None:
    """Return a vector for each text; None if the built-in embedder compares the texts itself. Raises EmbedderError."""
    if team.embedder == STAND_IN:
        return None
    # The embedder may be slow, so it gets its own thread: all teams share the few threads of the pool.
    vectors: NDArray[float32] | Exception
    [vectors] = await map_in_threads(lambda texts: embed(team.embedder, texts), [texts])
    if isinstance(vectors, Exception):
        raise vectors
    return vectors
