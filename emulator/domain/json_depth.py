"""Check the depth and the number of items of JSON without parsing it, because both can overload a parser."""

from __future__ import annotations

from emulator.core.lazy_pattern import lazy_pattern

WALKED_MAX = 128  # levels of JSON that is displayed or forwarded: clients and pages process it recursively

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_deeper(raw: bytes, most: int | None) -> bool:
    """Return whether JSON is nested deeper than a limit. For most texts counting brackets is enough."""
    if most is None or raw.count(b"[") + raw.count(b"{") <= most:
        return False
    outside = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]  # of strings
    depth = 0
    for bracket in b"".join(outside).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > most:
            return True
    return False


# Unclosed strings extend to the end. Escapes of quotes are removed before.
_STRING_OR_ITEM = lazy_pattern(rb'"[^"]*+"?|[,\[{]')


def has_more_items(raw: bytes, most: int | None) -> bool:
    """Return whether JSON has more items and members than a limit; an empty container counts as one.

    The time depends on the limit, and hardly on the size of the text.
    """
    if most is None or raw.count(b",") + raw.count(b"[") + raw.count(b"{") <= most:
        return False
    items = 0
    for found in _STRING_OR_ITEM.finditer(raw.replace(b"\\\\", b"").replace(b'\\"', b"")):
        if found[0][:1] != b'"':
            items += 1
            if items > most:
                return True
    return False
