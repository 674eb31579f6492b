"""Batches under any order of calls, compared with a model: counters add up, and no result is lost or duplicated."""

from __future__ import annotations

import itertools
from collections import Counter
from typing import Any

import httpx
import hypothesis
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from emulator import Emulator
from tests.examples import examples
from tests.rest.batch_helpers import COUNTERS, Batches, chat_body, line, request

STAGE = 250  # milliseconds between two quarters of the requests, at the realistic speed
FILE_GAP = 3000  # milliseconds until an input file is read, at the realistic speed
NAMES = st.sampled_from([f"r{n}" for n in range(9)])
REFUSED = "error: n must be between 1 and 128, got 0"
TEAMS = itertools.count()


def body(text: str) -> dict[str, Any]:
    """The body of a request; a bad one is taken and fails when its turn comes."""
    return chat_body(text, n=0) if text == "bad" else chat_body(text)


class Model:
    """What a batch should be: what its requests ask for and when each is due, in milliseconds."""

    def __init__(self, file: list[str] | None = None, read_at: int = 0) -> None:
        self.file, self.read_at, self.sealed = file, read_at, file is not None
        self.ended: str | None = None
        self.asked: dict[str, str] = {}
        self.due: dict[str, int] = {}
        self.done: dict[str, str] = {}

    def add(self, items: list[tuple[str, str]], at: int) -> int:
        """The status of an attempt to add requests."""
        if self.sealed:
            return 412
        if self.ended:
            return 403
        asked = dict(self.asked)
        for id, text in items:
            if asked.setdefault(id, text) != text:
                return 412
        for id in asked.keys() - self.asked.keys():
            self.due[id] = at + STAGE * (1 + list(asked).index(id) % 4)
        self.asked = asked
        return 200

    def move(self, now: int) -> None:
        """Let time pass."""
        if self.file is not None and not self.ended and self.read_at <= now:
            if self.file and len(set(self.file)) == len(self.file):
                self.asked = {id: id for id in self.file}
                self.due = {id: self.read_at + STAGE * (1 + n % 4) for n, id in enumerate(self.file, 1)}
            else:
                self.ended = "rejected"
            self.file = None
        if not self.ended:
            self.done |= {
                id: REFUSED if text == "bad" else text for id, text in self.asked.items() if self.due[id] <= now
            }

    def results(self) -> dict[str, str]:
        """The outcome of every request that has ended."""
        rest = dict.fromkeys(self.asked, f"error: Batch {self.ended}") if self.ended else {}
        return rest | self.done

    def counters(self) -> tuple[int, ...]:
        """What the five counters should be."""
        left, bad = len(self.asked) - len(self.done), list(self.done.values()).count(REFUSED)
        return len(self.asked), 0 if self.ended else left, len(self.done) - bad, bad, left if self.ended else 0


class BatchesMachine(RuleBasedStateMachine):
    """One team on a clock that stands still but when it is moved."""

    emulator: Emulator
    made: Bundle[str] = Bundle("made")

    @initialize()
    def begin(self) -> None:
        self.batches = Batches(self.emulator, f"machine-{next(TEAMS)}")
        self.batches.configure(batches="realistic")
        self.batches.freeze()
        self.now, self.models = 0, dict[str, Model]()

    def teardown(self) -> None:
        if hasattr(self, "batches"):
            self.batches.http.delete(f"/_emulator/teams/{self.batches.team}").raise_for_status()
            self.batches.http.close()

    @rule(target=made)
    def create(self) -> str:
        id = self.batches.create()
        self.models[id] = Model()
        return id

    @rule(target=made, ids=st.lists(NAMES, max_size=6))
    def create_from_file(self, ids: list[str]) -> str:
        id = self.batches.from_lines(*(line(each, body=chat_body(each)) for each in ids))
        self.models[id] = Model(ids, self.now + FILE_GAP)
        return id

    @rule(id=made, items=st.lists(st.tuples(NAMES, st.sampled_from(["hi", "hi", "hi", "bad"])), max_size=6))
    def add(self, id: str, items: list[tuple[str, str]]) -> None:
        reply = self.batches.add(id, *(request(name, body=body(text)) for name, text in items))
        assert reply.status_code == self.models[id].add(items, self.now)

    @rule(id=made)
    def cancel(self, id: str) -> None:
        self.batches.cancel(id)
        self.models[id].ended = self.models[id].ended or "cancelled"

    @rule(milliseconds=st.sampled_from([100, STAGE, 400, 1000, FILE_GAP]))
    def advance(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.batches.advance(milliseconds / 1000)
        for model in self.models.values():
            model.move(self.now)

    @rule()
    def advance_to_the_end(self) -> None:
        self.advance(5000)
        self.now += 30 * 86_400_000
        self.batches.advance(30 * 86_400)
        for model in self.models.values():
            model.ended = model.ended or "expired"

    @rule(id=made, limit=st.integers(1, 4), meanwhile=st.sampled_from([0, STAGE]))
    def page_while_time_passes(self, id: str, limit: int, meanwhile: int) -> None:
        """No page repeats a result; what was there at the start is in one of them, unless it is overtaken."""
        before, seen = self.models[id].results(), Counter[str]()
        for page in self.batches.pages(f"/{id}/results", "results", limit=limit):
            seen.update(row["batch_request_id"] for row in page)
            if meanwhile:
                self.advance(meanwhile)
        assert set(seen.values()) <= {1}
        assert set(before) <= set(seen)

    @invariant()
    def every_batch_is_as_it_should_be(self) -> None:
        for id, model in getattr(self, "models", {}).items():
            batch = self.batches.get(id)
            counters = tuple(batch["state"][name] for name in COUNTERS)
            assert counters[0] == sum(counters[1:])
            assert counters == model.counters()
            assert self.batches.contents(id) == model.results()
            states = Counter(row["state"] for row in self.batches.requests(id, limit=4))
            words = ("pending", "succeeded", "failed", "cancelled")
            assert tuple(states[word] for word in words) == counters[1:]
            assert (batch["cancel_by_xai_message"] is not None) == (model.ended == "rejected")
            assert (batch["cancel_time"] is not None) == (model.ended in ("cancelled", "rejected"))


def test_batches_agree_with_model_for_any_calls(emulator: Emulator) -> None:
    """Add, cancel, page and advance in whatever order: the model and the emulator never differ."""
    machine = type("Machine", (BatchesMachine,), {"emulator": emulator})
    budget = hypothesis.settings(
        max_examples=examples(10), stateful_step_count=12, suppress_health_check=list(hypothesis.HealthCheck)
    )
    run_state_machine_as_test(machine, settings=budget)


def test_listing_of_batches_skips_none_under_changes(emulator: Emulator) -> None:
    """Whatever is created while a client pages, what was there before is seen once."""
    batches = Batches(emulator, "pager")
    with batches.http:
        before = [batches.create() for _ in range(7)]
        seen: list[str] = []
        for page in batches.pages("", "batches", limit=2):
            seen += [batch["batch_id"] for batch in page]
            batches.create()
        assert [id for id in seen if id in before] == before[::-1]
        assert len(seen) == len(set(seen))
        assert httpx.get(f"{emulator.base_url}/batches").status_code == 401
