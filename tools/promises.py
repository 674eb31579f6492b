"""Writes the tables of docs/reliability.md from the tests that show what is promised: `python -m tools.promises`.

A table stands between markers that name a file below tests/ or, after a colon, some of its tests. A row is the
docstring of a test and its name.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from tools.reference import table

ROOT = Path(__file__).parent.parent
TESTS = ROOT / "tests"
PAGE = ROOT / "docs" / "reliability.md"
_MARKED = re.compile(r"<!-- (?P<file>[\w/]+\.py)(?P<names>: [\w ]+)? -->\n.*?<!-- / -->", re.DOTALL)


def render(text: str) -> str:
    """The page with its tables generated again."""
    return _MARKED.sub(lambda found: "\n".join((found[0].partition("\n")[0], *_table(found), "<!-- / -->")), text)


def sentences(file: str) -> dict[str, str]:
    """What each test of a file proves, by its name."""
    found = ast.parse((TESTS / file).read_text("utf-8")).body
    functions = [node for node in found if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {node.name: _sentence(node) for node in functions if node.name.startswith("test_")}


def _sentence(test: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    return " ".join(inspect.cleandoc(ast.get_docstring(test) or "").split())


def _table(found: re.Match[str]) -> Iterator[str]:
    file, tests = found["file"], sentences(found["file"])
    names = found["names"].split()[1:] if found["names"] else list(tests)
    rows = [(tests[name], f"`{file.removeprefix('reliability/')}::{name}`") for name in names]
    yield from list(table(("Promise", "Shown by"), rows))[:-1]


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
    print(f"wrote {PAGE}")
