"""Calls that no transport has made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Envelope, Transport
from emulator.runtime.app import build_world
from emulator.state.settings import Settings
from emulator.state.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    """The state of an emulator that is not served."""
    world = build_world(Settings())
    yield world
    world.store.close()


@pytest.fixture(scope="module")
def make_call(world: World) -> Callable[..., Call]:
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
        call = Call(OPERATIONS[operation], transport, "key-of-a-test", "http://localhost", read, envelope=around)
        call.team = world.teams.get(team)
        call.at = call.team.clock.now()
        return call

    return make
