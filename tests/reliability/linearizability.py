"""Whether what several clients saw at once could have happened one after the other (Wing and Gong, 1993).

A history says of each call when it began, when it was answered, what was asked and what was answered. It is
linearizable if the calls can be put in an order that

- respects time: what was answered before another call began stands before it, and
- respects the model: each answer is the one that the model gives in that place.

The search tries, one place after the other, every call that may stand next: one that began before any of those that are
left was answered. Two orders of the same calls that led to the same state have the same continuations, so each such
pair is tried once (Lowe, 2017); without that, calls that commute would cost the factorial of their number.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True)
class Event:
    """A call of some client. The times are of one clock, and no two are the same."""

    began: int
    ended: int
    asked: Any
    answer: Any


def linearize(
    history: Sequence[Event], state: State, apply: Callable[[State, Any, Any], State | None]
) -> list[Event] | None:
    """An order of the calls that explains them all, or None where there is none.

    `apply` gives the state after a call that was answered so, or None where the model would have answered otherwise.
    """
    everything = frozenset(range(len(history)))
    dead: set[tuple[frozenset[int], State]] = set()

    def search(left: frozenset[int], state: State) -> list[Event] | None:
        if not left:
            return []
        if (left, state) in dead:
            return None
        first_end = min(history[number].ended for number in left)
        for number in sorted(left):
            event = history[number]
            if event.began < first_end and (after := apply(state, event.asked, event.answer)) is not None:
                rest = search(left - {number}, after)
                if rest is not None:
                    return [event, *rest]
        dead.add((left, state))
        return None

    return search(everything, state)
