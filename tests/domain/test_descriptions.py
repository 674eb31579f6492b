"""The stand-in for a written description."""

from __future__ import annotations

import pytest

from emulator.domain.descriptions import describe


@pytest.mark.parametrize(
    ("count", "names", "texts", "expected"),
    [
        (1, ["a.txt"], ["Revenue revenue growth"], "1 document (a.txt) about revenue and growth."),
        (4, ["a", "b", "c", "d"], ["1 2 3"], "4 documents (a, b, c, …)."),
        (3, ["a", "b", "c"], ["this that with from"], "3 documents (a, b, c)."),
        (2, [], ["Revenue"], "2 documents about revenue."),
        (
            2,
            ["a"],
            ["zwei drei vier fünf sechs sieben acht neun"],
            "2 documents (a) about acht, drei, fünf, neun, sechs and sieben.",
        ),
    ],
)
def test_description_names_documents_and_frequent_words(
    count: int, names: list[str], texts: list[str], expected: str
) -> None:
    """Frequent words come first, equally frequent ones by the alphabet; short and common words are left out."""
    assert describe(count, names, texts) == expected
