"""The ids of answers: never the same twice, and the same for the same seed and calls."""

from __future__ import annotations

import httpx

from emulator import Emulator
from tests.rest.batch_helpers import chat_body
from tests.serving import KEY, PATIENCE_SECONDS


def ids_of(emulator: Emulator, count: int = 3) -> list[str]:
    """The ids of some completions."""
    with httpx.Client(base_url=emulator.url, headers=KEY, timeout=PATIENCE_SECONDS) as rest:
        body = chat_body("x", model="grok-4.3")
        return [rest.post("/v1/chat/completions", json=body).json()["id"] for _ in range(count)]


def test_same_seed_and_calls_give_same_answer_ids() -> None:
    found = []
    for _ in range(2):
        with Emulator(random_seed="7") as emulator:
            found.append(ids_of(emulator))
            emulator.reset()
            found.append(ids_of(emulator))
    assert found[0] == found[1] == found[2] == found[3]
    assert len(set(found[0])) == 3


def test_answer_ids_after_restart_differ_from_earlier_ones(tmp_path: object) -> None:
    found = []
    for _ in range(2):
        with Emulator(random_seed="7", data_dir=tmp_path) as emulator:
            found += ids_of(emulator)
    assert len(set(found)) == 6
