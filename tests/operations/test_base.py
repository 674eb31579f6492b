"""A call, as every operation gets it."""

from __future__ import annotations

import pytest

from emulator.operations.base import Envelope
from emulator.state.services import Services
from tests.operations.client import call_of


def test_labels_have_one_line_for_faults_and_one_per_warning(services: Services) -> None:
    """The faults together, each warning by itself and as a header can hold it."""
    call = call_of(services, "files.get")
    assert call.labels == []
    call.faults += ["rule-1", "latency"]
    call.warn("clamped")
    call.warn("ü\r\n")
    assert call.labels == [
        ("x-emulator-fault", "rule-1, latency"),
        ("x-emulator-warning", "clamped"),
        ("x-emulator-warning", r"\xfc\r\n"),
    ]


def test_calls_share_nothing(services: Services) -> None:
    """What one has met or was warned of, another has not."""
    calls = [call_of(services, "files.get") for _ in range(2)]
    calls[0].warn("it is late")
    calls[0].faults.append("rule-1")
    calls[0].unread.append("name")
    assert (calls[1].warnings, calls[1].faults, calls[1].unread) == ([], [], [])
    assert calls[0].envelope is not calls[1].envelope


@pytest.mark.parametrize("is_internal", [True, False])
def test_internal_call_is_exempt_from_chaos(services: Services, is_internal: bool) -> None:
    """The console shows the state as it is."""
    call = call_of(services, "files.get")
    call.team.configure(services.settings, {"chaos": "7"})
    call.envelope = Envelope(is_internal=is_internal)
    assert (call.chaos is None) is is_internal
    assert call.team.chaos is not None
