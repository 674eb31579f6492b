"""Differences planted in every member of every recorded answer: each is found where it is, and nothing else is.

The emulator is asked once; its answers are compared again with each changed recording.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec import UNSET

from emulator import Emulator
from emulator.comparing import run as comparing_run
from emulator.comparing.judge import UNIX_TIMES
from emulator.comparing.rules import FORM, KIND, LISTS_OF_THE_TEAM, MAP, PAGE_TOKENS, SKIP, treatment
from emulator.comparing.run import IN_PROGRESS, Comparison, compare
from emulator.comparing.send import Sender, Target
from emulator.domain.keys import Plane
from emulator.recordings.chains import ID
from emulator.recordings.entries import Entry, Grpc
from emulator.recordings.har import Recording
from tests.comparing.test_compare import differing

Again = Callable[[], Comparison]
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT.*Z")
DATE = re.compile(r"\d{4}-\d\d-\d\d")
HASH = re.compile("[0-9a-f]{32,}")


class Remembering(Sender):
    """Asks the emulator the first time, and answers the same from then on."""

    answers: ClassVar[dict[Any, Any]] = {}
    complete = 0  # how many answers there are to be

    def rest(self, entry: Entry) -> Any:
        return self._once(entry, super().rest)

    def grpc(self, entry: Entry, call: Grpc) -> Any:
        return self._once(entry, lambda entry: super(Remembering, self).grpc(entry, call))

    def _once(self, entry: Entry, ask: Callable[[Entry], Any]) -> Any:
        if entry.number not in self.answers:
            self.answers[entry.number] = ask(entry)
        return self.answers[entry.number]

    def _control(self, path: str, body: dict[str, Any]) -> None:
        if len(self.answers) < self.complete:
            super()._control(path, body)


@pytest.fixture(scope="module")
def again(recorded: Recording) -> Iterator[Again]:
    """Compare the recording, however it was changed, with the answers of one emulator."""
    with Emulator() as emulator, pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparing_run, "Sender", Remembering)
        patch.setattr(Remembering, "answers", {})
        patch.setattr(Remembering, "complete", len(recorded.entries))
        keys = {Plane.INFERENCE: emulator.api_key, Plane.MANAGEMENT: emulator.management_key}
        target = Target(emulator.url, emulator.grpc_target, keys, "default", emulator.control_token)
        assert differing(compare(recorded, target)) == []
        assert len(Remembering.answers) == len(recorded.entries)
        yield lambda: compare(recorded, target)


# --- what can be planted

PROGRESS_COUNTS = ("num_pending", "num_cancelled")  # more of these: the service is not done
MAKERS = ("create", "upload")  # a new id cannot be distinguished from another new id


class Plant(msgspec.Struct):
    """A difference: its kind, what plants it, and what is to be found at which path."""

    kind: str
    work: Callable[[], None]
    what: str
    path: str
    takes_an_id: bool = False  # which later exchanges name


def members(value: Any, path: str = "$") -> Iterator[tuple[Any, Any, str]]:
    """Every member and item with what it stands in, its key, and its path."""
    pairs = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(pairs):
        place = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}"
        yield value, key, place
        yield from members(item, place)


def plants(entry: Entry, answer: Any, *, is_unfinished: bool) -> Iterator[Plant]:
    """Every plant in an answer that the rules of comparing do not excuse."""
    operation, over_grpc = entry.operation or "", isinstance(entry.grpc, Grpc)
    for parent, key, path in members(answer):
        within = [path[: end.start()] for end in re.finditer(r"[.\[]", path)]
        excused, treat = [treatment_at(operation, each) for each in within], treatment_at(operation, path)
        if SKIP in (treat, *excused) or (is_unfinished and path.startswith("$.state")):
            continue
        if isinstance(parent, dict):
            yield from key_plants(parent, key, path, ordered=not over_grpc and MAP not in excused)
        # What others have made comes and goes, and results come while the service works.
        is_open = operation in (*LISTS_OF_THE_TEAM, "batches.list_results") and path.count(".") == 1
        if isinstance(parent[key], list) and parent[key] and not is_open:
            yield Plant("items", replaced(parent, key, parent[key][:-1]), "items", path)
        for plant in value_plants(parent, key, path, over_grpc=over_grpc):
            is_excused = (
                key in (*PAGE_TOKENS, *PROGRESS_COUNTS) or treat == KIND or (treat == FORM and plant.what != "format")
            )
            # An id that is not known is of a thing of others in a list, and of a new thing in the answer that makes it.
            is_new = operation.endswith(MAKERS) or "[" in path
            if plant.what == "kind" or not (is_excused or (plant.kind == "prefix of an id" and is_new)):
                plant.takes_an_id = operation.endswith(MAKERS)
                yield plant


def treatment_at(operation: str, path: str) -> str | None:
    return treatment(operation, re.sub(r"\[\d+\]", "[*]", path), left_out=True)


def key_plants(parent: dict[str, Any], key: str, path: str, *, ordered: bool) -> Iterator[Plant]:
    """A key that is lost; with the first one also a new key, and all of them in another order."""
    pairs, base = list(parent.items()), path.removesuffix(f".{key}")
    rest = [pair for pair in pairs if pair[0] != key]
    yield Plant("key lost", rebuilt(parent, rest), "missing there", path, takes_an_id=key.endswith("id"))
    if pairs[0][0] == key:
        yield Plant("key new", rebuilt(parent, [*pairs, ("brand_new", 1)]), "extra there", f"{base}.brand_new")
        if len(pairs) > 1 and ordered:
            yield Plant("order of keys", rebuilt(parent, pairs[::-1]), "order", base)


def value_plants(parent: Any, key: Any, path: str, *, over_grpc: bool) -> Iterator[Plant]:
    """Each value that can stand for another one."""
    value = parent[key]

    def plant(kind: str, new: Any, what: str) -> Plant:
        return Plant(kind, replaced(parent, key, new), what, path)

    if value is not None:
        yield plant("null", None, "kind")
    yield plant("another kind", 5 if isinstance(value, str | None) else "5", "kind")
    match value:
        case bool():
            yield plant("bool", not value, "value")
        case int() if value in UNIX_TIMES:
            yield plant("time", value - 3600, "value")
        case int() | float():
            yield plant("number", value + 1, "value")
        case str() if ID.fullmatch(value):
            yield plant("prefix of an id", f"x{value}", "format")
        case str() if TIMESTAMP.fullmatch(value):
            yield plant("time", value.replace("20", "19", 1), "value")
            if not over_grpc:  # where the digits are those that protojson needs
                yield plant("digits of a time", f"{value[:-4]}Z", "format")
        case str() if DATE.fullmatch(value):
            yield plant("form of a date", f"{value}T00:00:00Z", "format")
            yield plant("date", "2001-01-01", "value")
        case str() if HASH.fullmatch(value):
            yield plant("length of a hash", value[:32], "format")
        case str():
            yield plant("text", f"{value} otherwise", "words" if key == "error" else "value")


def replaced(parent: Any, key: Any, new: Any) -> Callable[[], None]:
    return lambda: parent.__setitem__(key, new)


def rebuilt(parent: dict[str, Any], pairs: list[tuple[str, Any]]) -> Callable[[], None]:
    def work() -> None:
        parent.clear()
        parent.update(pairs)

    return work


class Place(msgspec.Struct, frozen=True):
    """A plant in the answer of an exchange, by its number among those that are possible there."""

    exchange: int
    number: int


class Planter:
    """Plants differences in a recording, one at a time."""

    def __init__(self, recorded: Recording, baseline: Comparison) -> None:
        self._entries = {entry.number: entry for entry in recorded.entries}
        self._raw = {number: raw for number, entry in self._entries.items() if (raw := answer_text(entry))}
        self._unfinished = {each.number for each in baseline.outcomes if each.outcome == IN_PROGRESS}
        self.places = [
            Place(number, place)
            for number, raw in self._raw.items()
            for place in range(len(list(self._plants(number, json.loads(raw)))))
        ]

    def _plants(self, number: int, answer: Any) -> Iterator[Plant]:
        return plants(self._entries[number], answer, is_unfinished=number in self._unfinished)

    @contextmanager
    def planted(self, place: Place) -> Iterator[Plant]:
        """The recording with a plant in it, and then without."""
        answer = json.loads(self._raw[place.exchange])
        plant = list(self._plants(place.exchange, answer))[place.number]
        plant.work()
        entry = self._entries[place.exchange]
        self._put(entry, answer)
        try:
            yield plant
        finally:
            self._put(entry, json.loads(self._raw[place.exchange]))
            if entry.grpc is UNSET:
                entry.response.body.text = self._raw[place.exchange]

    def _put(self, entry: Entry, answer: Any) -> None:
        if isinstance(entry.grpc, Grpc):
            entry.grpc.response[0] = answer
        else:
            entry.response.body.text = json.dumps(answer, separators=(",", ":"), ensure_ascii=False)


def answer_text(entry: Entry) -> str | None:
    if isinstance(entry.grpc, Grpc):
        return json.dumps(entry.grpc.response[0]) if entry.grpc.response else None
    text = entry.response.body.text
    return text if isinstance(text, str) and text.startswith("{") else None


@pytest.fixture(scope="module")
def planter(recorded: Recording, again: Again) -> Planter:
    return Planter(recorded, again())


def test_plants_are_of_every_kind_and_family(recorded: Recording, planter: Planter) -> None:
    kinds: set[str] = set()
    families: set[str] = set()
    for place in planter.places:
        with planter.planted(place) as plant:
            kinds.add(plant.kind)
    operations = {entry.number: entry.operation or "" for entry in recorded.entries}
    families = {operations[place.exchange].partition(".")[0] for place in planter.places}
    assert kinds == {
        *("key lost", "key new", "order of keys", "null", "another kind", "bool", "number", "text", "items"),
        *("time", "digits of a time", "date", "form of a date", "prefix of an id", "length of a hash"),
    }
    assert families == {"files", "auth", "collections", "documents", "batches"}
    assert len(planter.places) > 500


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
def test_planted_difference_is_found_and_nothing_else(planter: Planter, again: Again, data: st.DataObject) -> None:
    """With a thousand examples, as in `make soak`, these are all of them."""
    place = data.draw(st.sampled_from(planter.places))
    with planter.planted(place) as plant:
        found = differing(again())
        assert [(each.what, each.path) for outcome, each in found if outcome.number == place.exchange] == [
            (plant.what, plant.path)
        ]
        assert plant.takes_an_id or len(found) == 1
