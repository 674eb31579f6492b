"""The table of models: names lead to one model each, and prices are whole."""

from __future__ import annotations

from collections import Counter

import pytest

from emulator.domain.chat.models import LANGUAGE_MODELS, MODELS, find, names


def test_model_names_are_unique() -> None:
    times = Counter(name for model in MODELS for name in names(model))
    assert {name for name, count in times.items() if count > 1} == set()


@pytest.mark.parametrize(
    ("name", "id"),
    [
        ("grok-4.3", "grok-4.3"),
        ("grok-latest", "grok-4.3"),
        ("grok-4-fast-non-reasoning", "grok-4.3"),
        ("grok-3-mini", "grok-4.3"),
        ("grok-code-fast-1", "grok-build-0.1"),
        ("grok-4.20", "grok-4.20-0309-reasoning"),
    ],
)
def test_alias_or_retired_name_finds_its_model(name: str, id: str) -> None:
    found = find(name, LANGUAGE_MODELS)
    assert found is not None
    assert found.id == id
    assert find(name, MODELS) == found


@pytest.mark.parametrize("name", ["latest", "grok-2", "grok-imagine-image", ""])
def test_unknown_name_finds_no_language_model(name: str) -> None:
    assert find(name, LANGUAGE_MODELS) is None


def test_model_fingerprints_have_recorded_form() -> None:
    for model in MODELS:
        assert len(model.fingerprint) == len("fp_eb3c003fc66c14ed")
        assert model.fingerprint.startswith("fp_")
