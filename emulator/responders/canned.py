"""`canned:FILE`: answers from a JSONL file, by id or by what the request holds.

    {"id": "fb_*", "contains": "love", "response": "positive"}
    {"kind": "image_generation", "error": "the prompt was refused"}

A line fits when all of `id` (a pattern with `*` and `?`), `kind`, `model` and `contains` (in the prompt) that it has
do. The first line that fits answers, with `response` (a text, a message, or a whole result) or with `error`. Where none
fits, the request is echoed.
"""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import msgspec
from msgspec import UNSET, Struct

from emulator.core.threads import each_in_threads
from emulator.domain.chat.requests import ModelRequest
from emulator.responders.echo import echo


class Line(Struct, forbid_unknown_fields=True):
    """One answer, and what it answers to."""

    id: str = "*"
    kind: str | None = None
    model: str | None = None
    contains: str = ""
    response: Any = UNSET
    error: str | None = None

    def fits(self, request: ModelRequest) -> bool:
        """Whether this is the answer to a request."""
        return (
            fnmatchcase(request.batch_request_id, self.id)
            and self.kind in (None, request.kind)
            and self.model in (None, request.model)
            and self.contains in request.prompt
        )


class Canned:
    """Answers in a thread: the file may have many lines, and an echo may take its time."""

    requests_max = 40

    def __init__(self, lines: Sequence[Line]) -> None:
        self._lines = lines

    @classmethod
    def from_file(cls, path: str) -> Canned:
        """The answers of a file. Raises ValueError naming the line that is none."""
        try:
            texts = Path(path).read_bytes().splitlines()
        except OSError as error:
            raise ValueError(f"{path}: {error.strerror}") from None
        return cls([_line(f"{path}, line {number}", text) for number, text in enumerate(texts, 1) if text.strip()])

    async def answer(self, requests: Sequence[ModelRequest]) -> list[Any]:
        """The answer of the first line that fits, or an echo, for each."""
        return await each_in_threads(self._answer, requests, threads=1)

    def _answer(self, request: ModelRequest) -> Any:
        line = next((line for line in self._lines if line.fits(request)), None)
        if line is None:
            return echo(request)
        return line.response if line.error is None else RuntimeError(line.error)


def _line(place: str, text: bytes) -> Line:
    try:
        line = msgspec.json.decode(text, type=Line)
    except msgspec.DecodeError as error:
        raise ValueError(f"{place}: {error}") from None
    if (line.response is UNSET) == (line.error is None):
        raise ValueError(f"{place}: one of response and error is needed")
    return line
