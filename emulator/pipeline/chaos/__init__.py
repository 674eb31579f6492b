"""The behaviours that chaos adds to calls (`calls.py`) and to encoded responses (`responses.py`).

`observed.py` has those that contradict the documentation. Guarantees: all others conform to the documentation; the same
seed and the same sequence of calls of a team get the same behaviours; each behaviour that affects a call is named in
its `x-emulator-fault`. Internal calls, such as those of the console, are not affected: their `Call.chaos` is None.
"""

from __future__ import annotations

from emulator.domain.chaos import ChaosFlag
from emulator.operations.base import Call


def has_flag(call: Call, flag: ChaosFlag) -> bool:
    """Return whether a behaviour is enabled for a call."""
    return call.chaos is not None and call.chaos.has(flag)


def report(call: Call, flag: ChaosFlag) -> None:
    """Add a behaviour to `x-emulator-fault`, once."""
    label = f"chaos:{flag.word}"
    if label not in call.faults:
        call.faults.append(label)
