"""docs/reliability.md names the tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent.parent / "docs" / "reliability.md"


def present() -> set[str]:
    """Every test of this folder, as FILE::NAME."""
    return {
        f"{path.name}::{node.name}"
        for path in HERE.glob("test_*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def test_every_test_is_named_and_every_name_is_a_test() -> None:
    """A promise without a test, or a test without a promise, is a mistake."""
    assert set(re.findall(r"`(test_\w+\.py::test_\w+)`", PAGE.read_text("utf-8"))) == present()
