"""Redact settings that may be a URL with a key."""

from __future__ import annotations

import re

REDACTED = "[redacted]"
# Compiled by `re` at the first use, and cached there.
_SCHEME = r"(?i:(?:[a-z]+=)?(?:(?:https?:)*[a-z]*:?//|(?:https?:)+))"
_PARTS = r"(?s)([^?#]*)([?#]?)(.*)"


def redact_url(text: str) -> str:
    """Return a setting that may be a URL without its user and without the values of its query, except `model`.

    A text that does not begin with a scheme, or with `NAME=` and a scheme, is not changed, but a mistyped URL may also
    contain a key, so everything before the last `@` is removed.
    """
    start = re.match(_SCHEME, text)
    if start is None:
        return text
    scheme, rest = start[0], text[start.end() :]
    address, mark, query = re.fullmatch(_PARTS, rest).groups()  # type: ignore[union-attr]  # it matches any text
    if "@" in query and "@" not in address:  # the key itself may contain a ? or #
        return f"{scheme}{REDACTED}"
    _, at, host = address.rpartition("@")
    pairs = (pair if pair.startswith("model=") else _without_value(pair) for pair in query.split("&"))
    return f"{scheme}{REDACTED + at if at else ''}{host}{mark}{'&'.join(pairs)}"


def _without_value(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={REDACTED}" if equals else REDACTED if pair else ""
