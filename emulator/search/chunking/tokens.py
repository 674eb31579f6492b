"""Offsets of the tokens of a text, for chunk sizes in tokens.

The real encodings are tables of several megabytes which their libraries download. Nothing is downloaded here:
`approximate_token_offsets` cuts a text into pieces about as long as a real token. For exact counts plug in the real
encoding:

    def exact_starts(text, encoding_name):
        encoding = tiktoken.get_encoding(encoding_name)
        return encoding.decode_with_offsets(encoding.encode_ordinary(text))[1]
"""

from __future__ import annotations

import functools
import re
from array import array
from collections.abc import Sequence
from typing import Protocol


# Each alternative reads forward only and no look-ahead decides where a piece ends. A text that is cut where a piece
# starts therefore has the same pieces on both sides of the cut, and the counts of its parts add up to its own.
@functools.cache  # compiled when it is needed, which takes milliseconds
def _piece() -> re.Pattern[str]:
    return re.compile(
        r"""
        [ ]?[A-Za-z\u00c0-\u024f]{1,9}                              # a Latin word and the space before it
      | [ ]?[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]  # Chinese, Japanese, Korean: a character is a token
      | [ ]?[^\W\d_]{1,3}                                           # other scripts have fewer letters to a token
      | \d{1,3}
      | \r?\n                                                       # no piece reaches into the next line
      | [^\S\r\n]{1,16}                                             # indentation
      | [ ]?(?:[^\w\s]|_){1,3}
      | [\s\S]                                                      # whatever is left: the pieces cover the text
        """,
        re.VERBOSE,
    )


class Tokenizer(Protocol):
    """Gives the offset at which each token of `text` starts: the first is 0, and each token ends where the next starts.

    A token that begins inside a code point counts as starting with that code point, so offsets may repeat.
    """

    def __call__(self, text: str, encoding_name: str) -> Sequence[int]: ...


def approximate_token_offsets(text: str, encoding_name: str) -> Sequence[int]:
    """Return the offsets of approximate tokens: the same for every encoding, about four characters of English each."""
    return array("Q", (piece.start() for piece in _piece().finditer(text)))
