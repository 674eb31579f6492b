"""Compare the verdicts of filter_grammar with the public test tables of other implementations of AIP-160.

    python -m tools.filter_conformance DIRECTORY

The directory is a checkout, or holds checkouts: every known table below it is read. A table says which filters its
implementation accepts. A difference is explained if it belongs to a class of CLASSES, which filter_grammar/README.md
gives the reasons for. Nothing of the tables is copied or kept.

The exit code is 1 if a difference is in no class, and 2 if there is no known table.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filter_grammar import FilterError, parse


@dataclass(frozen=True)
class Table:
    """Where an implementation has its table, and how a row of the Go source says whether a filter is accepted."""

    repository: str
    path: str  # how the path of the file ends
    filter: str  # the field of a row with the filter
    accepted: str  # a field that only rows of accepted filters have
    refused: str  # a field that only rows of refused filters have


TABLES = (
    Table("einride/aip-go", "filtering/parser_test.go", "filter", "expected", "errorContains"),
    Table("AndreiCocan/golang-aip", "filtering/parse_test.go", "filter", "want", "wantPos"),
    Table("luci/luci-go", "common/data/aip160/filter_parser_test.go", "input", "ast", "expectErr"),
)

# Classes of filters that others accept and this package refuses, recognised by its error.
CLASSES: dict[str, Callable[[FilterError], bool]] = {
    "bare literal": lambda error: "found only" in error.message,
    "function": lambda error: "found the function" in error.message or error.hint.startswith("there are no functions"),
    "string escape": lambda error: error.message.endswith(("quoted text", '"')) and "in a quoted text" in error.message,
    "value in parentheses": lambda error: error.hint.startswith(("write the value without", "compare with one value")),
    "keyword as a function name": lambda error: error.hint.startswith("put a blank after"),
    "blank after a minus": lambda error: error.hint.startswith("a minus touches"),
}

# Go source as far as tables need it: comments, strings, the names of fields, and braces.
_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|(?P<raw>`[^`]*`)|(?P<text>"(?:[^"\\\n]|\\.)*")|'(?:[^'\\\n]|\\.)+'"""
    r"""|(?P<field>\b[A-Za-z_]\w*)\s*:(?!=)|(?P<brace>[{}])""",
    re.DOTALL,
)
_ESCAPE = re.compile(rb"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_LETTERS = {b"a": b"\a", b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def read(source: str, table: Table) -> Iterator[tuple[str, bool]]:
    """Yield each filter of a table and whether it is accepted."""
    depth = 0
    rows: list[tuple[int, dict[str, str]]] = []  # the open composite literals, with their fields so far
    field = ""
    for token in _TOKEN.finditer(source):
        kind = token.lastgroup
        if token["brace"] == "{":
            depth += 1
            rows.append((depth, {}))
        elif token["brace"] == "}" and rows:
            depth -= 1
            _, fields = rows.pop()
            accepted, refused = table.accepted in fields, table.refused in fields
            if fields.get(table.filter) and accepted is not refused:
                yield _unquoted(fields[table.filter]), accepted
        elif kind == "field" and rows:
            field = token["field"]
            rows[-1][1].setdefault(field, "")
        elif kind in ("raw", "text") and rows and field in rows[-1][1]:
            rows[-1][1][field] = rows[-1][1][field] or token[0]


def _unquoted(literal: str) -> str:
    """The text of a Go string literal; bytes that are not UTF-8 become lone surrogates."""
    if literal.startswith("`"):
        return literal[1:-1].replace("\r", "")

    def character(match: re.Match[bytes]) -> bytes:
        byte, short, long, octal, letter = match.groups()
        if byte or octal:
            return bytes([int(byte, 16) if byte else int(octal, 8)])
        if short or long:
            return chr(int(short or long, 16)).encode()
        return _LETTERS.get(letter, letter)

    return _ESCAPE.sub(character, literal[1:-1].encode()).decode(errors="surrogateescape")


@dataclass(frozen=True)
class Report:
    """How the verdicts of one table compare."""

    filters: int
    classes: Counter[str]  # explained differences
    unexplained: list[str]

    def lines(self, title: str) -> Iterator[str]:
        """What is printed of it."""
        differ = self.classes.total() + len(self.unexplained)
        yield f"{title}: {self.filters} filters, {self.filters - differ} same verdicts, {differ} differences"
        for name, count in self.classes.most_common():
            yield f"  {count} {name}"
        for difference in self.unexplained:
            yield f"  UNEXPLAINED {difference}"


def compare(rows: Iterator[tuple[str, bool]]) -> Report:
    """Parse every filter, and class the differences."""
    filters, classes, unexplained = 0, Counter[str](), []
    for text, accepted in rows:
        filters += 1
        try:
            parse(text)
        except FilterError as error:
            if not accepted:
                continue
            name = next((name for name, fits in CLASSES.items() if fits(error)), None)
            if name is None:
                unexplained.append(f"{text!a} is refused here: {error.message} ({error.hint})")
            else:
                classes[name] += 1
        else:
            if not accepted:
                unexplained.append(f"{text!a} is accepted here only")
    return Report(filters, classes, unexplained)


def main(directory: Path) -> int:
    """Compare all tables below a directory, and print the differences."""
    reports = []
    for table in TABLES:
        for path in sorted(directory.rglob(table.path)):
            report = compare(read(path.read_text(encoding="utf-8"), table))
            if report.filters:
                reports.append(report)
                print("\n".join(report.lines(f"{table.repository}, {path.relative_to(directory)}")))
    if not reports:
        known = ", ".join(f"{table.path} of {table.repository}" for table in TABLES)
        print(f"There is no known table below {directory}: give a checkout with {known}.", file=sys.stderr)
        return 2
    return 1 if any(report.unexplained for report in reports) else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print("usage: python -m tools.filter_conformance DIRECTORY", file=sys.stderr)
        sys.exit(2)
    sys.exit(main(Path(sys.argv[1])))
