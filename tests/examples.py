"""How many examples a property is tried with, and whether they are new ones.

`make test` tries a third of them, always the same, so that it is quick and passes or fails alike everywhere. `.ci/run`
tries all of those on its second Python (XAI_EXAMPLES=all). `make soak` tries new ones, and for a property that says
nothing as many as XAI_EXAMPLES says; for the others in proportion.
"""

from __future__ import annotations

import os

DEFAULT = 50  # of a property that does not say how many it wants
_CHOSEN = os.environ.get("XAI_EXAMPLES", "")
ARE_FIXED = _CHOSEN in ("", "all")


def examples(count: int = DEFAULT) -> int:
    """Return how many of `count` examples this run tries."""
    if _CHOSEN == "all":
        return count
    return max(1, count // 3 if ARE_FIXED else count * int(_CHOSEN) // DEFAULT)
