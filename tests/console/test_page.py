"""The page as the emulator serves it: complete, to itself, and only for those who may look."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest

from emulator import Emulator

FOLDER = Path(__file__).parents[2] / "emulator" / "control" / "console"
MODULES = sorted(FOLDER.rglob("*.js"))
IMPORT = re.compile(r"""^(?:import|export)\b[^"']*?from\s+["']([^"']+)["']""", re.MULTILINE)


def name(path: Path) -> str:
    """A file as the page knows it."""
    return path.relative_to(FOLDER).as_posix()


@pytest.mark.parametrize("path", sorted(each for each in FOLDER.rglob("*.*")), ids=name)
def test_console_files_are_served(control: httpx.Client, path: Path) -> None:
    """What lies in the folder of the page is what a browser gets, with its type and under the policy of the page."""
    reply = control.get("/" if path.name == "index.html" else f"/console/{name(path)}")
    assert reply.status_code == 200
    assert reply.content == path.read_bytes()
    assert reply.headers["x-content-type-options"] == "nosniff"
    policy = reply.headers["content-security-policy"]
    assert policy.startswith("default-src 'self'")
    assert "unsafe" not in policy


FONTS = sorted(FOLDER.glob("fonts/*.woff2"))
SUBSET = re.compile(r"U\+([0-9A-F]+)(?:-([0-9A-F]+))?")


@pytest.mark.parametrize("path", FONTS, ids=name)
def test_font_is_kept_by_browsers_and_is_small(control: httpx.Client, path: Path) -> None:
    """A font is not asked for again with every page; the code of the page is."""
    reply = control.get(f"/console/{name(path)}")
    assert reply.headers["content-type"] == "font/woff2"
    assert reply.headers["cache-control"] == "max-age=604800"
    assert control.get("/console/main.js").headers["cache-control"] == "no-cache"
    assert sum(each.stat().st_size for each in FONTS) < 60 * 1024


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.svg")), ids=name)
def test_icon_is_kept_by_browsers(control: httpx.Client, path: Path) -> None:
    """A browser asks for the icon of the page whenever the address changes: with every panel that is opened."""
    assert control.get(f"/console/{name(path)}").headers["cache-control"] == "max-age=604800"


def test_fonts_have_every_character_of_the_page() -> None:
    """What the page itself says can be drawn with the subset that its fonts were cut to."""
    style = (FOLDER / "console.css").read_text("utf-8")
    ranges = [(int(low, 16), int(high or low, 16)) for low, high in SUBSET.findall(style)]
    written = {letter for path in (*MODULES, FOLDER / "index.html") for letter in path.read_text("utf-8")} - {"\n"}
    assert len(ranges) > 5
    assert {each for each in written if not any(low <= ord(each) <= high for low, high in ranges)} == set()


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_import_local_files_only(path: Path) -> None:
    """A module imports files of this folder and nothing from a network."""
    head = re.split(r"^(?:export|const|/\*\*)", path.read_text(), maxsplit=1, flags=re.MULTILINE)[0]
    for target in IMPORT.findall(head):
        assert target.startswith("."), target
        assert (path.parent / target).resolve().is_relative_to(FOLDER), target
        assert (path.parent / target).is_file(), target


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_modules_use_what_they_import(path: Path) -> None:
    """No import is left over."""
    text = path.read_text()
    for names in re.findall(r"^import \{([^}]*)\} from", text, re.MULTILINE):
        for imported in re.findall(r"(\w+)\s*(?:,|$)", names):
            assert len(re.findall(rf"\b{imported}\b", text)) > 1, imported


@pytest.mark.parametrize("path", MODULES, ids=name)
def test_texts_never_become_markup(path: Path) -> None:
    """No module has a way to turn a text into elements or code, not even a safe one."""
    found = re.search(
        r"(inner|outer|Adjacent)HTML|document\.write|Fragment|Parser|\beval\(|Function\(", path.read_text()
    )
    assert not found, found


def test_browser_at_root_is_redirected_to_page(rest: httpx.Client) -> None:
    """A browser that opens / is redirected to the console; an API client gets 404 there."""
    browser = rest.get("/", headers={"accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/_emulator/")
    assert rest.get("/_emulator").headers["location"] == "/_emulator/"
    assert rest.get("/", headers={"accept": "*/*"}).status_code == 404


@pytest.mark.parametrize("path", ["/console/", "/console/nothing.js", "/console/../page.py", "/console/%2e%2e/page.py"])
def test_other_console_paths_are_not_served(emulator: Emulator, path: str) -> None:
    """Only the files of the page can be asked for."""
    reply = httpx.get(f"{emulator.url}/_emulator{path}")
    assert reply.status_code == 404
    assert reply.json()["error"].startswith("there is no control path")


def test_console_under_rebound_host_is_refused(control: httpx.Client) -> None:
    """The page is as guarded as the control plane it asks."""
    assert control.get("/", headers={"host": "evil.example"}).status_code == 403


def test_head_tells_of_the_page(control: httpx.Client) -> None:
    """HEAD has the headers of GET and no body."""
    head, get = control.head("/"), control.get("/")
    assert head.content == b""
    assert head.headers["content-length"] == get.headers["content-length"]


def test_console_refuses_post(control: httpx.Client) -> None:
    """A form cannot be posted to it."""
    assert control.post("/").status_code == 404
