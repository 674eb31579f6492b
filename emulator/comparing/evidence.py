"""Evidence of a recording for the cases of the contract kit: each case is a page of the file."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from emulator.comparing.run import ALIKE, DIFFERS, IN_PROGRESS, Comparison

CONFIRMED, CONTRADICTED, NOT_REACHED = "confirmed", "contradicted", "not reached"


def evidence_of(comparison: Comparison) -> list[dict[str, Any]]:
    """Return the result of each page, in the order of the file: confirmed if all compared exchanges are equal."""
    outcomes = defaultdict(list)
    for outcome in comparison.outcomes:
        if outcome.page is not None:
            outcomes[outcome.page].append(outcome)
    about = comparison.recording.log.about
    recorded, service = getattr(about, "recorded", ""), getattr(about, "to", [])
    found = []
    for page in comparison.recording.log.pages:
        reached = {outcome.outcome for outcome in outcomes[page.id]}
        verdict = NOT_REACHED
        if DIFFERS in reached:
            verdict = CONTRADICTED
        elif reached and reached <= {ALIKE, IN_PROGRESS} and ALIKE in reached:
            verdict = CONFIRMED
        found.append(
            {
                "case": page.id,
                "sentence": page.title,
                "verdict": verdict,
                "recorded": recorded,
                "service": service,
                "file": comparison.recording.path.name,
                "exchanges": [outcome.number for outcome in outcomes[page.id]],
            }
        )
    return found
