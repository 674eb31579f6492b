"""Regular expressions that are compiled at their first use: compiling one takes as long as importing a module."""

from __future__ import annotations

import re
from typing import Any, AnyStr, cast


class _LazyPattern:
    def __init__(self, pattern: str | bytes, flags: int) -> None:
        self.pattern, self.flags = pattern, flags

    def __getattr__(self, name: str) -> Any:
        value = getattr(re.compile(self.pattern, self.flags), name)
        setattr(self, name, value)  # the next access is as fast as on a compiled pattern
        return value


def lazy_pattern(pattern: AnyStr, flags: int = 0) -> re.Pattern[AnyStr]:
    """Return a pattern like `re.compile`, but compile it, and report errors, at the first use."""
    return cast("re.Pattern[AnyStr]", _LazyPattern(pattern, flags))
