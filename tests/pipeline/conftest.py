"""Calls that no transport has made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Envelope, Transport
from emulator.pipeline.begin import begin
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """The state of an emulator that is not served."""
    services = build_services(Settings())
    yield services
    services.store.close()


@pytest.fixture(scope="module")
def make_call(services: Services) -> Callable[..., Call]:
    """Makes a call of an operation."""

    def make(
        operation: str = "files.list",
        transport: Transport = "rest",
        team: str = "default",
        envelope: Envelope | None = None,
    ) -> Call:
        async def read(call: Call) -> Any:
            raise AssertionError("this call is not decoded")

        around = envelope or Envelope()
        return begin(
            services, OPERATIONS[operation], transport, f"key-of-a-test@{team}", "http://localhost", read, around
        )

    return make
