"""What a case is: one sentence about the API, how it is known, and which operations it is about."""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pytest

FEATURES = {
    "files": "the Files API",
    "auth": "keys, and their descriptions",
    "keys": "API keys of the management API and the audit log, with a management key",
    "collections": "collections and their documents, with a management key",
    "search": "search in documents, with both keys",
    "batches": "the Batch API",
    "models": "the lists of models, and the tokenizer",
    "chat": "chat completions",
    "responses": "responses, stored ones included",
    "media": "images and videos",
    "faults": "planned faults, of emulators only",
}
EVIDENCE = ("documented", "recorded", "assumed", "emulator")
EMULATOR = "emulator"  # the evidence of cases about the emulator itself: faults, clock, control plane, echoed results
CASES = Path(__file__).parent / "cases"
CONFIRMED = Path(__file__).parent / "confirmed.toml"
Test = TypeVar("Test", bound=Callable[..., Any])


@dataclass(frozen=True)
class Confirmation:
    """That a recording of the service has shown what a case says: on which day, and where in which file."""

    recorded: date
    where: str

    @property
    def source(self) -> str:
        """The source of a case that is recorded."""
        return f"recorded {self.recorded}, {self.where}"


def read_confirmations(path: Path = CONFIRMED) -> dict[str, Confirmation]:
    """The cases that were assumed until a recording confirmed them, by id."""
    return {id: Confirmation(**entry) for id, entry in tomllib.loads(path.read_text("utf-8")).items()}


CONFIRMATIONS = read_confirmations()


@dataclass(frozen=True)
class Case:
    """One sentence about the API. `operations` are named as in the emulator's table; the sentence is about all of them.

    `refusal` is the kind of refusal the case provokes, from the first operation unless `refusing` names others; `limit`
    is the documented limit it drives against, `fault` what it plans. What is assumed is recorded once a recording has
    confirmed it.
    """

    id: str
    sentence: str
    operations: tuple[str, ...]
    evidence: str
    source: str
    feature: str
    refusal: str | None = None
    refusing: tuple[str, ...] = ()
    limit: str | None = None
    fault: str | None = None
    slow: bool = False
    destructive: bool = False
    paid: bool = False
    control: bool = False
    web_page: bool = False  # it calls as a page of a browser does, which `xai-emulator record` refuses
    steps: tuple[dict[str, Any], ...] = ()  # of a case that is data

    def __post_init__(self) -> None:
        for word, known in ((self.evidence, EVIDENCE), (self.feature, FEATURES)):
            if word not in known:
                raise ValueError(f"{self.id}: {word!r} is not one of {', '.join(known)}")
        if (self.feature == "faults") > (self.evidence == EMULATOR) or (self.evidence == EMULATOR) > self.control:
            raise ValueError(f"{self.id}: cases about faults are about the emulator, and those need its control plane")
        if not self.sentence.strip() or not self.operations or not self.source:
            raise ValueError(f"{self.id}: a case has a sentence, and names its operations and where it is from")
        if self.evidence == "assumed" and self.id in CONFIRMATIONS:
            object.__setattr__(self, "evidence", "recorded")
            object.__setattr__(self, "source", CONFIRMATIONS[self.id].source)


def case(id: str, *operations: str, evidence: str, source: str, **more: Any) -> Callable[[Test], Test]:
    """Make a test a case; its docstring is the sentence, the first part of its id the feature."""

    def mark(test: Test) -> Test:
        sentence = " ".join((test.__doc__ or "").split())
        found = Case(id, sentence, operations, evidence, source, id.split(".", 1)[0], **more)
        return pytest.mark.case(found)(test)  # type: ignore[no-any-return]

    return mark


def case_of(item: pytest.Item) -> Case | None:
    """The case a test is."""
    mark = item.get_closest_marker("case")
    found: Case | None = mark.args[0] if mark else None
    return found


def read_cases(folder: Path = CASES) -> list[Case]:
    """Every case that is data, in the order of the files. Raises ValueError, as for a draft that has no sentence."""
    return [each for path in sorted(folder.glob("*.toml")) for each in _read(path)]


def _read(path: Path) -> Iterator[Case]:
    known = {field.name for field in fields(Case)} - {"feature", "steps"}
    for entry in tomllib.loads(path.read_text("utf-8"))["case"]:
        steps = tuple(entry.pop("step"))
        if unknown := set(entry) - known:
            raise ValueError(f"{path.name}: {entry['id']}: there is no {', '.join(sorted(unknown))}")
        for name in ("operations", "refusing"):
            entry[name] = tuple(entry.get(name, ()))
        yield Case(**entry, feature=entry["id"].partition(".")[0], steps=steps)
