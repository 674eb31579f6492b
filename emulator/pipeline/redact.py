"""Find and redact secrets: the keys of callers, keys that look real, and fields that contain one."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any
from urllib.parse import quote_plus

from emulator.core.redaction import REDACTED
from emulator.domain.keys import INFERENCE_KEY, KEYS_KNOWN, MANAGEMENT_KEY

SECRET_CHARS_MIN = 6  # a shorter key may be a common word, which would be redacted everywhere

_PUBLIC = frozenset({INFERENCE_KEY, MANAGEMENT_KEY})  # printed at each start
# The patterns are compiled at the first use, and cached by `re`: compiling at import would slow the start.
_REAL = (
    r"xai-(?:token-)?[A-Za-z0-9]{40,}(?:@.*)?"  # the form of keys from the xAI console: a prefix and random characters
)
# A part of a key is a secret too, so texts are redacted from a few characters of a key to the end of the word.
_IN_TEXT = (
    r"(?:xai-(?:token-|emulator-)?[A-Za-z0-9]{16,}|\bsk-[A-Za-z0-9_-]{16,})[A-Za-z0-9@._-]*"
    r"|(?i:\bbearer(?:\s|%20|\+)+)[^\s\"'&,;]+"
)
# Names and values in forms and in JSON that cannot be decoded; a value may be truncated.
_IN_JSON = r'("([^"\\]{1,40})"\s*:\s*")(?:[^"\\]|\\.)+'
_IN_FORM = r'(\b([\w-]{1,40})=)[^&\s"]+'
_SECRET_NAME = (
    r"(?i)(?:x[-_])?(?:authorization|(?:\w+[-_]?)?api[-_]?key|(?:client|app)?[-_]?secret|password|passwd|"
    r"(?:access|auth|bearer|refresh|id|session)[-_]?token|management[-_]?key|credentials?|cookie)"
)


@lru_cache(KEYS_KNOWN)
def presented(credentials: str | None) -> str | None:
    """Return the secret part of a caller's key; None for the default keys, which are public."""
    if credentials is None:
        return None
    secret = credentials.rpartition("@")[0] or credentials
    return None if secret in _PUBLIC or len(secret) < SECRET_CHARS_MIN else secret


def looks_real(credentials: str) -> bool:
    """Return whether a key looks like a real key of xAI."""
    return len(credentials) >= 44 and re.fullmatch(_REAL, credentials) is not None


def strike(text: str, secret: str) -> str:
    """Return a text with a key redacted, plain or percent-encoded."""
    return text.replace(secret, REDACTED).replace(quote_plus(secret), REDACTED)


def redact_text(text: str) -> str:
    """Return a text with everything redacted that looks like a key."""
    return re.sub(_IN_TEXT, REDACTED, text)


def redact_raw(text: str) -> str:
    """Redact text that cannot be decoded or is truncated: values that look like a key, or whose name says so."""
    return redact_text(re.sub(_IN_FORM, _without_value, re.sub(_IN_JSON, _without_value, text)))


def _without_value(pair: re.Match[str]) -> str:
    return f"{pair[1]}{REDACTED}" if is_secret_name(pair[2]) else pair[0]


def redact(value: Any) -> Any:
    """Return a JSON value with everything redacted that looks like a key, or whose name says so."""
    match value:
        case str():
            return redact_text(value)
        case list():
            return [redact(item) for item in value]
        case dict():
            return {
                redact_text(name): REDACTED if _is_secret(name, item) else redact(item) for name, item in value.items()
            }
        case _:
            return value


def is_secret_name(name: str) -> bool:
    """Return whether a field of this name has a secret value."""
    return re.fullmatch(_SECRET_NAME, name) is not None


def _is_secret(name: str, value: Any) -> bool:
    return isinstance(value, str) and is_secret_name(name)
