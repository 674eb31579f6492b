"""Tables of other implementations are read in their formats, and differences are classed."""

from __future__ import annotations

from pathlib import Path

import pytest

from filter_grammar import FilterError, parse
from tests.filter_grammar.test_readme import rows
from tools.filter_conformance import CLASSES, TABLES, main

# Tables of our own making, in the formats of the three implementations.
SOURCES = {
    "filtering/parser_test.go": r"""
func TestParser(t *testing.T) {
	for _, tt := range []struct {
		filter        string
		expected      *expr.Expr
		errorContains string
	}{
		{
			filter:   "cat dog",
			expected: Sequence(Text("cat"), Text("dog")),
		},
		// {filter: "commented = (", expected: Text("out")},
		{filter: `a = "\303\277"`, expected: Equals(Text("a"), String("\303\277"))}, /* {filter: "x ==", expected: 1} */
		{filter: "a = \"// no comment }\"", expected: Equals(Text("a"), String("x"))},
		{filter: "a = b\xa0", errorContains: "invalid UTF-8"},
		{filter: `
			a = 1 AND
			b = f(x)
		`, expected: And(nested{filter: "not ( a row"})},
		{filter: `a >= (5)`, expected: G(Text("a"), 5)},
	} {
		t.Run(tt.filter, func(t *testing.T) { use(struct{ filter: "a =" }) })
	}
}
""",
    "filtering/parse_test.go": r"""
	{name: "empty", filter: "", want: &ast.Filter{}},
	{name: "keyword", filter: "a = 1 AND(b = 2)", want: one(member(txt("a")))},
	{name: "open", filter: "(a = 1", wantPos: 6},
""",
    "common/data/aip160/filter_parser_test.go": r"""
	{input: ") not a row", kind: kindRParen, value: ")"},
	{input: "a<\u0031", ast: "filter{expression{\"a\"}}"},
	{input: "- a = 1", ast: "filter{}"},
	{input: "a!1", expectErr: true},
""",
}


def checkout(directory: Path, was: str = "", is_now: str = "") -> Path:
    """Write the tables below a directory, one filter replaced, and return it."""
    for path, source in SOURCES.items():
        (directory / "clone" / path).parent.mkdir(parents=True, exist_ok=True)
        (directory / "clone" / path).write_text(source.replace(was, is_now) if was else source)
    return directory


def test_tables_are_read_and_differences_are_counted_by_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(checkout(tmp_path)) == 0
    assert capsys.readouterr().out.splitlines() == [
        "einride/aip-go, clone/filtering/parser_test.go: 6 filters, 2 same verdicts, 4 differences",
        "  1 bare literal",
        "  1 string escape",
        "  1 function",
        "  1 value in parentheses",
        "AndreiCocan/golang-aip, clone/filtering/parse_test.go: 3 filters, 2 same verdicts, 1 differences",
        "  1 keyword as a function name",
        "luci/luci-go, clone/common/data/aip160/filter_parser_test.go: 3 filters, 2 same verdicts, 1 differences",
        "  1 blank after a minus",
    ]


@pytest.mark.parametrize(
    ("was", "is_now", "difference"),
    [
        ("a!1", "a=1", "'a=1' is accepted here only"),
        ("- a = 1", "a == 1", "'a == 1' is refused here: expected a value, found \"=\" (equality is a single =)"),
    ],
)
def test_difference_in_no_class_is_named_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], was: str, is_now: str, difference: str
) -> None:
    assert main(checkout(tmp_path, was, is_now)) == 1
    assert f"  UNEXPLAINED {difference}\n" in capsys.readouterr().out


def test_directory_without_a_known_table_exits_with_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "filtering").mkdir()
    (tmp_path / "filtering" / "parser_test.go").write_text("package filtering\n")
    assert main(tmp_path) == 2
    [sentence] = capsys.readouterr().err.splitlines()
    assert sentence.startswith("There is no known table below ")
    assert all(table.repository in sentence for table in TABLES)


def test_readme_has_each_class_with_a_filter_of_it() -> None:
    table = {row[0]: row[1] for row in rows("Class", "Filter")}
    assert list(table) == list(CLASSES)
    for name, text in table.items():
        with pytest.raises(FilterError) as caught:
            parse(text)
        assert [each for each, fits in CLASSES.items() if fits(caught.value)] == [name]
