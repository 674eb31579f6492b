"""The picture in the README, taken of the sample documents; PICTURE=docs/console.png writes it again."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

from emulator import Emulator
from emulator.runtime.demo import documents
from tests.console.harness import expect, new_console

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / "docs" / "console.png"
SIZE = {"width": 1200, "height": 760}
BYTES_MAX = 200_000
QUERY = "which train goes to Venice at night?"


def size_of(png: bytes) -> tuple[int, int]:
    """Width and height of a PNG, as its header says."""
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def test_screenshot_has_size_of_search_panel(page: Any, tmp_path: Path) -> None:
    """The search panel with the sample documents can be photographed, and the picture at hand is of that size."""
    target = Path(os.environ.get("PICTURE", tmp_path / "console.png"))
    with Emulator() as emulator:
        console = new_console(page, emulator, "default")
        collection = console.collection("library", field_definitions=[{"key": "category"}, {"key": "year"}])
        for each in documents():
            console.document(collection, each["name"], each["text"], **each["fields"])
        console.control("POST", "/faults", json={"operation": "files.list", "error": "unavailable"})
        console.control("POST", "/clock/freeze", json={"at": "2026-04-09T14:03:00Z"})
        with console.attached(SIZE):
            console.open(f"search?q={QUERY}&collection={collection}&limit=3")
            expect(page.get_by_role("article")).to_have_count(3)
            expect(page.get_by_role("article").first).to_contain_text("night-train.txt")
            page.screenshot(path=target, animations="disabled")
        page.goto("about:blank")
        console.close()
    assert size_of(target.read_bytes()) == size_of(PICTURE.read_bytes()) == (SIZE["width"], SIZE["height"])
    assert PICTURE.stat().st_size <= BYTES_MAX


def test_readme_shows_screenshot() -> None:
    """Who looks rather than reads sees the console on the first screen of the README."""
    first_screen = (ROOT / "README.md").read_text("utf-8").splitlines()[:40]
    assert any("docs/console.png" in line for line in first_screen)
