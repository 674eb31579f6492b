"""How deeply JSON is nested, told without parsing it: a parser may be what depth would hurt."""

from __future__ import annotations

WALKED_MAX = 128  # levels of what is shown or handed on: clients and pages go through it level by level

_NOT_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


def is_deeper(raw: bytes, most: int | None) -> bool:
    """Whether JSON is nested deeper than a limit; most texts hold so few brackets that one count answers."""
    if most is None or raw.count(b"[") + raw.count(b"{") <= most:
        return False
    outside = raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')[::2]  # of strings
    depth = 0
    for bracket in b"".join(outside).translate(None, _NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > most:
            return True
    return False
