"""When uploads may ask for their next message."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from emulator.rpc import receiving
from emulator.rpc.receiving import RECEIVES_MAX, Receiving
from tests.serving import PATIENCE_SECONDS, until


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """No wait ends because time passes."""
    monkeypatch.setattr(receiving, "WAIT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(receiving, "MOMENT_SECONDS", PATIENCE_SECONDS)


def begins_after(counted: Receiving, event: Callable[[], None]) -> bool:
    """Whether a receive waits, and begins when something has happened."""
    begun = threading.Event()
    thread = threading.Thread(target=lambda: (counted.begin(), begun.set()))
    thread.start()
    until(lambda: counted._changed._waiters)
    waited = not begun.is_set()
    event()
    thread.join(PATIENCE_SECONDS)
    return waited and begun.is_set()


def test_next_message_waits_while_received_bytes_reach_limit(patient: None) -> None:
    """Until enough of them are worked off."""
    counted = Receiving(10)
    counted.end(counted.begin(), 9)
    counted.end(counted.begin(), 1)
    assert begins_after(counted, lambda: counted.worked_off(1))


def test_next_message_waits_while_many_were_just_requested(patient: None) -> None:
    """Until one of them has come."""
    counted = Receiving(10)
    receives = [counted.begin() for _ in range(RECEIVES_MAX)]
    assert begins_after(counted, lambda: counted.end(receives[0], 0))


def test_clients_that_stall_are_not_counted_after_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many they are, the next message is asked for."""
    monkeypatch.setattr(receiving, "WAIT_SECONDS", PATIENCE_SECONDS)
    monkeypatch.setattr(receiving, "MOMENT_SECONDS", 0.001)
    counted = Receiving(10)
    for _ in range(3 * RECEIVES_MAX):
        counted.begin()


def test_slow_upload_does_not_block_others_forever(monkeypatch: pytest.MonkeyPatch) -> None:
    """An upload that is slowed down on purpose does not stop the others."""
    monkeypatch.setattr(receiving, "WAIT_SECONDS", 0.001)
    counted = Receiving(1)
    counted.end(counted.begin(), 1)
    counted.begin()
