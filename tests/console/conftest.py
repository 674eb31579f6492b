"""A real browser for the tests of the console: Chromium, headless, where Playwright and a Chromium are at hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from emulator import Emulator
from emulator.control.page import CACHED
from tests.console.harness import BROWSERS, FLAGS, Console, found_browser, new_console, new_page

_teams = itertools.count(1)


@pytest.fixture(scope="package")
def emulator() -> Iterator[Emulator]:
    """One emulator for all tests of the console, each with a team of its own: a browser knows its address already."""
    with Emulator() as running:
        yield running


# Not for more than the package: while Playwright runs, its event loop is in the way of asynchronous tests.
@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """A browser, which takes three seconds of processor time to start."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed (pip install playwright)"
    )
    path = found_browser()
    if path is None:
        pytest.skip(f"there is no browser here: none of {', '.join(BROWSERS)} is on PATH")
    with playwright.sync_playwright() as started:
        chromium = started.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def page(browser: Any, emulator: Emulator) -> Iterator[Any]:
    """A page for one test after the other: a new one takes a second of processor time to start."""
    page = new_page(browser)
    yield page
    page.goto("about:blank")  # no call of the page is under way when the emulator stops


@pytest.fixture(autouse=True)
def files_kept_by_browser(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the browser ask for the modules of the page once: to ask again for all of them is half of a page load."""
    if "browser" in request.fixturenames:
        for suffix in (".js", ".css"):
            monkeypatch.setitem(CACHED, suffix, "max-age=3600")


@pytest.fixture
def console(page: Any, emulator: Emulator) -> Iterator[Console]:
    """A page of a fresh team. The test fails if the browser complains, or asks anybody but the emulator."""
    console = new_console(page, emulator, f"team-{next(_teams)}")
    with console.attached():
        yield console
    console.close()
