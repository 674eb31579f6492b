"""Every RPC of the real services: bound to an operation, or listed with the reason why it is not served."""

from __future__ import annotations

from emulator.rpc import collections, files, media, models, search, tokenize
from emulator.rpc.batches import methods as batches
from emulator.rpc.chat import methods as chat
from emulator.rpc.requests import Method

METHODS: tuple[Method, ...] = (
    *files.METHODS,
    *batches.METHODS,
    *collections.METHODS,
    *search.METHODS,
    *models.METHODS,
    *chat.METHODS,
    *tokenize.METHODS,
    *media.METHODS,
)

# Other methods of xai-sdk: `Service/Method`, or `Service` for all methods of one. The reasons are those of REST.
NOT_EMULATED: dict[str, str] = {
    "xai_api.Embedder": "embeddings are not emulated",
    "xai_api.Sample": "text completion is not emulated",
}
