"""How a filter is rendered from its tree."""

import pytest

from filter_grammar import parse, render


@pytest.mark.parametrize(
    ("text", "rendered"),
    [
        ("a=b", 'a = "b"'),
        ("a : b", 'a:"b"'),
        ("a:!1", "NOT a:1"),
        ("-(a=1 b=2)", "NOT (a = 1 AND b = 2)"),
        ("NOT (NOT a=null)", "NOT (NOT a = null)"),
        ("a:1..9", "a >= 1 AND a <= 9"),
        ("a=1 b=2 OR c:*", "a = 1 AND (b = 2 OR c:*)"),
        ("'a b'.c='d\"'", r'"a b".c = "d\""'),
        (" ", ""),
    ],
)
def test_rendered_filter_has_no_needless_blanks_or_parentheses(text, rendered):
    """With the blanks, quotes and parentheses that help to read it, and no others."""
    assert render(parse(text)) == rendered
