"""What the words of the language look like, for the modules that read or write them without parsing.

`grammar.lark` says the same to the parser; a test holds the two together.
"""

from __future__ import annotations

import re
from typing import Literal

BLANKS = " \t\r\n"
KEYWORDS = ("AND", "OR", "NOT")

Operator = Literal["=", "!=", "<", "<=", ">", ">=", ":"]

# Characters that no bare word holds, beside white space.
_NOT_TEXT = r""".,:=<>!()\[\]{}"'\\"""
_INVISIBLE = r"\x00-\x1f\x7f-\x9f\u180e\u200b\u2060\ufeff\ud800-\udfff"

SEGMENT = re.compile(rf"[^\s{_NOT_TEXT}{_INVISIBLE}]+")
# What looks like nothing, or like a blank, and is not one of BLANKS.
MISLEADING = re.compile(rf"(?![{BLANKS}])[\s{_INVISIBLE}]")
# ASCII digits only: Python's own int and float also read 1_000, nan and full-width digits.
NUMERAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")


def is_bare(segment: str, *, first: bool) -> bool:
    """Whether a segment of a path can be written without quotes. A keyword can, but only after a dot."""
    if first and (segment in KEYWORDS or segment.startswith("-")):
        return False
    return SEGMENT.fullmatch(segment) is not None
