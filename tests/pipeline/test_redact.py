"""What is struck out before anybody sees it, and what is not."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.pipeline.redact import (
    REDACTED,
    is_secret_name,
    looks_real,
    presented,
    redact,
    redact_raw,
    redact_text,
    strike,
)

NOISE = st.text(alphabet="abcXYZ0189", min_size=40, max_size=80)
PREFIX = st.sampled_from(["xai-", "xai-token-", "sk-", "sk-proj-"])
AROUND = st.text(alphabet=" \"'{}[]:,/&=?\n", max_size=5)


@given(before=AROUND, prefix=PREFIX, noise=NOISE, after=AROUND)
def test_key_is_removed_from_any_text(before: str, prefix: str, noise: str, after: str) -> None:
    """Wherever it stands, and also if only its first half is there."""
    for key in (prefix + noise, prefix + noise[:20]):
        shown = redact_text(before + key + after)
        assert key not in shown
        assert REDACTED in shown


@given(st.text(alphabet="xaisk-token emulator.@/0", max_size=40))
def test_short_words_are_left_alone(text: str) -> None:
    """What merely begins like a key is no key."""
    if "sk-" not in text:
        assert redact_text(text) == text


@pytest.mark.parametrize("text", ["Bearer abc", "bearer%20abc", "BEARER  abc", "Bearer+abc"])
def test_bearers_are_struck_out(text: str) -> None:
    """Whatever the key looks like."""
    assert redact_text(f"x {text} y") == f"x {REDACTED} y"


@pytest.mark.parametrize(
    "name",
    ["api_key", "apiKey", "API-Key", "x-api-key", "authorization", "Password", "secret", "access_token", "xai_api_key"],
)
def test_field_with_secret_name_is_redacted(name: str) -> None:
    """In JSON, in a query, in JSON that breaks off."""
    assert is_secret_name(name)
    assert redact({"a": [{name: "s3cret value"}]}) == {"a": [{name: REDACTED}]}
    assert "s3cret" not in redact_raw(json.dumps({name: 's3cret "value"', "b": 1}))
    assert "s3cret" not in redact_raw(f'{{"{name}": "s3cret without an end')
    assert redact_raw(f"a=1&{name}=s3cret&b=2") == f"a=1&{name}={REDACTED}&b=2"


@pytest.mark.parametrize("name", ["pagination_token", "max_tokens", "key", "keys", "tokens", "secretary", "author"])
def test_other_names_are_not(name: str) -> None:
    """A page token is for reading, and so is a field named key."""
    assert redact({name: "value"}) == {name: "value"}


@pytest.mark.parametrize(
    ("credentials", "secret"),
    [
        (None, None),
        ("xai-emulator", None),
        ("xai-emulator@team", None),
        ("xai-token-emulator@team", None),
        ("short", None),
        ("hunter2", "hunter2"),
        ("hunter2@team", "hunter2"),
    ],
)
def test_presented_key_is_secret_unless_it_is_a_default_key(credentials: str, secret: str | None) -> None:
    """The team in it is none."""
    assert presented(credentials) == secret


@given(secret=st.text(st.characters().filter(str.isprintable), min_size=6, max_size=20))
def test_presented_key_is_removed_plain_and_percent_encoded(secret: str) -> None:
    """As a client repeats it in a path, or percent-encoded in a query."""
    from urllib.parse import quote_plus

    assert secret not in strike(f"/v1/{secret}", secret).replace(REDACTED, "")
    assert quote_plus(secret) not in strike(f"?q={quote_plus(secret)}&", secret).replace(REDACTED, "")


@given(prefix=st.sampled_from(["xai-", "xai-token-"]), noise=NOISE, suffix=st.sampled_from(["", "@team"]))
def test_only_keys_like_those_of_xai_look_real(prefix: str, noise: str, suffix: str) -> None:
    """A prefix of xAI's and much noise; the emulator's own keys do not."""
    assert looks_real(prefix + noise + suffix)
    assert not looks_real(noise)
    assert not looks_real(f"xai-emulator@{noise}")
