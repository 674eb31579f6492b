"""The Tokenize service."""

from __future__ import annotations

from emulator.operations.chat.tokenize import Tokenize, Tokens
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method


def read_text(message: Message) -> Tokenize:
    """Return a request for the tokens of a text. Raises ApiError for an unknown model."""
    return Tokenize(message.text, message.model)


def write_tokens(result: Tokens) -> Message:
    """Render tokens."""
    make, token = load().message("xai_api.TokenizeTextResponse"), load().message("xai_api.Token")
    return make(
        tokens=[
            token(token_id=each.id, string_token=each.text, token_bytes=each.text.encode()) for each in result.tokens
        ],
        model=result.model,
    )


METHODS = (Method("xai_api.Tokenize", "TokenizeText", "chat.tokenize", read_text, write_tokens),)
