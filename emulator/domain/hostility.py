"""Hostile mode: what a correct client must not trip over, each trap one switch.

Nothing here breaks the documented contract; it only does what the contract leaves open. Chance comes from a seed, so a
run that failed can be had again.
"""

from __future__ import annotations

import enum

import msgspec

from emulator import ids


class Switch(enum.Enum):
    """One trap; the value is the sentence that explains it."""

    SMALL_PAGES = "Lists come in pages of 3, whatever limit was asked for."
    SHUFFLED = "The keys of JSON objects, and lists whose order nobody promises, come in another order each time."
    UNKNOWN_FIELDS = "Objects and messages carry fields that no document mentions."
    UNKNOWN_VALUES = "Now and then a status has a value that no document mentions."
    LAG = "What was just created is not found by the first call that asks for it."
    DRIPS = "Downloads arrive in small uneven pieces."
    RATE_LIMITS = "Now and then a call is refused with 429 and a Retry-After of one second."

    @property
    def word(self) -> str:
        """The name of the switch on the command line and in the control plane."""
        return self.name.lower()


SWITCHES: dict[str, Switch] = {switch.word: switch for switch in Switch}


class Hostility(msgspec.Struct, frozen=True):
    """The traps that are set, and the seed that decides when one snaps shut."""

    seed: str
    switches: frozenset[Switch] = frozenset(Switch)

    def __str__(self) -> str:
        if self.switches == frozenset(Switch):
            return self.seed
        return f"{self.seed}:{','.join(sorted(switch.word for switch in self.switches))}"


class Mischief(msgspec.Struct):
    """How hostile mode goes in one team: the calls it has seen, by which chance goes, and what is not visible yet."""

    hostility: Hostility
    team: str
    calls: int = 0
    refused: int = -1  # the last call that was refused for no reason: the one after it is not
    hidden: set[str] = msgspec.field(default_factory=set)  # ids of what was just created

    def has(self, switch: Switch) -> bool:
        """Whether a trap is set."""
        return switch in self.hostility.switches

    def roll(self, purpose: str, sides: int) -> int:
        """A number from 0 on, which depends on the seed, the team, the number of this call and the purpose."""
        return ids.roll(self.hostility.seed, self.team, self.calls, purpose, sides)


def parse(text: str) -> Hostility | None:
    """Read `SEED`, `SEED:SWITCH,…` or `off`. Raises ValueError with one clear sentence."""
    if text == "off":
        return None
    seed, colon, words = text.partition(":")
    if not seed or len(seed) > 64 or not seed.isascii() or not seed.isprintable():
        raise ValueError("a seed is needed, any short word or number")
    if not colon:
        return Hostility(seed)
    unknown = [word for word in words.split(",") if word not in SWITCHES]
    if unknown:
        raise ValueError(f"there is no switch {unknown[0]!r}; known are {', '.join(SWITCHES)}")
    return Hostility(seed, frozenset(SWITCHES[word] for word in words.split(",")))
