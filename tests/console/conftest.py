"""A real browser for the tests of the console: Chromium, headless, where Playwright and a Chromium are at hand."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from emulator import Emulator
from tests.console.harness import BROWSERS, FLAGS, Console, found_browser, new_console, new_page

_teams = itertools.count(1)


# Not for more than a module: while Playwright runs, its event loop is in the way of asynchronous tests.
@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A browser for the tests of one module."""
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


@pytest.fixture(scope="module")
def page(browser: Any) -> Any:
    """A page for the tests of one module, one after the other: a new one takes a second of processor time to start."""
    return new_page(browser)


@pytest.fixture
def console(page: Any, emulator: Emulator) -> Iterator[Console]:
    """A page of a fresh team. The test fails if the browser complains, or asks anybody but the emulator."""
    console = new_console(page, emulator, f"team-{next(_teams)}")
    yield console
    console.close()
    assert console.external_requests == []
    assert console.problems == []
