"""What every test runs under: one Hypothesis profile, and the machine to itself for a test marked `alone`."""

import fcntl
import os
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import hypothesis
import pytest

from emulator import Emulator

# A deadline judges the load of the machine, not the code; speed has tests of its own, marked `alone`.
hypothesis.settings.register_profile("suite", deadline=None)
# Where a change is judged, the same code meets the same examples; new ones are looked for everywhere else.
hypothesis.settings.register_profile("judge", deadline=None, derandomize=True, database=None)
hypothesis.settings.load_profile("judge" if os.environ.get("CI") else "suite")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Run each test beside others, but a test marked `alone` while no other process runs one."""
    with _machine(alone=item.get_closest_marker("alone") is not None):
        return (yield)


@contextmanager
def _machine(*, alone: bool) -> Iterator[None]:
    """Hold the machine, shared or alone, against every test process of this checkout.

    Two locks that need no files of their own: everybody passes the door (this file) to enter the room (its directory).
    Whoever waits for the room alone waits in the door, so the tests in the room end and no other one begins.
    """
    door, room = (os.open(path, os.O_RDONLY) for path in (__file__, Path(__file__).parent))
    try:
        fcntl.flock(door, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(door, fcntl.LOCK_UN)
        yield
    finally:
        os.close(room)
        os.close(door)


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One running emulator for a whole module; `reset` or a team of one's own keeps tests apart."""
    with Emulator() as running:
        yield running


@pytest.fixture
def rest(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the inference plane, on an emulator that was reset."""
    emulator.reset()
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def management(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the management plane."""
    headers = {"authorization": f"Bearer {emulator.management_key}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture
def control(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the control plane; unless a team is named it is about the default one, which was reset."""
    emulator.reset()
    with httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=30) as client:
        yield client
