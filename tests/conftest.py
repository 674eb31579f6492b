"""What every test runs under: one Hypothesis profile, and an emulator per module."""

import functools
import os
import ssl
from collections.abc import Iterator

import httpx
import hypothesis
import pytest
import requests
from httpx._config import DEFAULT_TIMEOUT_CONFIG  # the object that is the default of every call

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

# A deadline judges the load of the machine, not the code; speed has tests of its own, marked `measure`.
EXAMPLES = int(os.environ.get("XAI_EXAMPLES", "50"))  # of each property; `make soak` tries more
hypothesis.settings.register_profile("suite", deadline=None, max_examples=EXAMPLES)
# Where a change is judged, the same code meets the same examples; new ones are looked for everywhere else.
hypothesis.settings.register_profile("judge", hypothesis.settings.get_profile("suite"), derandomize=True, database=None)
hypothesis.settings.load_profile("judge" if os.environ.get("CI") else "suite")

# A client of httpx or openai reads every trusted certificate when it is made: 20 ms, though no test uses TLS.
ssl.create_default_context = functools.cache(ssl.create_default_context)

# By default httpx gives up after 5 s, which a busy machine may need for a call that does much.
for phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_SECONDS)


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
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def management(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the management plane."""
    headers = {"authorization": f"Bearer {emulator.management_key}"}
    with httpx.Client(base_url=emulator.url, headers=headers, timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture
def control(emulator: Emulator) -> Iterator[httpx.Client]:
    """A plain HTTP client of the control plane; unless a team is named it is about the default one, which was reset."""
    emulator.reset()
    with httpx.Client(base_url=f"{emulator.url}/_emulator", timeout=PATIENCE_SECONDS) as client:
        yield client


@pytest.fixture(scope="module")
def session() -> Iterator[requests.Session]:
    """A session for generated calls: made once, it reads no proxy settings, and has a new connection for each call."""
    with requests.Session() as session:
        session.trust_env = False
        session.headers["connection"] = "close"
        yield session
