"""Regular expressions that are compiled when they are first used: compiling one takes as long as loading a module."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _LazyPattern:
    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.pattern, self.flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self.pattern, self.flags), name)
        setattr(self, name, value)  # from now on a method is found as fast as that of a compiled pattern
        return value


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return what `re.compile` does, but for the moment at which it is compiled, and at which an error is found."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(pattern, flags))
