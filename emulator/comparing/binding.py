"""A one-to-one mapping between ids of a recording ("there") and of the emulator ("here").

An id is bound when the recorded and the new response have a new id at the same path. An id that a request contains
before any response does is the client's own: it is sent unchanged, and no exchange created it.
"""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from emulator.recordings.chains import ID

_MADE_UP = re.compile(r"0{8}-0000-[04]000-[08]000-[0-9a-f]{12}$|(.)\1{7}-(\1{4}-){3}\1{12}$")
_TOKEN = re.compile(r'"(?:pagination_?[tT]oken|next_?[pP]age_?[tT]oken)"\s*:\s*"([^"\\]{8,})"')


class Binding:
    """The ids, tokens and URLs of one comparison."""

    def __init__(self) -> None:
        self._here: dict[str, str] = {}
        self._there: dict[str, str] = {}
        self._makers: dict[str, int] = {}
        self._tokens: dict[str, int] = {}  # page tokens, with the numbers of their makers
        self._said: set[str] = set()
        self._others: list[tuple[str, str]] = []  # spellings of what is bound and no id, the longest first

    def bind(self, there: str, here: str) -> str | None:
        """Bind `there` to `here`; return why that is impossible, or None."""
        known = self._here.get(there)
        if known is not None:
            return None if known == here else f"{known}, which the recording has named before"
        owner = self._there.get(here)
        if owner is not None:
            return f"a new one: this is what the recording calls {owner}"
        if there in self._said:
            return None if there == here else f"{there}, which the client chose"
        self._here[there], self._there[here] = here, there
        if not ID.fullmatch(there):
            spellings = {(spell(there), spell(here)) for spell in (str, quote, _quote_all)}
            self._others = sorted([*self._others, *spellings], key=lambda pair: -len(pair[0]))
        return None

    def bind_asked(self, there: str, here: str) -> None:
        """Bind the ids at the same place in both requests, unless either is bound already."""
        if there not in self._here and here not in self._there:
            self._said.discard(there)
            self.bind(there, here)

    def is_bound(self, there: str) -> bool:
        """Return whether a value of the recording is bound."""
        return there in self._here

    def is_taken(self, here: str) -> bool:
        """Return whether a value of the emulator is bound."""
        return here in self._there

    def here(self, there: str) -> str:
        """Return the value bound to `there`, or `there` itself."""
        return self._here.get(there, there)

    def text(self, text: str) -> str:
        """Return a text of the recording with bound values replaced."""
        if text in self._here:
            return self._here[text]
        for there, here in self._others:
            if there in text:
                text = text.replace(there, here)
        return ID.sub(lambda found: self._here.get(found[0], found[0]), text)

    def value(self, value: Any) -> Any:
        """Return JSON values of the recording with bound values replaced."""
        match value:
            case str():
                return self.text(value)
            case list():
                return [self.value(item) for item in value]
            case dict():
                return {name: self.value(item) for name, item in value.items()}
            case _:
                return value

    # --- who made what

    def waits_for(self, text: str) -> int | None:
        """Return the number of the exchange that created an unbound id of a request; None if all are bound."""
        for name in ID.findall(text):
            if name in self._makers and not self.is_bound(name):
                return self._makers[name]
        for token, number in self._tokens.items():
            if token in text and not self.is_bound(token):
                return number
        return None

    def is_older(self, text: str) -> bool:
        """Return whether a request has an id of no response: its object was created before the recording.

        Ids that programs make up, such as 00000000-0000-4000-8000-000000000000, are not meant.
        """
        return any(name not in self._makers and not _MADE_UP.search(name) for name in ID.findall(text))

    def asked(self, text: str) -> None:
        """Record the ids of a request: those of no earlier response are the client's own."""
        self._said.update(name for name in ID.findall(text) if name not in self._makers)

    def answered(self, text: str, number: int) -> None:
        """Record the ids and tokens of a recorded response: this exchange created the new ones."""
        for name in ID.findall(text):
            if name not in self._said:
                self._makers.setdefault(name, number)
        for token in _TOKEN.findall(text):
            self._tokens.setdefault(token, number)


def _quote_all(text: str) -> str:
    return quote(text, safe="")
