"""docs/reliability.md says what its tests say."""

from __future__ import annotations

import re
from pathlib import Path

from tools.promises import PAGE, render, sentences

HERE = Path(__file__).parent


def test_page_lists_tests_with_their_docstrings() -> None:
    """Every test of the folder `reliability` is on the page, each with its docstring, and every name is a test."""
    text = PAGE.read_text("utf-8")
    assert render(text) == text, "run `make docs`"
    present = {
        f"{path.name}::{name}" for path in HERE.glob("test_*.py") for name in sentences(f"reliability/{path.name}")
    }
    assert present <= set(re.findall(r"`(\w+\.py::test_\w+)`", text))
