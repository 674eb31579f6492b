"""Read untrusted JSON. Deeply nested values are refused, because code that walks through them would recurse."""

from __future__ import annotations

import json
from typing import Any

import msgspec

DEPTH_MAX = 100  # deeper than anything that this API sends
# What msgspec raises for bytes that are no JSON, are nested too deep, or are not UTF-8.
BAD_JSON = (msgspec.DecodeError, RecursionError, ValueError)


def loads(text: str) -> Any:
    """Return JSON values. Raises ValueError for what is no JSON, or nested deeper than DEPTH_MAX."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if is_deeper(value, DEPTH_MAX):
        raise ValueError(f"it is nested deeper than {DEPTH_MAX} levels")
    return value


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether lists and objects are nested on more than `levels` levels."""
    layer = [value]
    for _ in range(levels + 1):
        layer = [
            item
            for each in layer
            for item in (each.values() if isinstance(each, dict) else each if isinstance(each, list) else ())
        ]
        if not layer:
            return False
    return True
