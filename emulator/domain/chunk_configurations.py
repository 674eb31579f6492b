"""Chunk configurations of collections: the documented strategies as one table, and their validation."""

from __future__ import annotations

import enum

import msgspec

# The encodings that tiktoken publishes; the Collections reference uses o200k_base in its examples.
ENCODINGS = ("o200k_base", "o200k_harmony", "cl100k_base", "p50k_base", "p50k_edit", "r50k_base", "gpt2")
DEFAULT_ENCODING = "o200k_base"


class Unit(enum.StrEnum):
    """The unit of the size and the overlap of a chunk."""

    CHARS = "chars"
    TOKENS = "tokens"
    BYTES = "bytes"


class Boundaries(enum.StrEnum):
    """The preferred boundaries of chunks."""

    TEXT = "text"  # for formats that the configuration does not name
    MARKDOWN = "markdown"
    CODE = "code"
    ROWS = "rows"


class Strategy(enum.StrEnum):
    """The chunk configurations by name: `chars` is `chars_configuration` on the wire."""

    CHARS = "chars"
    TOKENS = "tokens"
    BYTES = "bytes"
    MARKDOWN_TOKENS = "markdown_tokens"
    MARKDOWN_CHARS = "markdown_chars"
    CODE_TOKENS = "code_tokens"
    CODE_CHARS = "code_chars"
    TABLE = "table"
    AST = "ast"


class StrategyRow(msgspec.Struct, frozen=True):
    """The wire names and the behaviour of one strategy."""

    unit: Unit
    boundaries: Boundaries
    overlaps: bool = True
    deprecated: bool = False

    @property
    def size_field(self) -> str:
        """Return the wire name of the chunk size: `max_chunk_size_bytes`."""
        return f"max_chunk_size_{self.unit}"

    @property
    def overlap_field(self) -> str | None:
        """Return the wire name of the overlap; None if the strategy has none."""
        return f"chunk_overlap_{self.unit}" if self.overlaps else None

    @property
    def takes_encoding(self) -> bool:
        """Return whether the configuration has `encoding_name`: only if it counts tokens."""
        return self.unit is Unit.TOKENS

    @property
    def fields(self) -> tuple[str, ...]:
        """Return the wire names inside the configuration, in the order of the reference."""
        names = (self.size_field, self.overlap_field, "encoding_name" if self.takes_encoding else None)
        return tuple(name for name in names if name is not None)


# Collections reference: chunk_configuration of POST /v1/collections. `ast` is deprecated there and has the fields of
# `table`; it cuts like `code_tokens`, the most similar remaining strategy.
STRATEGIES: dict[Strategy, StrategyRow] = {
    Strategy.CHARS: StrategyRow(Unit.CHARS, Boundaries.TEXT),
    Strategy.TOKENS: StrategyRow(Unit.TOKENS, Boundaries.TEXT),
    Strategy.BYTES: StrategyRow(Unit.BYTES, Boundaries.TEXT),
    Strategy.MARKDOWN_TOKENS: StrategyRow(Unit.TOKENS, Boundaries.MARKDOWN),
    Strategy.MARKDOWN_CHARS: StrategyRow(Unit.CHARS, Boundaries.MARKDOWN),
    Strategy.CODE_TOKENS: StrategyRow(Unit.TOKENS, Boundaries.CODE),
    Strategy.CODE_CHARS: StrategyRow(Unit.CHARS, Boundaries.CODE),
    Strategy.TABLE: StrategyRow(Unit.TOKENS, Boundaries.ROWS, overlaps=False),
    Strategy.AST: StrategyRow(Unit.TOKENS, Boundaries.CODE, overlaps=False, deprecated=True),
}


def wire_key(strategy: Strategy) -> str:
    """Return the key of the strategy's fields inside `chunk_configuration`: `bytes_configuration`."""
    return f"{strategy}_configuration"


class ChunkConfiguration(msgspec.Struct, frozen=True):
    """The chunk configuration of a collection, with the defaults of a collection without one (observed live)."""

    strategy: Strategy = Strategy.BYTES
    max_size: int = 4000
    overlap: int = 800
    encoding_name: str | None = None
    strip_whitespace: bool = True
    inject_name_into_chunks: bool = False


class ConfigurationError(ValueError):
    """An invalid chunk configuration: `field` is the wire name of the invalid value."""

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field
        self.sentence = sentence


def check(configuration: ChunkConfiguration) -> None:
    """Refuse impossible sizes and overlaps, and unknown encodings."""
    row = STRATEGIES[configuration.strategy]
    overlap_field = f"chunk_overlap_{row.unit}"
    if configuration.max_size < 1:
        raise ConfigurationError(row.size_field, f"{row.size_field} must be at least 1, not {configuration.max_size}")
    if configuration.overlap < 0:
        raise ConfigurationError(overlap_field, f"{overlap_field} must not be negative, not {configuration.overlap}")
    if configuration.overlap and not row.overlaps:
        raise ConfigurationError(overlap_field, f"{wire_key(configuration.strategy)} has no {overlap_field}")
    if configuration.overlap >= configuration.max_size:
        raise ConfigurationError(
            overlap_field,
            f"{overlap_field} must be smaller than {row.size_field}: "
            f"{configuration.overlap} is not smaller than {configuration.max_size}",
        )
    _check_encoding(configuration, row)


def _check_encoding(configuration: ChunkConfiguration, row: StrategyRow) -> None:
    name = configuration.encoding_name
    if not row.takes_encoding:
        if name is not None:
            raise ConfigurationError("encoding_name", f"{wire_key(configuration.strategy)} has no encoding_name")
    elif name not in ENCODINGS:
        raise ConfigurationError("encoding_name", f"encoding_name must be one of {', '.join(ENCODINGS)}, not {name!r}")
