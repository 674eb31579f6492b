"""Which chunk configurations cut a text, and how their members are called."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from xai_sdk.proto import types_pb2

from emulator.domain.chunk_configurations import (
    DEFAULT_ENCODING,
    STRATEGIES,
    ChunkConfiguration,
    ConfigurationError,
    Strategy,
    check,
    wire_key,
)

# Collections reference: what each strategy counts, and those that have no overlap.
UNITS = {"chars": "chars", "bytes": "bytes", "tokens": "tokens", "table": "tokens", "ast": "tokens"}
WITHOUT_OVERLAP = {Strategy.TABLE, Strategy.AST}


def unit(strategy: Strategy) -> str:
    """What the last word of a strategy's name says that it counts."""
    return UNITS[strategy.value.rpartition("_")[2]]


@pytest.mark.parametrize("strategy", Strategy)
def test_strategy_members_are_named_after_counted_unit(strategy: Strategy) -> None:
    """A size, an overlap unless there is none, and an encoding where tokens are counted."""
    counted = unit(strategy)
    expected = [f"max_chunk_size_{counted}", f"chunk_overlap_{counted}", "encoding_name"]
    if strategy in WITHOUT_OVERLAP:
        del expected[1]
    if counted != "tokens":
        expected.remove("encoding_name")
    assert list(STRATEGIES[strategy].fields) == expected
    assert STRATEGIES[strategy].deprecated is (strategy is Strategy.AST)


@pytest.mark.parametrize("strategy", [Strategy.CHARS, Strategy.TOKENS, Strategy.BYTES])
def test_strategy_members_equal_proto_fields(strategy: Strategy) -> None:
    """In their order, for the strategies that have messages."""
    field = types_pb2.ChunkConfiguration.DESCRIPTOR.fields_by_name[wire_key(strategy)]
    assert list(STRATEGIES[strategy].fields) == [member.name for member in field.message_type.fields]


@given(st.sampled_from(Strategy), st.integers(-1, 4), st.integers(-1, 4), st.sampled_from([None, "gpt2", "", "gpt3"]))
@example(Strategy.BYTES, 1, 0, None)
@example(Strategy.TABLE, 2, 0, "gpt2")
def test_invalid_chunk_configuration_is_refused(
    strategy: Strategy, size: int, overlap: int, encoding: str | None
) -> None:
    """A size from 1 on, an overlap from 0 on that is smaller, and a known encoding exactly where tokens are counted."""
    counted = unit(strategy)
    wrong = [f"max_chunk_size_{counted}"] if size < 1 else []
    if overlap < 0 or overlap >= size or (overlap and strategy in WITHOUT_OVERLAP):
        wrong.append(f"chunk_overlap_{counted}")
    if encoding != ("gpt2" if counted == "tokens" else None):
        wrong.append("encoding_name")
    configuration = ChunkConfiguration(strategy, size, overlap, encoding)
    if not wrong:
        check(configuration)
        return
    with pytest.raises(ConfigurationError) as refused:
        check(configuration)
    assert refused.value.field == wrong[0]
    assert refused.value.field in str(refused.value) == refused.value.sentence


@pytest.mark.parametrize(
    "name", ["o200k_base", "o200k_harmony", "cl100k_base", "p50k_base", "p50k_edit", "r50k_base", "gpt2"]
)
def test_tiktoken_encodings_are_accepted(name: str) -> None:
    """Each can be named, in this spelling."""
    check(ChunkConfiguration(Strategy.TOKENS, encoding_name=name))
    with pytest.raises(ConfigurationError, match=name):
        check(ChunkConfiguration(Strategy.TOKENS, encoding_name=name.upper()))


def test_default_encoding_is_that_of_documented_examples() -> None:
    """Of the Collections reference."""
    assert DEFAULT_ENCODING == "o200k_base"
    check(ChunkConfiguration(Strategy.TOKENS, encoding_name=DEFAULT_ENCODING))


def test_without_a_configuration_a_text_is_cut_by_bytes() -> None:
    """Into 4000, 800 of which are in the next chunk too, without blanks round it and without a name (observed live)."""
    assert ChunkConfiguration() == ChunkConfiguration(Strategy.BYTES, 4000, 800, None, True, False)
