"""What is said of mutants is about mutants that there are."""

from __future__ import annotations

import ast
from functools import cache

import pytest

from tests.mutation.mutators import mutants
from tests.mutation.survivors import EXPLAINED, UNTRIED


@cache
def names_and_tables(file: str) -> tuple[set[str], set[str]]:
    """The names of all mutants of a module, and the names of the functions and tables they are in."""
    found = mutants(file)
    return {str(mutant) for mutant in found}, {mutant.where for mutant in found}


@pytest.mark.parametrize("file", sorted({file for file, _ in (*EXPLAINED, *UNTRIED)}))
def test_explained_mutants_exist(file: str) -> None:
    """An explanation of a mutant that does not exist any more is stale and must be reviewed."""
    names, tables = names_and_tables(file)
    assert {name for module, name in EXPLAINED if module == file} <= names
    assert {table for module, table in UNTRIED if module == file} <= tables


@pytest.mark.parametrize(
    "file", ["emulator/operations/filters.py", "emulator/operations/pagination.py", "filter_grammar/ast.py"]
)
def test_mutants_differ_from_module_and_restore_it(file: str) -> None:
    """Each has a name of its own and says something else, and after its turn the module is as it was."""
    found = mutants(file)
    assert len(found) > 20
    assert len({str(mutant) for mutant in found}) == len(found)
    before = ast.dump(found[0].tree)
    for mutant in found:
        mutant.code()
        assert mutant.was != mutant.now
        assert ast.dump(mutant.tree) == before
