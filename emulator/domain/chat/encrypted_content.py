"""Encrypted content: conversations and reasoning that a client keeps and sends back without reading them.

It is signed, not encrypted: base64 of a signature and the messages as JSON. The signature has the key of a team, so
content of another team, of another emulator or of the real service is refused, and nothing else is ever decoded.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence

import msgspec

from emulator.core.errors import ApiError, invalid
from emulator.domain.chat.bodies import Json

_SIGNATURE_BYTES = 16


def encode_messages(messages: Sequence[Json], key: bytes) -> str:
    """Return messages as encrypted content."""
    body = msgspec.json.encode(messages)
    return base64.b64encode(_signature(body, key) + body).decode()


def decode_messages(content: str, key: bytes) -> list[Json]:
    """Return the messages of encrypted content. Raises ApiError for content that was not encoded with the key."""
    try:
        raw = base64.b64decode(content, validate=True)
    except ValueError:
        raise _undecodable() from None
    signature, body = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not hmac.compare_digest(signature, _signature(body, key)):
        raise _undecodable()
    messages: list[Json] = msgspec.json.decode(body)
    return messages


def _signature(body: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(body, key=key, digest_size=_SIGNATURE_BYTES).digest()


def _undecodable() -> ApiError:
    return invalid(
        "Could not decrypt encrypted_content: it was not returned to this team.",
        rule="encrypted_content",
        param="encrypted_content",
    )
