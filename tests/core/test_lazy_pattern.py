"""Patterns that are compiled at their first use."""

from __future__ import annotations

import re

import pytest

from emulator.core.lazy_pattern import lazy_pattern


def test_pattern_is_compiled_at_first_use_and_then_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A method is looked up once; the text of a pattern is there without compiling it."""
    compiled: list[str | bytes] = []
    compile_pattern = re.compile

    def noting(pattern: str, flags: int = 0) -> re.Pattern[str]:
        compiled.append(pattern)
        return compile_pattern(pattern, flags)

    monkeypatch.setattr(re, "compile", noting)
    word = lazy_pattern(r"[a-z]+", re.IGNORECASE)
    assert (word.pattern, word.flags) == ("[a-z]+", re.IGNORECASE)
    assert compiled == []
    assert [word.fullmatch(text) is not None for text in ("Word", "two words")] == [True, False]
    assert compiled == ["[a-z]+"]
    assert word.findall("two Words") == ["two", "Words"]


def test_bad_pattern_raises_at_first_use() -> None:
    """`re.compile` would raise at once."""
    broken = lazy_pattern("(")
    with pytest.raises(re.error):
        broken.match("x")
