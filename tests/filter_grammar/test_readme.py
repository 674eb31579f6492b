"""The README is what it says: every example runs, and every hint of the code has its row."""

import doctest
import json
import re
from pathlib import Path

import pytest

import filter_grammar
from filter_grammar import Field, Fields, FilterError, Matching, check, matches, parse, to_sexpr
from filter_grammar.hints import BLANK, HINTS, OTHERWISE, UNCLOSED

README = Path(filter_grammar.__file__).with_name("README.md")
TEXT = README.read_text(encoding="utf-8")


def rows(*header: str) -> list[list[str]]:
    """The rows of every table of the page whose header begins like this, without the backticks of code."""
    found = []
    for table in re.findall(r"(?:^\|.*\n)+", TEXT, re.MULTILINE):
        lines = [re.split(r"(?<!\\)\|", line)[1:-1] for line in table.splitlines()]
        cells = [[re.sub(r"^`(.*)`$", r"\1", cell.strip()).replace(r"\|", "|") for cell in line] for line in lines]
        if tuple(cells[0][: len(header)]) == header:
            found += cells[2:]
    assert found, header
    return found


def test_readme_examples_print_what_they_show():
    """Every >>> example of the README prints what stands under it."""
    results = doctest.testfile(str(README), module_relative=False, encoding="utf-8")
    assert results.attempted > 5
    assert results.failed == 0


@pytest.mark.parametrize("row", rows("Filter", "Tree"), ids=lambda row: row[0])
def test_readme_trees_are_parsed_trees(row):
    """A filter of the README parses to the tree beside it."""
    assert to_sexpr(parse(row[0])) == row[1]


@pytest.mark.parametrize("row", rows("Filter", "Metadata", "Matches"), ids=lambda row: " ".join(row[:2]))
def test_readme_matches_are_evaluated(row):
    """A filter of the README matches the metadata beside it, or does not, as it says."""
    assert matches(parse(row[0]), json.loads(row[1])) is {"yes": True, "no": False}[row[2]]


@pytest.mark.parametrize("row", rows("Matching", "Filter", "Value"), ids=lambda row: " ".join(row[:3]))
def test_readme_matching_kinds_are_evaluated(row):
    """A declared text matches as the README says of its `Matching`."""
    matching, text, value, verdict = row
    checked = check(parse(text), Fields(Field("field", matching=Matching[matching])))
    assert checked.matches({"field": value}) is {"yes": True, "no": False}[verdict]


def test_readme_hints_are_those_of_the_code():
    """The table of refused filters is the table of hints of the code, row by row, as the errors give them."""
    table = [(row[0], row[1]) for row in rows("Filter", "Hint")]
    assert table == [(hint.example, hint_of(hint.example)) for hint in (*HINTS, UNCLOSED, BLANK, OTHERWISE)]


def hint_of(text: str) -> str:
    """The hint that the error for a filter gives."""
    with pytest.raises(FilterError) as caught:
        parse(text)
    return caught.value.hint
