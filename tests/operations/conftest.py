"""A world without transports."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from emulator.jobs.runner import Runner
from emulator.runtime.app import build_services
from emulator.state.services import Services
from emulator.state.settings import Settings


@pytest.fixture
async def services() -> AsyncIterator[Services]:
    """A world whose clock stands still, and in which nothing happens by itself."""
    services = build_services(Settings(indexing="manual", batches="manual"))
    Runner(services)
    services.teams.get("default").clock.freeze()
    yield services
    services.store.close()
