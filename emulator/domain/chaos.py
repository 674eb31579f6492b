"""Chaos: behaviours that clients tend not to expect, each behind a flag.

A seed alone enables the behaviours within the documented contract. The others (`OBSERVED`) were seen on the live
service, contradict its documentation, and must be named. Each decision derives from a seed, so that a failing run can
be reproduced. The behaviours are implemented in `pipeline/chaos/`.
"""

from __future__ import annotations

import enum

import msgspec

from emulator.core import ids

SEED_CHARS_MAX = 64


class ChaosFlag(enum.Enum):
    """Turns one behaviour on; the value describes it."""

    SMALL_PAGES = "Lists come in pages of 3, whatever limit the client asks for."
    SHUFFLED = "The keys of JSON objects, and lists without a documented order, change their order with each call."
    UNKNOWN_FIELDS = "Objects and messages carry undocumented fields."
    UNKNOWN_VALUES = "About one response in four has undocumented status values."
    LAG = "The first call that asks for a new object does not find it."
    DRIPS = "Downloads arrive in small pieces of different sizes."
    RATE_LIMITS = "About one call in seven is refused with 429 and a Retry-After of one second, never two in a row."
    KEY_LAG = "The first call with a new API key is refused, as if the key were unknown."
    # Observed live, see OBSERVED.
    JSON_CHUNK_CONTENT = "The content of matches in plain text files is a JSON string, [{page_number, text}]."
    DUPLICATE_MATCHES = "A hybrid search returns its best match twice."
    SNIFFED_CONTENT_TYPES = "Uploads lose their content type: Office files become bytes, and fail as documents."
    TOKEN_DOES_NOT_ADVANCE = "Each page of a list of files is the first one, with the same token for the next."
    DELETE_FAILS = "The first attempt to delete a file is refused with 500, and the file stays."
    ERROR_OBJECTS = "Over REST the error of a batch result is an object with code and message, not a string."

    @property
    def word(self) -> str:
        """Return the name of the flag on the command line and in the control API."""
        return self.name.lower()


# Observed behaviour that contradicts the documentation: enabled only by name.
OBSERVED = frozenset(
    {
        ChaosFlag.JSON_CHUNK_CONTENT,  # three clients carry a decoder, 2026-10
        ChaosFlag.DUPLICATE_MATCHES,  # one client removes them, 2026-09
        ChaosFlag.SNIFFED_CONTENT_TYPES,  # 2026-04; PDF files work since 2026-10
        ChaosFlag.TOKEN_DOES_NOT_ADVANCE,  # with a limit of 2000, 2026-01
        ChaosFlag.DELETE_FAILS,  # "sometimes", 2026-10
        ChaosFlag.ERROR_OBJECTS,  # not observed: what the AI SDK and LiteLLM expect, and the gRPC API has
    }
)
DEFAULT_FLAGS = frozenset(ChaosFlag) - OBSERVED
CHAOS_FLAGS: dict[str, ChaosFlag] = {flag.word: flag for flag in ChaosFlag}


class ChaosConfig(msgspec.Struct, frozen=True):
    """The seed of all random decisions, and the enabled flags."""

    seed: str
    flags: frozenset[ChaosFlag] = DEFAULT_FLAGS

    def __str__(self) -> str:
        if self.flags == DEFAULT_FLAGS:
            return self.seed
        return f"{self.seed}:{','.join(sorted(flag.word for flag in self.flags))}"


class ChaosState(msgspec.Struct):
    """The chaos of one team: its configuration and what has happened so far."""

    config: ChaosConfig
    team: str
    calls: int = 0  # seen so far; each random decision depends on this number
    rejected: int = -1  # the number of the last rejected call
    hidden: set[str] = msgspec.field(default_factory=set)  # ids of new objects that the next call does not find
    new_keys: set[str] = msgspec.field(default_factory=set)  # ids of API keys that the next call does not accept
    undeleted: set[str] = msgspec.field(default_factory=set)  # ids of files whose deletion was refused once

    def has(self, flag: ChaosFlag) -> bool:
        """Return whether a flag is on."""
        return flag in self.config.flags

    def random(self, purpose: str, sides: int) -> int:
        """Return a pseudo-random integer in `[0, sides)`, determined by seed, team, call number and purpose."""
        return ids.deterministic_random(self.config.seed, self.team, self.calls, purpose, sides)


def parse(text: str) -> ChaosConfig | None:
    """Parse `SEED`, `SEED:FLAG,…` or `off`. Raises ValueError with a one-line reason."""
    if text == "off":
        return None
    seed, colon, words = text.partition(":")
    if not seed or len(seed) > SEED_CHARS_MAX or not seed.isascii() or not seed.isprintable():
        raise ValueError("a seed is needed, any short word or number")
    if not colon:
        return ChaosConfig(seed)
    unknown = [word for word in words.split(",") if word not in CHAOS_FLAGS]
    if unknown:
        raise ValueError(f"unknown chaos flag {unknown[0]!r}; known flags: {', '.join(CHAOS_FLAGS)}")
    return ChaosConfig(seed, frozenset(CHAOS_FLAGS[word] for word in words.split(",")))
