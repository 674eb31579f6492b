"""What every test runs under: one Hypothesis profile, and an emulator per module."""

import contextlib
import functools
import gc
import importlib
import ssl
from collections.abc import Iterator

import httpx
import hypothesis
import pytest
import requests
from httpx._config import DEFAULT_TIMEOUT_CONFIG  # the object that is the default of every call

from emulator import Emulator
from tests.examples import ARE_FIXED, examples
from tests.serving import PATIENCE_SECONDS

# Deadlines and the health check judge the load of the machine, not the code.
hypothesis.settings.register_profile(
    "xai-emulator",
    deadline=None,
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
    max_examples=examples(),
    derandomize=ARE_FIXED,
    database=None,
)
hypothesis.settings.load_profile("xai-emulator")

# A client of httpx or openai reads every trusted certificate when it is made: 20 ms, though no test uses TLS.
ssl.create_default_context = functools.cache(ssl.create_default_context)

# By default httpx gives up after 5 s, which a busy machine may need for a call that does much.
for phase in ("connect", "read", "write", "pool"):
    setattr(DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_SECONDS)


# A million objects are made before the first test, hardly one of them garbage: a fifth of the time of a collection went
# into looking for it.
gc.disable()


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


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    """Share the rewriting of assertions among the processes that collect at once: each begins with other modules.

    pytest keeps a rewritten module as bytecode, so the process that comes second only reads it. In the same order all
    of them would rewrite every module themselves, which takes each longer than the rest of the collection.
    """
    worker = getattr(session.config, "workerinput", None)
    if worker is None or session.config.args != session.config.getini("testpaths"):
        return
    tests = session.config.rootpath / "tests"
    modules = sorted(path for folders in ("", "*/", "*/*/") for path in tests.glob(f"{folders}test_*.py"))
    start = len(modules) * int(worker["workerid"].removeprefix("gw")) // worker["workercount"]
    for path in (*modules[start:], *modules[:start]):
        with contextlib.suppress(Exception):  # the collection reports it
            importlib.import_module(".".join(path.relative_to(tests.parent).with_suffix("").parts))


@pytest.hookimpl(trylast=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Let no collection of garbage look through the objects that were made before the first test.

    Nor let one look through all later objects every second: that took 7 % of the time of the tests. Where memory is
    measured, garbage is collected as often as in a program.
    """
    gc.collect()
    gc.freeze()
    gc.enable()
    if session.config.option.markexpr == "not measure":
        gc.set_threshold(10_000, 20, 50)
