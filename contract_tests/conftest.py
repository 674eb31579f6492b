"""One run: finds the server and the clients, gives each case its fixtures, and reports."""

from __future__ import annotations

import itertools
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from .case import Case, case_of
from .cleanup import clean_up
from .clients import TRANSPORTS, Clients
from .clients.client import Client, Step, instrumented
from .clients.http import ObservedTransport, Transport
from .clients.models import Unsupported
from .clients.rest import RestClient
from .coverage import OperationCoverage
from .deadline import DeadlineExceeded, deadline
from .known_failures import KnownFailures
from .observed_objects import ObservedObjects
from .options import add_options, clients_of, known_failures_of, packages_of, record_of, target_of
from .recording import Recorder
from .report import CaseResult, Report
from .selection import CaseSelection
from .target import BudgetExhausted, Target, as_team

TARGET = pytest.StashKey[Target]()
CLIENTS = pytest.StashKey[Clients]()
KNOWN = pytest.StashKey[KnownFailures]()
RECORD = pytest.StashKey[Path | None]()
RECORDER = pytest.StashKey[Recorder]()
REPORT = pytest.StashKey[Report]()
SELECTION = pytest.StashKey[CaseSelection]()
STEPS = pytest.StashKey[list[Step]]()  # of a story: what its clients were asked, and what they answered
_numbers = itertools.count(1)

pytest_addoption = add_options


def pytest_configure(config: pytest.Config) -> None:
    """Read what is asked for, and find the server and the clients."""
    config.stash[KNOWN], config.stash[RECORD] = known_failures_of(config), record_of(config)
    packages, target = packages_of(config), target_of(config)
    config.stash[TARGET] = target
    config.stash[RECORDER] = Recorder(target.base_url, target.api_key)
    clients = config.stash[CLIENTS] = Clients(target, packages)
    config.stash[REPORT] = Report()
    config.stash[SELECTION] = CaseSelection(target)
    for name in clients_of(config):
        clients.open(name)


def pytest_report_header(config: pytest.Config) -> list[str]:
    """Say what is judged, and with what."""
    target, clients = config.stash[TARGET], config.stash[CLIENTS]
    versions = ", ".join(f"{name} {version}" for name, version in clients.versions().items())
    return [
        f"target: {target.base_url} (gRPC: {target.grpc or 'left out'}); names begin with {target.run_prefix}",
        f"clients: {versions or 'none'}",
        *(f"not with {name}: {reason}" for name, reason in clients.missing().items()),
    ]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run each test with every client that is here."""
    clients = metafunc.config.stash[CLIENTS]
    names = list(clients.versions())
    if metafunc.definition.get_closest_marker("over_grpc"):
        names = [name for name in names if clients.get(name).protocol == "grpc"]
    if metafunc.definition.get_closest_marker("one_client_per_protocol"):
        names = list({clients.get(name).protocol: name for name in reversed(names)}.values())
    if metafunc.definition.get_closest_marker("over_both_protocols"):
        names = [name for name in names if name in TRANSPORTS or clients.get(name).protocol == "grpc"]
        names = list({clients.get(name).protocol: name for name in reversed(names)}.values())
    if "client" in metafunc.fixturenames:
        metafunc.parametrize("client", names, indirect=True)
    if "transport" in metafunc.fixturenames:
        metafunc.parametrize("transport", [name for name in names if name in TRANSPORTS], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what was not asked for or has no client here, and mark what is known to fail."""
    _check(config, items)
    selection = config.stash[SELECTION]
    chosen = [item for item in items if selection.select(_case(item)) and isinstance(_client_of(item), str)]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


