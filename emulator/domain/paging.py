"""Keyset pagination: a page continues after a position in the order, so changes neither repeat nor hide other items.

A page token contains that position and a checksum of its query (aip.dev/158: a token is opaque, and only
valid for the request it came from).
"""

from __future__ import annotations

import base64
import hashlib
import json
from typing import Annotated, Any, Generic, TypeVar

import msgspec

from emulator.core.errors import ApiError, invalid

_CHECK_BYTES = 6
_Stored = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]

T = TypeVar("T")


class Cursor(msgspec.Struct, frozen=True):
    """A position in an ordered list: the value of the sort column, then the insertion number that breaks ties."""

    key: int | str
    seq: int


class Page(msgspec.Struct, Generic[T], frozen=True):
    """One page of a list. A full page has a next token; `more` says whether items follow now.

    REST sends the token with every full page (recorded), gRPC only if items follow (files.proto).
    """

    items: list[T]
    next_token: str | None
    more: bool

    @property
    def token_if_more(self) -> str | None:
        """Return the next token if items follow; None on the last page."""
        return self.next_token if self.more else None


def encode_token(cursor: Cursor, query: tuple[Any, ...]) -> str:
    """Return the token for the page after `cursor` in the list that `query` describes."""
    body = json.dumps([cursor.key, cursor.seq], separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_check(body, query) + body).rstrip(b"=").decode()


def decode_token(token: str, query: tuple[Any, ...]) -> Cursor:
    """Return the position of a token. Raises ApiError for a token of another query."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise _bad_token() from None
    check, body = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
    if check != _check(body, query):
        raise _bad_token()
    try:  # the checksum is not secret, so the position may be forged
        key, seq = msgspec.json.decode(body, type=tuple[_Stored | str, _Stored])
    except (msgspec.MsgspecError, UnicodeDecodeError):
        raise _bad_token() from None
    return Cursor(key, seq)


def _check(body: bytes, query: tuple[Any, ...]) -> bytes:
    return hashlib.blake2b(repr(query).encode() + b"\0" + body, digest_size=_CHECK_BYTES).digest()


def _bad_token() -> ApiError:
    return invalid(
        "Invalid pagination_token: it was not returned by this list with the same order, sort_by and filter.",
        rule="pagination_token",
        param="pagination_token",
    )
