"""The site of the documentation: its order, and what it makes of the pages. `make site` builds it and checks links."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tools.site import on_page_markdown, overview

ROOT = Path(__file__).parents[2]
NAV = re.findall(r"([\w-]+\.md)", (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2])


def test_every_page_is_in_the_navigation_once() -> None:
    """A page that is missing there could not be found."""
    assert sorted(NAV) == sorted(page.name for page in (ROOT / "docs").glob("*.md"))


def test_navigation_begins_with_what_newcomers_need() -> None:
    """Install, first hour, clients, testing, RAG, recordings, reference, fidelity."""
    order = ["index", "install", "first-hour", "clients", "testing-with-pytest", "rag", "recordings", "reference"]
    places = [NAV.index(f"{page}.md") for page in [*order, "fidelity"]]
    assert places == sorted(places)


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("see the [image](../Dockerfile).", "see the image (`Dockerfile` in the repository)."),
        ("[a](../contract_tests/README.md) b", "a (`contract_tests/README.md` in the repository) b"),
        ("[clients](clients.md#node)", "[clients](clients.md#node)"),
    ],
)
def test_links_out_of_docs_become_names_of_files(written: str, shown: str) -> None:
    """The site does not have those files."""
    assert on_page_markdown(written) == shown


def test_overview_has_title_summary_and_line_for_each_page() -> None:
    """In the form of llmstxt.org."""
    text = overview(ROOT / "docs", NAV)
    assert text.startswith("# xai-emulator\n\n> A local emulator of xAI's Files")
    lines = re.findall(r"^- \[[^\]]+\]\(([\w-]+)\.html\): \S.*$", text, re.MULTILINE)
    assert [f"{page}.md" for page in lines] == NAV[1:]
    assert "](../" not in text