def _check(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Refuse tests that are no cases, two cases of one id, and a list of known failures that is stale."""
    known = config.stash[KNOWN]
    cases: dict[str, Case] = {}
    for item in items:
        case = _case(item)
        if cases.setdefault(case.id, case) != case:
            raise pytest.UsageError(f"two cases are called {case.id}")
        mark = known.mark(case, _client_of(item))
        if mark is not None:
            item.add_marker(mark)
    stale = known.unknown(cases.values())
    if stale and [Path(path) for path in config.args] == [Path(__file__).parent]:
        raise pytest.UsageError(f"the list of known failures has cases that do not exist: {', '.join(sorted(stale))}")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Generator[None, None, None]:
    """Skip what is not for this run."""
    case = _case(item)
    item.stash[STEPS] = []
    item.user_properties += [("case", case.id), ("operations", " ".join(case.operations)), ("evidence", case.evidence)]
    reason = item.config.stash[TARGET].skip_reason(case)
    if reason is None and case.web_page and item.config.stash[RECORDER].is_there:
        reason = "calls as a web page does, which the recorder refuses: it holds real keys"
    if reason is not None:
        pytest.skip(reason)
    item.config.stash[RECORDER].begin(case.id, case.sentence)
    with _bounded(item):
        return (yield)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> None:
    """What comes from here on is clean-up, of which no case says anything."""
    item.config.stash[RECORDER].end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None, None, None]:
    """Skip what a client cannot do and what the budget does not allow; see that the operations were coverage."""
    with _bounded(item):
        coverage = OperationCoverage(_target_of(item))
        yield
        coverage.check(_case(item))


@contextmanager
def _bounded(item: pytest.Item) -> Iterator[None]:
    """End what takes too long, and skip what cannot be done."""
    try:
        with deadline(item.config.stash[TARGET].case_seconds):
            yield
    except DeadlineExceeded as reason:
        raise AssertionError(str(reason)) from reason
    except (Unsupported, BudgetExhausted) as reason:
        pytest.skip(str(reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note the verdict on each case."""
    report = yield
    if report.when == "call" or not report.passed:
        item.config.stash[REPORT].add(_case_result(item, report, call))
    return report


def _case_result(item: pytest.Item, report: pytest.TestReport, call: pytest.CallInfo[None]) -> CaseResult:
    case, client = _case(item), _client_of(item)
    error = call.excinfo.exconly(tryshort=True) if call.excinfo is not None else str(report.longrepr)
    reason, _, detail = error.removeprefix("Skipped: ").removeprefix("AssertionError: ").strip().partition("\n")
    if report.failed and call.excinfo is None:
        return CaseResult(case, client, "failed", "it passes, but is on the list of known failures")
    is_known = hasattr(report, "wasxfail")
    if not report.failed and not is_known:
        return CaseResult(case, client, report.outcome, "" if report.passed else reason)
    where, reason = _place(reason)
    if steps := item.stash.get(STEPS, []):
        where, detail = f"step {len(steps)} ({steps[-1].call})", steps[-1].outcome
    why = f"{report.wasxfail}: " if is_known else ""
    return CaseResult(case, client, "known" if is_known else "failed", why + reason, where, detail)


def _place(reason: str) -> tuple[str, str]:
    """The step that a case as data names at the beginning of its reason, and the rest."""
    where, found, rest = reason.partition(": ")
    return (where, rest) if found and where.startswith("step ") else ("", reason.removeprefix("Failed: "))


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Clean up, write the record, and fail a run that could not judge."""
    config = session.config
    target, clients, report = config.stash[TARGET], config.stash[CLIENTS], config.stash[REPORT]
    if report.results:
        report.left_behind = clean_up(target)
    path = config.stash[RECORD]
    if path is not None:
        record = json.dumps(report.record(clients.versions()), indent=1, ensure_ascii=False)
        path.write_text(f"{record}\n", "utf-8")
    if session.exitstatus == 0 and report.results and (target.budget.shortage or not report.has_passed):
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the table."""
    report = config.stash[REPORT]
    if report.results:
        terminalreporter.section("operations")
        for line in (*report.table(), "", *report.evidence()):
            terminalreporter.write_line(line)
        if failures := report.failures():
            terminalreporter.section("failures")
            for line in failures:
                terminalreporter.write_line(line)
        terminalreporter.section("not run")
        for line in config.stash[SELECTION].lines(report.results, config.stash[CLIENTS].missing()):
            terminalreporter.write_line(line)
        for reason in report.left_behind:
            terminalreporter.write_line(f"Not cleaned up: {reason}")
        if config.stash[TARGET].budget.shortage:
            terminalreporter.write_line(f"{config.stash[TARGET].budget.shortage}: the run is not complete.")


def pytest_unconfigure(config: pytest.Config) -> None:
    """Close the clients."""
    clients = config.stash.get(CLIENTS, None)
    if clients is not None:
        clients.close()


def _case(item: pytest.Item) -> Case:
    found = case_of(item)
    if found is None:
        raise pytest.UsageError(f"{item.nodeid} is no case: say what it shows, with @case(...)")
    return found


def _target_of(item: pytest.Item) -> Target:
    """The server as the test sees it: perhaps as a team of its own."""
    own: dict[str, Any] = getattr(item, "funcargs", {})
    return own.get("target") or item.config.stash[TARGET]


def _client_of(item: pytest.Item) -> str:
    """The name of the test's client; where there is none to run it with, no text."""
    parameters: dict[str, str] = item.callspec.params if hasattr(item, "callspec") else {}
    return parameters.get("client") or parameters["transport"]


# --- fixtures


@pytest.fixture
def target(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Target:
    """The server, with names of this test's own, and a team of its own where the test changes what a team has."""
    target = pytestconfig.stash[TARGET]
    target = replace(target, run_prefix=f"{target.run_prefix}{next(_numbers)}-", observed=ObservedObjects())
    alone = "transport" in request.fixturenames or request.node.get_closest_marker("own_team")
    is_own_team = _case(request.node).control and alone  # other clients have the keys of the run's team
    return as_team(target, target.run_prefix.rstrip("-")) if is_own_team else target


@pytest.fixture(scope="session")
def run(pytestconfig: pytest.Config) -> str:
    """How the names of everything this run makes begin."""
    return pytestconfig.stash[TARGET].run_prefix


@pytest.fixture(scope="session")
def writer(pytestconfig: pytest.Config) -> Client:
    """A client that can do everything, for what a test needs and is not about."""
    clients = pytestconfig.stash[CLIENTS]
    return instrumented(RestClient(clients.target, clients.transport("httpx")), clients.target.budget)


@pytest.fixture
def rest(request: pytest.FixtureRequest, pytestconfig: pytest.Config, target: Target) -> RestClient:
    """The REST API over the transport of the test, else beside another client; its calls are counted and recorded."""
    clients = pytestconfig.stash[CLIENTS]
    is_own = "transport" in request.fixturenames
    transport = request.getfixturevalue("transport") if is_own else clients.transport("httpx")
    steps = request.node.stash[STEPS]
    return cast(RestClient, instrumented(RestClient(target, transport), target.budget, steps, target.observed))


@pytest.fixture
def name(target: Target) -> str:
    """How the names of everything this test makes begin."""
    return target.run_prefix


@pytest.fixture
def client(request: pytest.FixtureRequest, pytestconfig: pytest.Config, target: Target) -> Iterator[Client]:
    """One client library; its calls are counted."""
    found = pytestconfig.stash[CLIENTS].get(request.param)
    is_own = target.api_key != pytestconfig.stash[TARGET].api_key
    if is_own:
        found = found.with_keys(target.api_key, target.management_key or "")
    yield instrumented(found, target.budget, request.node.stash[STEPS], target.observed)
    if is_own:
        found.close()


@pytest.fixture
def others(request: pytest.FixtureRequest, pytestconfig: pytest.Config, target: Target) -> list[Client]:
    """All client libraries."""
    clients, steps = pytestconfig.stash[CLIENTS], request.node.stash[STEPS]
    return [instrumented(clients.get(name), target.budget, steps, target.observed) for name in clients.versions()]


@pytest.fixture
def transport(request: pytest.FixtureRequest, pytestconfig: pytest.Config, target: Target) -> Transport:
    """One way to send HTTP requests."""
    return ObservedTransport(pytestconfig.stash[CLIENTS].transport(request.param), target.observed)
