"""The contract kit finds every mutant. Part of `make contract`: each takes seconds, so `make test` tries a few only.

Only the case that has to find a mutant runs. A mutant without such a case is written after the cases, and counts as
missed until there is one.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from .kit import run_kit
from .mutants import Mutant, read_mutants


@pytest.mark.parametrize("mutant", read_mutants(), ids=lambda mutant: mutant.sentence.replace(" ", "-"))
def test_mutant_fails_its_case(mutant: Mutant, tmp_path: Path) -> None:
    """The case that is about what the mutant does wrong fails."""
    run = run_kit(
        *(f"--cases={mutant.found_by}", f"--clients={mutant.client}", "--destructive", "--slow", "--paid"),
        tree=mutant.grow(tmp_path / "tree"),
        record=tmp_path / "record.json",
    )
    assert run.code == 1, run.output
    assert mutant.found_by in run.failed, run.output
