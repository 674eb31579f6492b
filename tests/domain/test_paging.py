"""Page tokens: they lead back to their place, in their own list only."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.errors import ApiError, Kind
from emulator.domain import paging
from emulator.domain.paging import Cursor, decode_token, encode_token

CURSORS = st.builds(Cursor, st.integers(0, 2**62) | st.text(max_size=20), st.integers(1, 2**62))
QUERIES = st.tuples(st.sampled_from(["files", "batches"]), st.text(max_size=5), st.booleans())


def refused(token: str, query: tuple[object, ...]) -> None:
    """The token must not be taken."""
    with pytest.raises(ApiError) as error:
        decode_token(token, query)
    assert (error.value.kind, error.value.param) == (Kind.INVALID_ARGUMENT, "pagination_token")


@given(CURSORS, QUERIES)
def test_page_token_round_trips_cursor(cursor: Cursor, query: tuple[object, ...]) -> None:
    """Whatever the list is ordered by; and it fits into a URL as it is."""
    token = encode_token(cursor, query)
    assert token.isascii()
    assert not set("+/=&%# ") & set(token)
    assert decode_token(token, query) == cursor


@given(CURSORS, QUERIES, QUERIES)
def test_page_token_of_other_query_is_refused(
    cursor: Cursor, query: tuple[object, ...], other: tuple[object, ...]
) -> None:
    """With any other order, team or filter it is refused."""
    if query != other:
        refused(encode_token(cursor, query), other)


@given(CURSORS, QUERIES, st.data())
def test_modified_page_token_is_refused(cursor: Cursor, query: tuple[object, ...], data: st.DataObject) -> None:
    """Another bit anywhere, or a byte less."""
    raw = bytearray(base64.urlsafe_b64decode(encode_token(cursor, query) + "=="))
    place = data.draw(st.integers(0, len(raw) - 1))
    raw[place] ^= 1 << data.draw(st.integers(0, 7))
    refused(base64.urlsafe_b64encode(raw).rstrip(b"=").decode(), query)
    refused(base64.urlsafe_b64encode(raw[:-1]).rstrip(b"=").decode(), query)


@given(CURSORS, QUERIES, st.data())
def test_page_token_with_foreign_character_is_refused(
    cursor: Cursor, query: tuple[object, ...], data: st.DataObject
) -> None:
    """A character that no token has is not passed over, wherever it stands."""
    token = encode_token(cursor, query)
    place = data.draw(st.integers(0, len(token)))
    refused(token[:place] + data.draw(st.sampled_from("! \n~%é")) + token[place:], query)


@given(st.text(max_size=40))
def test_random_text_as_page_token_is_refused(text: str) -> None:
    """Any text, with its reason and not with a crash."""
    refused(text, ("files",))


def forged(body: bytes, query: tuple[object, ...]) -> str:
    """A forged token: how its checksum is made is no secret."""
    return base64.urlsafe_b64encode(paging._check(body, query) + body).rstrip(b"=").decode()


@pytest.mark.parametrize(
    ("body", "cursor"),
    [
        ('["a", 1]', Cursor("a", 1)),
        (f"[{2**63 - 1}, {2**63 - 1}]", Cursor(2**63 - 1, 2**63 - 1)),
        (f"[{-(2**63)}, {-(2**63)}]", Cursor(-(2**63), -(2**63))),
        (f"[{2**63}, 1]", None),
        (f"[1, {-(2**63) - 1}]", None),
        ('[1, "a"]', None),
        ("[1.5, 1]", None),
        ("[1]", None),
        ("[1, 1, 1]", None),
        ('{"key": 1, "seq": 1}', None),
        ("", None),
        ("[" * 100_000, None),
        (b'["\xff", 1]', None),
        ('["a", 1]\0', None),
    ],
    ids=lambda part: ascii(part)[:30],
)
def test_forged_page_token_is_valid_cursor_or_refused(body: str | bytes, cursor: Cursor | None) -> None:
    """A column holds a text or a number of 64 bits, and what is none of them leads nowhere."""
    token = forged(body if isinstance(body, bytes) else body.encode(), ("files",))
    if cursor is None:
        refused(token, ("files",))
    else:
        assert decode_token(token, ("files",)) == cursor
