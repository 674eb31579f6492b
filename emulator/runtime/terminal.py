"""Escape untrusted text, such as a filename, for a terminal.

A terminal acts on escape sequences: they can hide or forge lines, and some change its settings. Invisible characters
that change the direction of text can do the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

# C0 and C1 controls, line separators, direction marks, and lone surrogates, which cannot be encoded.
# Compiled by `re` at the first use, and cached there: compiling at import would slow the start.
_UNSAFE = "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
_UNSAFE_IN_LINES = _UNSAFE.replace("\x00-\x1f", "\x00-\x08\x0b-\x1f")


def printable(text: str) -> str:
    """Return text as one line, with control characters as Python escapes them: `\\x1b`, `\\n`."""
    return text if text.isprintable() else re.sub(_UNSAFE, _escaped, text)


def printable_lines(text: str) -> str:
    """Return text with line breaks and tabs, and every other control character escaped."""
    return re.sub(_UNSAFE_IN_LINES, _escaped, text)


def printable_json(value: Any, default: Any = None, indent: int | None = 2) -> str:
    """Return JSON in which control characters are JSON escapes."""
    text = json.dumps(value, ensure_ascii=False, indent=indent, default=default)
    return re.sub(_UNSAFE_IN_LINES, lambda found: f"\\u{ord(found[0]):04x}", text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")
