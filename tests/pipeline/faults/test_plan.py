"""Rules and scripts: which call meets what, and the account of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.errors import WIRE
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Envelope
from emulator.pipeline.error_catalog import ERRORS, RECORDED, STATUSES, by_name, by_status
from emulator.pipeline.faults.effects import BadFault, Effect, applicable, downloads, uploads
from emulator.pipeline.faults.plan import PLANS_MAX, Faults, Rule, Script
from emulator.state.services import Services

UPLOADS = {
    "files.upload": ("content",),
    "files.update": ("content",),
    "files.upload_chunks": ("chunks",),
}


def met(faults: Faults, call: Call) -> list[str]:
    """The labels of the effects that a call meets; each is ended at once."""
    matches = faults.take(call)
    for match in matches:
        match.end("ok")
    return [match.label for match in matches if match.effect is not None]


def test_streams_are_read_off_the_declarations() -> None:
    """What can be cut is what an operation declares as a stream."""
    found = {name: uploads(operation.request) for name, operation in OPERATIONS.items() if uploads(operation.request)}
    assert found.items() >= UPLOADS.items()
    assert downloads(OPERATIONS["files.content"].run)
    assert downloads(OPERATIONS["files.public_content"].run)
    assert not downloads(OPERATIONS["files.get"].run)


@given(nth=st.integers(1, 6), times=st.none() | st.integers(1, 6), calls=st.integers(0, 15))
def test_rule_applies_from_nth_call_for_given_times(
    make_call: Callable[..., Call], nth: int, times: int | None, calls: int
) -> None:
    """A window of calls, counted from when the rule was set; its account says as much."""
    faults = Faults()
    planned = faults.add_rule("default", Rule(operation="files.*", error="internal", nth=nth, times=times))
    seen = [bool(met(faults, make_call())) for _ in range(calls)]
    last = calls if times is None else nth + times - 1
    assert seen == [nth <= number <= last for number in range(1, calls + 1)]
    assert (planned.calls, planned.hits) == (calls, sum(seen))


@given(
    rules=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 3)), min_size=1, max_size=4), calls=st.integers(1, 20)
)
def test_one_call_gets_one_effect_and_others_wait(
    make_call: Callable[..., Call], rules: list[tuple[int, int]], calls: int
) -> None:
    """Rules are met in the order in which they were set; one that had to wait is met later."""
    faults = Faults()
    planned = [
        faults.add_rule("default", Rule(operation="*", status=503, nth=nth, times=times)) for nth, times in rules
    ]
    seen = [met(faults, make_call()) for _ in range(calls)]
    assert all(len(labels) <= 1 for labels in seen)
    assert all(rule.calls == calls for rule in planned)
    if calls >= 3 + sum(times for _, times in rules):
        assert [rule.hits for rule in planned] == [times for _, times in rules]


@given(steps=st.lists(st.sampled_from(["ok", "fail"]), min_size=1, max_size=8), calls=st.integers(0, 12))
def test_script_is_consumed_in_order_and_records_every_call(
    make_call: Callable[..., Call], steps: list[str], calls: int
) -> None:
    """One step per call; after the last one calls go through, and are noted as such."""
    faults = Faults()
    effects: list[Any] = ["ok" if step == "ok" else Effect(error="unavailable") for step in steps]
    planned = faults.add_script("default", Script(operation="files.list", steps=effects))
    seen = [bool(met(faults, make_call())) for _ in range(calls)]
    assert seen == [step == "fail" for step in steps][:calls] + [False] * (calls - len(steps))
    assert planned.completed == (calls >= len(steps))
    assert [attempt.step for attempt in planned.attempts] == [
        number if number <= len(steps) else None for number in range(1, calls + 1)
    ]
    assert all((attempt.gap_seconds is None) == (index == 0) for index, attempt in enumerate(planned.attempts))


def test_first_script_has_priority_over_rules_and_scripts(make_call: Callable[..., Call]) -> None:
    """A call consumes one step of one script; the others note it."""
    faults = Faults()
    faults.add_rule("default", Rule(operation="*", error="internal", times=None))
    first = faults.add_script("default", Script(operation="files.list", steps=["ok"]))
    second = faults.add_script("default", Script(operation="files.*", steps=[Effect(drop="before")]))
    assert [met(faults, make_call()) for _ in range(3)] == [[], ["script-3:1"], ["rule-1"]]
    assert (first.seen, second.seen, first.position, second.position) == (3, 3, 1, 1)


def test_attempt_has_deadline_and_retry_number_of_client(make_call: Callable[..., Call]) -> None:
    """The deadline it carries and which attempt it is."""
    faults = Faults()
    planned = faults.add_script("default", Script(operation="*", steps=["ok"]))

    class Patient(Envelope):
        def deadline_seconds(self) -> float:
            return 12.5

        def retry(self) -> int:
            return 2

    met(faults, make_call(transport="grpc", envelope=Patient()))
    (attempt,) = planned.attempts
    assert (attempt.transport, attempt.deadline_seconds, attempt.retry, attempt.outcome) == ("grpc", 12.5, 2, "ok")


def test_rule_with_transport_and_team_matches_only_those(make_call: Callable[..., Call]) -> None:
    """Calls over the other transport, or of another team, are not even counted."""
    faults = Faults()
    planned = faults.add_rule("default", Rule(operation="files.list", transport="grpc", error="internal"))
    assert met(faults, make_call()) == []
    assert met(faults, make_call(transport="grpc", team="other")) == []
    assert planned.calls == 0
    assert met(faults, make_call(transport="grpc")) == ["rule-1"]


def test_pattern_covers_only_operations_the_effect_applies_to() -> None:
    """A cut download of `files.*` is one of the operations that return content, so each hit is one."""
    planned = Faults().add_rule("default", Rule(operation="files.*", cut_download_after_bytes=1))
    assert planned.operations == {"files.content", "files.public_content"}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"operation": "files.gte", "error": "internal"}, "no operation is called 'files.gte'; known are .*files.get"),
        ({"operation": "x*", "error": "internal"}, "no operation is called"),
        ({"operation": "*"}, "needs at least one effect"),
        ({"operation": "*", "message": "x"}, "needs at least one effect"),
        ({"operation": "*", "error": "nope"}, "there is no error 'nope'; known are .*out_of_credits"),
        ({"operation": "*", "status": 418}, "no refusal has status 418; known are 400, "),
        ({"operation": "*", "error": "internal", "status": 503}, "error and status exclude each other"),
        ({"operation": "*", "error": "internal", "drop": "before"}, "error and drop exclude each other"),
        ({"operation": "*", "status": 503, "cut_download_after_bytes": 1}, "status and cut_download_after_bytes"),
        ({"operation": "*", "drop": "after", "cut_upload_after_bytes": 1}, "drop and cut_upload_after_bytes"),
        ({"operation": "*", "delay_seconds": 1, "retry_after_seconds": 1}, "need a refusal"),
        ({"operation": "*", "drop": "before", "message": "x"}, "need a refusal"),
        ({"operation": "*", "error": "internal", "drip_bytes_per_second": 1}, "drip_bytes_per_second and error"),
        (
            {"operation": "files.get", "cut_download_after_bytes": 1},
            "cut_download_after_bytes: files.get moves no such",
        ),
        (
            {"operation": "files.content", "cut_upload_after_bytes": 1},
            "cut_upload_after_bytes: files.content moves no such",
        ),
        (
            {"operation": "files.*", "behaviour": "cancel_reverts"},
            "cancel_reverts is one of batches.cancel, not of files",
        ),
        ({"operation": "*", "behaviour": "cancel_reverts", "status": 503}, "behaviour and status exclude each other"),
        ({"operation": "files.get", "drip_bytes_per_second": 1}, "drip_bytes_per_second: files.get moves no such"),
    ],
)
def test_impossible_fault_is_refused_when_planned(fault: dict[str, Any], why: str) -> None:
    """In a rule and as the step of a script alike, and nothing is planned."""
    faults = Faults()
    with pytest.raises(BadFault, match=why):
        faults.add_rule("default", msgspec.convert(fault, Rule))
    effect = {name: value for name, value in fault.items() if name != "operation"}
    with pytest.raises(BadFault, match=why):
        faults.add_script(
            "default", msgspec.convert({"operation": fault["operation"], "steps": ["ok", effect]}, Script)
        )
    assert not faults.plans("default").rules
    assert not faults.plans("default").scripts


@pytest.mark.parametrize(
    "effect",
    [
        Effect(error="rate_limited", retry_after_seconds=3, message="slow down", delay_seconds=0.5),
        Effect(status=503, cut_upload_after_bytes=0),
        Effect(error="internal", cut_upload_after_bytes=10, drip_bytes_per_second=5),
        Effect(cut_download_after_bytes=10, drip_bytes_per_second=5, delay_seconds=1),
        Effect(drop="after", delay_seconds=1),
    ],
)
def test_compatible_effects_are_accepted_together(effect: Effect) -> None:
    """A pause goes with everything, a cut upload may end with a refusal, a drip with a cut."""
    assert applicable(effect, OPERATIONS.values())


@pytest.mark.parametrize("id", ["", "a b", "a\n", "a\nb", "a/b", "ä", "x" * 65])
@pytest.mark.parametrize("shape", [Rule, Script])
def test_fault_id_unfit_for_header_or_path_is_refused(shape: type[Rule | Script], id: str) -> None:
    """Anything else is refused when it is planned, for `x-emulator-fault` names it to whom it meets."""
    body = {"operation": "*", "error": "internal", "id": id} if shape is Rule else {"operation": "*", "steps": ["ok"]}
    with pytest.raises(msgspec.ValidationError, match="regex"):
        msgspec.json.decode(msgspec.json.encode({**body, "id": id}), type=shape)


def test_ids_are_given_or_made_and_never_twice() -> None:
    """A name that is taken is refused; a team holds a bounded number."""
    faults = Faults()
    assert faults.add_rule("default", Rule(operation="*", error="internal", id="mine")).id == "mine"
    assert faults.add_rule("default", Rule(operation="*", error="internal", id="rule-1")).id == "rule-1"
    assert faults.add_rule("default", Rule(operation="*", error="internal")).id == "rule-2"
    with pytest.raises(BadFault, match="already"):
        faults.add_script("default", Script(operation="*", steps=["ok"], id="mine"))
    assert faults.remove("default", "mine")
    assert not faults.remove("default", "mine")
    assert faults.clear("default") == 2
    for _ in range(PLANS_MAX):
        faults.add_rule("default", Rule(operation="*", error="internal"))
    with pytest.raises(BadFault, match="remove some"):
        faults.add_rule("default", Rule(operation="*", error="internal"))


@pytest.mark.parametrize("name", ERRORS)
def test_fault_error_names_make_complete_refusals(
    services: Services, make_call: Callable[..., Call], name: str
) -> None:
    """Of a kind that both transports know, with a sentence that has no gap left, and no word of the key."""
    for operation in ("files.list", "collections.list"):
        error = by_name(name, services, make_call(operation))
        assert error.kind in WIRE
        assert "{" not in error.message
        assert "key-of-a-test" not in error.message
        if name in RECORDED:
            assert RECORDED[name].source


@pytest.mark.parametrize("status", STATUSES)
def test_fault_statuses_make_refusals_on_both_transports(make_call: Callable[..., Call], status: int) -> None:
    """Over REST as it was named, over gRPC as the code that is nearest."""
    error = by_status(status, make_call())
    assert error.status == status
    assert WIRE[error.kind].http == status or status in (408, 502, 529)
