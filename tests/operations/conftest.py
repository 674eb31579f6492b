"""A world without transports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from emulator.jobs.runner import Runner
from emulator.runtime.app import build_world
from emulator.state.settings import Settings
from emulator.state.world import World


@pytest.fixture
async def world() -> AsyncIterator[World]:
    """A world whose clock stands still, and in which nothing happens by itself."""
    world = build_world(Settings(indexing="manual", batches="manual"))
    Runner(world)
    world.teams.get("default").clock.freeze()
    yield world
    world.store.close()
