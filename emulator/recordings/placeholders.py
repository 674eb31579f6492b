"""Placeholders: one for each value, with the same form, and the same length if that matters.

They are numbered in the order in which the values appear, so two recordings of one script look alike. Existing
placeholders are not changed, so a file can be sanitized twice.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

_KIND_FIRST = 1  # 8000 is left to ids that programs make up, such as 00000000-0000-4000-8000-000000000000
_IS_UUID = re.compile(r"00000000-0000-4000-8[0-9a-f]{3}-[0-9a-f]{12}")
_IS_HEX = re.compile(r"0{16}[0-9a-f]+")
_IS_EMAIL = re.compile(r"somebody-\d+@example\.com")
_IS_NAME = re.compile(r"Name \d+")
_IS_TOKEN = re.compile(r"token-\d+x*")
_IS_TEXT = re.compile(r"text (\d+) (?:left|lef|le|l|$)")
_FILLER = "left out "
_NUMBERED_CHARS_MIN = 12
NO_ADDRESS = "192.0.2.1"  # RFC 5737: an address for documentation


class Placeholders:
    """The placeholders of one recording."""

    def __init__(self) -> None:
        self._given: dict[str, str] = {}
        self._kinds: dict[str, int] = {}
        self._counts: Counter[str] = Counter()

    @property
    def counts(self) -> Counter[str]:
        """Return how many values were replaced, by kind; ids by their prefix, such as `file_`."""
        return self._counts

    def uuid(self, prefix: str, uuid: str) -> str:
        """Return the placeholder of a UUID after a prefix such as `file_`."""
        if _IS_UUID.fullmatch(uuid):
            return uuid
        given = self._given.get(uuid)
        if given is None:
            kind = self._kinds.setdefault(prefix, len(self._kinds) + _KIND_FIRST)
            self._counts[prefix] += 1
            given = self._given[uuid] = f"00000000-0000-4000-8{kind:03x}-{self._counts[prefix]:012x}"
        return given

    def hex(self, digits: str) -> str:
        """Return the placeholder of a hash, or of an id of hexadecimal digits."""
        if _IS_HEX.fullmatch(digits):
            return digits
        return self._of(digits, "hash", lambda number: f"{number:0{len(digits)}x}")

    def email(self, address: str) -> str:
        """Return the placeholder of an email address."""
        if _IS_EMAIL.fullmatch(address):
            return address
        return self._of(address, "email", lambda number: f"somebody-{number}@example.com")

    def name(self, name: str) -> str:
        """Return the placeholder of a name of a person or a team."""
        return name if _IS_NAME.fullmatch(name) else self._of(name, "name", lambda number: f"Name {number}")

    def token(self, token: str) -> str:
        """Return the placeholder of an opaque token, of the same length unless that is very short."""
        if _IS_TOKEN.fullmatch(token):
            return token
        return self._of(token, "token", lambda number: f"token-{number}".ljust(len(token), "x"))

    def text(self, text: str) -> str:
        """Return a filler of the same length, different for each text. A blank text is not changed."""
        if not text.strip():
            return text
        if found := _IS_TEXT.match(text):
            self._counts["text"] = max(self._counts["text"], int(found[1]))
            return text
        return self._of(text, "text", lambda number: _filler(number, len(text)))

    def _of(self, value: str, kind: str, make: Callable[[int], str]) -> str:
        given = self._given.get(value)
        if given is None:
            self._counts[kind] += 1
            given = self._given[value] = make(self._counts[kind])
        return given


def _filler(number: int, length: int) -> str:
    """Return a filler of `length` characters with the number of a text."""
    if length < _NUMBERED_CHARS_MIN:
        return f"{number}".zfill(length)[-length:]
    head = f"text {number} "
    return (head + _FILLER * (length // len(_FILLER) + 1))[:length]


def base64_filler(text: str) -> str:
    """Return base64 of zeros, of the same length and padding."""
    digits = text.rstrip("=")
    return "A" * len(digits) + text[len(digits) :]
