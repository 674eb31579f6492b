"""Tokenize a text with the emulator's own tokenizer in place of the models'."""

from __future__ import annotations

import hashlib
from itertools import pairwise

import msgspec

from emulator.core.limits import Confidence
from emulator.domain.chat.models import model_name
from emulator.domain.keys import Plane
from emulator.operations.base import Call, Operation
from emulator.operations.chat.screening import screen_model
from emulator.search.chunking.tokens import approximate_token_offsets
from emulator.state.services import Services

_IDS = 2**17


class Tokenize(msgspec.Struct, frozen=True):
    """A text, and the model whose tokens are asked for."""

    text: str
    model: str


class Token(msgspec.Struct, frozen=True):
    """A token. The bytes of all tokens together are those of the text."""

    id: int
    text: str


class Tokens(msgspec.Struct, frozen=True):
    """The tokens of a text."""

    tokens: list[Token]
    model: str


async def tokenize(services: Services, call: Call, request: Tokenize) -> Tokens:
    """Split a text into tokens. The same token has the same id for every model."""
    starts = [*approximate_token_offsets(request.text, ""), len(request.text)]
    pieces = [request.text[start:stop] for start, stop in pairwise(starts)]
    return Tokens([Token(_id(piece), piece) for piece in pieces], model_name(request.model))


def _id(piece: str) -> int:
    digest = hashlib.blake2b(piece.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") % _IDS


OPERATIONS = (
    Operation(
        "chat.tokenize",
        *(Plane.INFERENCE, Tokenize, tokenize),
        "OpenAPI: POST /v1/tokenize-text; the tokens are the emulator's own",
        Confidence.DOCUMENTED,
        decode_first=True,
        screen=lambda call, request: screen_model(call, request.model),
    ),
)
