"""What the tests of the console have in hand: a page of one team, and clients of that team that act from outside."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from emulator import Emulator
from tests.serving import PATIENCE_SECONDS

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Nothing but the page under test goes over the network, and no sandbox is made inside of a container.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PATIENCE_MS = PATIENCE_SECONDS * 1000
WIDE, NARROW = {"width": 1280, "height": 832}, {"width": 360, "height": 740}
PANELS = (
    "start",
    "files",
    "collections",
    "search",
    "chat",
    "batches",
    "journal",
    "faults",
    "clock",
    "snapshots",
    "keys",
    "limits",
    "settings",
)


def found_browser() -> str | None:
    """The path of a Chromium, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


@dataclass
class Console:
    """The console of one team: its page, and a client of the same team that acts from outside."""

    emulator: Emulator
    url: str
    team: str
    page: Any
    rest: httpx.Client  # with the inference key
    management: httpx.Client
    ids: dict[str, str] = field(default_factory=dict)  # of what it was furnished with
    problems: list[str] = field(default_factory=list)  # what the browser complained of
    external_requests: list[str] = field(default_factory=list)  # requests that went elsewhere

    @contextmanager
    def attached(self, size: dict[str, int] | None = WIDE) -> Iterator[Console]:
        """Use the page for one test, in a viewport of this size, or of the last one.

        Fails if the browser complains, or asks anybody but the emulator. The page stays where it is: the next test
        goes to an address of its own.
        """
        listeners: dict[str, Callable[[Any], None]] = {
            "pageerror": lambda error: self.problems.append(str(error)),
            "console": lambda message: _note(self, message),
            "request": lambda request: _look_at(self, request.url),
        }
        for event, listener in listeners.items():
            self.page.on(event, listener)
        if size is not None and self.page.viewport_size != size:
            self.page.set_viewport_size(size)
        try:
            yield self
        finally:
            for event, listener in listeners.items():
                self.page.remove_listener(event, listener)
            if self.page.url.startswith(self.url):
                self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
            self.page.emulate_media(color_scheme="light")
        assert self.external_requests == []
        assert self.problems == []

    def open(self, address: str = "") -> Any:
        """Open the page at an address below `#/`; the page."""
        self.page.goto(f"{self.url}/_emulator/?team={self.team}#/{address}")
        return self.page

    def close(self) -> None:
        """Close the clients."""
        self.rest.close()
        self.management.close()

    def control(self, method: str, path: str, **options: Any) -> Any:
        """A control call of the team; its JSON."""
        options["params"] = {**options.get("params", {}), "team": self.team}
        reply = httpx.request(method, f"{self.url}/_emulator{path}", **options)
        assert reply.status_code == 200, reply.text
        return reply.json()

    def configure(self, **settings: Any) -> None:
        """Give the team settings of its own."""
        self.control("GET", "/clock")  # a team is made when it is first named
        reply = httpx.patch(f"{self.url}/_emulator/teams/{self.team}", json=settings)
        assert reply.status_code == 200, reply.text

    def upload(self, name: str, content: bytes = b"Some text.", **fields: str) -> str:
        """A file of the team, uploaded from outside; its id."""
        reply = self.rest.post("/files", data=fields, files={"file": (name, content)})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["id"])

    def collection(self, name: str = "papers", **fields: Any) -> str:
        """A collection of the team, made from outside; its id."""
        reply = self.management.post("/collections", json={"collection_name": name, **fields})
        assert reply.status_code == 200, reply.text
        return str(reply.json()["collection_id"])

    def document(self, collection_id: str, name: str, text: str, **fields: str) -> str:
        """A document of a collection, added from outside; the id of its file."""
        file_id = self.upload(name, text.encode())
        reply = self.management.post(f"/collections/{collection_id}/documents/{file_id}", json={"fields": fields})
        assert reply.status_code == 200, reply.text
        return file_id


def expect(locator: Any) -> Any:
    """Playwright's assertions, which wait; on a busy machine for long."""
    from playwright.sync_api import expect as waiting

    waiting.set_options(timeout=PATIENCE_MS)
    return waiting(locator)


def new_page(browser: Any) -> Any:
    """A page in a context of its own."""
    page = browser.new_context(viewport=WIDE, reduced_motion="reduce").new_page()
    page.set_default_timeout(PATIENCE_MS)
    return page


def new_console(page: Any, emulator: Emulator, team: str) -> Console:
    """The console of a team, to be attached to a page."""
    rest, management = (
        httpx.Client(base_url=emulator.base_url, headers={"authorization": f"Bearer {key}@{team}"})
        for key in (emulator.api_key, emulator.management_key)
    )
    return Console(emulator, emulator.url, team, page, rest, management)


def _note(console: Console, message: Any) -> None:
    # Chromium reports each refused call; whether a call is refused is for the tests to say.
    if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
        console.problems.append(message.text)


def _look_at(console: Console, url: str) -> None:
    if not url.startswith((f"{console.url}/", f"blob:{console.url}/", "data:")):
        console.external_requests.append(url)
