"""Which id of a recording stands for which id here, one to one.

An id is bound where recorded and present answer have a new one at the same path. An id that the client said before any
answer did is its own: it is sent as it is, and has no maker.
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
        """Let `here` stand for `there`; return why that cannot be, or None."""
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
        """Let what both requests name at the same place stand for each other, unless either is bound already."""
        if there not in self._here and here not in self._there:
            self._said.discard(there)
            self.bind(there, here)

    def is_bound(self, there: str) -> bool:
        """Whether something stands for a value of the recording."""
        return there in self._here

    def is_taken(self, here: str) -> bool:
        """Whether a value of here stands for one of the recording."""
        return here in self._there

    def here(self, there: str) -> str:
        """What stands for a value: itself where nothing does."""
        return self._here.get(there, there)

    def text(self, text: str) -> str:
        """A text of the recording in the words of here."""
        if text in self._here:
            return self._here[text]
        for there, here in self._others:
            if there in text:
                text = text.replace(there, here)
        return ID.sub(lambda found: self._here.get(found[0], found[0]), text)

    def value(self, value: Any) -> Any:
        """JSON values of the recording in the words of here."""
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
        """The number of the exchange that made what a request names and is not bound; None where all is bound."""
        for name in ID.findall(text):
            if name in self._makers and not self.is_bound(name):
                return self._makers[name]
        for token, number in self._tokens.items():
            if token in text and not self.is_bound(token):
                return number
        return None

    def is_older(self, text: str) -> bool:
        """Whether a request names an id that no answer has named: something was made before the recording.

        Ids that programs make up, such as 00000000-0000-4000-8000-000000000000, are not meant.
        """
        return any(name not in self._makers and not _MADE_UP.search(name) for name in ID.findall(text))

    def asked(self, text: str) -> None:
        """Note the ids of a request: what no answer has named before is the client's own."""
        self._said.update(name for name in ID.findall(text) if name not in self._makers)

    def answered(self, text: str, number: int) -> None:
        """Note the ids and tokens of a recorded answer: those that are new were made by this exchange."""
        for name in ID.findall(text):
            if name not in self._said:
                self._makers.setdefault(name, number)
        for token in _TOKEN.findall(text):
            self._tokens.setdefault(token, number)


def _quote_all(text: str) -> str:
    return quote(text, safe="")
