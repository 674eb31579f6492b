"""Check the size of a value as JSON without encoding it: a value can contain the same part many times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulator.domain.json_depth import WALKED_MAX


def oversize(value: Any, bytes_max: int | None) -> str | None:
    """Return why a value is too large to be written as JSON, or None.

    Every occurrence of a part is counted, with the fewest bytes that it can have. The time is proportional to
    `bytes_max`, the memory to the depth.
    """
    size, walks = 0, [iter((value,))]
    while walks:
        part = next(walks[-1], walks)
        if part is walks:
            walks.pop()
            continue
        if isinstance(part, str | bytes):
            size += len(part) + 2
        elif isinstance(part, dict | list | tuple):
            size += 2
            walks.append(_members(part) if isinstance(part, dict) else iter(part))
        else:
            size += 1
        if bytes_max is not None and size > bytes_max:
            return f"it has more than {bytes_max} bytes"
        if len(walks) > WALKED_MAX + 1:
            return f"it is nested more than {WALKED_MAX} levels deep"
    return None


def _members(value: dict[Any, Any]) -> Iterator[Any]:
    for name, member in value.items():
        yield name
        yield member
