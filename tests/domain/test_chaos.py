"""The text form of a chaos configuration, and its deterministic random decisions."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.domain.chaos import DEFAULT_FLAGS, OBSERVED, ChaosConfig, ChaosFlag, ChaosState, parse

DEFAULT = {"small_pages", "shuffled", "unknown_fields", "unknown_values", "lag", "drips", "rate_limits", "key_lag"}
WORDS = {
    *DEFAULT,
    *("json_chunk_content", "duplicate_matches", "sniffed_content_types"),
    *("token_does_not_advance", "delete_fails", "error_objects"),
}
seeds = st.text(st.characters(min_codepoint=32, max_codepoint=126, exclude_characters=":"), min_size=1, max_size=64)


@given(seeds.filter(lambda seed: seed != "off"), st.frozensets(st.sampled_from(ChaosFlag), min_size=1))
def test_config_as_text_parses_to_the_same_config(seed: str, flags: frozenset[ChaosFlag]) -> None:
    """The text has the seed, and the flags unless they are those of a seed alone."""
    config = ChaosConfig(seed, flags)
    assert parse(str(config)) == config
    assert (str(config) == seed) is (flags == DEFAULT_FLAGS)


def test_seed_alone_turns_on_what_the_documentation_allows() -> None:
    """What contradicts it has to be named; `off` turns chaos off."""
    assert {flag.word for flag in ChaosFlag} == WORDS
    assert {flag.word for flag in OBSERVED} == WORDS - DEFAULT
    assert parse("7") == parse(f"7:{','.join(DEFAULT)}") == ChaosConfig("7")
    assert parse(f"7:{','.join(WORDS)}") == ChaosConfig("7", frozenset(ChaosFlag))
    assert str(parse("7:lag,drips")) == "7:drips,lag"
    assert parse("off") is None
    assert parse("x" * 64) == ChaosConfig("x" * 64)


@pytest.mark.parametrize("text", ["", ":lag", "x" * 65, "é", "a\nb", "\x7f"])
def test_bad_seed_is_rejected(text: str) -> None:
    """A seed has 1 to 64 printable ASCII characters."""
    with pytest.raises(ValueError, match="a seed is needed"):
        parse(text)


@pytest.mark.parametrize(
    ("text", "word"), [("7:", ""), ("7:lag,", ""), ("7:lag,nap", "nap"), ("7:LAG", "LAG"), ("7:a:b", "a:b")]
)
def test_unknown_flag_is_rejected_by_name(text: str, word: str) -> None:
    """The error lists the known flags."""
    with pytest.raises(ValueError, match=f"unknown chaos flag '{word}'; known flags: ") as refused:
        parse(text)
    assert set(str(refused.value).partition("known flags: ")[2].split(", ")) == WORDS


def test_random_number_depends_on_seed_team_call_and_purpose() -> None:
    """The same four give the same number; a change of one gives another sequence; all sides come up."""

    def rolls(seed: str, team: str, purpose: str) -> list[int]:
        return [ChaosState(ChaosConfig(seed), team, calls=call).random(purpose, 6) for call in range(60)]

    one = rolls("7", "a", "lag")
    assert one == rolls("7", "a", "lag")
    assert set(one) == set(range(6))
    others = [rolls("8", "a", "lag"), rolls("7", "b", "lag"), rolls("7", "a", "drips"), one]
    assert len({tuple(other) for other in others}) == 4


def test_new_state_has_seen_no_call() -> None:
    """No call is counted, none rejected, no object hidden; the flags are those of the configuration."""
    one, other = (ChaosState(ChaosConfig("7", frozenset({ChaosFlag.LAG})), "a") for _ in range(2))
    assert (one.calls, one.rejected, one.hidden) == (0, -1, set())
    assert one.hidden is not other.hidden
    assert [flag for flag in ChaosFlag if one.has(flag)] == [ChaosFlag.LAG]
