"""How hostile mode is written down, and when its traps snap shut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.hostility import Hostility, Mischief, Switch, parse

WORDS = {"small_pages", "shuffled", "unknown_fields", "unknown_values", "lag", "drips", "rate_limits"}
seeds = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=64)


@given(seeds.filter(lambda seed: seed != "off"), st.frozensets(st.sampled_from(Switch), min_size=1))
def test_what_is_written_down_is_read_again(seed: str, switches: frozenset[Switch]) -> None:
    """A seed, and the names of the switches unless all of them are on."""
    hostility = Hostility(seed, switches)
    assert parse(str(hostility)) == hostility
    assert (str(hostility) == seed) is (switches == frozenset(Switch))


def test_every_switch_has_a_word() -> None:
    """All are on unless some are named; `off` is none of them."""
    assert {switch.word for switch in Switch} == WORDS
    assert parse("7") == parse(f"7:{','.join(WORDS)}") == Hostility("7", frozenset(Switch))
    assert str(parse("7:lag,drips")) == "7:drips,lag"
    assert parse("off") is None
    assert parse("x" * 64) == Hostility("x" * 64)


@pytest.mark.parametrize("text", ["", ":lag", "x" * 65, "é", "a\nb", "\x7f"])
def test_a_seed_is_a_short_word(text: str) -> None:
    """From 1 to 64 printable characters of ASCII."""
    with pytest.raises(ValueError, match="a seed is needed"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "word"), [("7:", ""), ("7:lag,", ""), ("7:lag,nap", "nap"), ("7:LAG", "LAG"), ("7:a:b", "a:b")]
)
def test_an_unknown_switch_is_named(text: str, word: str) -> None:
    """With those that are known."""
    with pytest.raises(ValueError, match=f"there is no switch '{word}'; known are ") as refused:
        parse(text)
    assert set(str(refused.value).partition("known are ")[2].split(", ")) == WORDS


def test_chance_depends_on_seed_team_call_and_purpose() -> None:
    """The same four give the same number, and each of them another one; all sides come up."""

    def rolls(seed: str, team: str, purpose: str) -> list[int]:
        return [Mischief(Hostility(seed), team, calls=call).roll(purpose, 6) for call in range(60)]

    one = rolls("7", "a", "lag")
    assert one == rolls("7", "a", "lag")
    assert set(one) == set(range(6))
    others = [rolls("8", "a", "lag"), rolls("7", "b", "lag"), rolls("7", "a", "drips"), one]
    assert len({tuple(other) for other in others}) == 4


def test_mischief_begins_with_nothing() -> None:
    """No call is seen, none refused and nothing hidden; the traps are those that were set."""
    one, other = (Mischief(Hostility("7", frozenset({Switch.LAG})), "a") for _ in range(2))
    assert (one.calls, one.refused, one.hidden) == (0, -1, set())
    assert one.hidden is not other.hidden
    assert [switch for switch in Switch if one.has(switch)] == [Switch.LAG]
