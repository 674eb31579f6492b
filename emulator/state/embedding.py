"""Vectors of texts by the embedder of a team."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from emulator.core.threads import map_in_threads
from emulator.search.embedding.embedders import STAND_IN, embed
from emulator.state.teams import Team

if TYPE_CHECKING:
    from numpy import float32
    from numpy.typing import NDArray


async def embed_texts(team: Team, texts: Sequence[str]) -> NDArray[float32]:
    """Return a vector for each text, made off the loop. Raises EmbedderError."""
    if team.embedder == STAND_IN:
        return await asyncio.to_thread(embed, STAND_IN, texts)
    # Any other may be slow. A thread of its own, for those of the pool are few, and all teams work in them.
    vectors: NDArray[float32] | Exception
    [vectors] = await map_in_threads(lambda texts: embed(team.embedder, texts), [texts])
    if isinstance(vectors, Exception):
        raise vectors
    return vectors
