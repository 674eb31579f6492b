"""Identifiers: well-formed, never given twice, and the same for the same seed."""

from __future__ import annotations

import re
import uuid
from typing import Any

import httpx
from hypothesis import given
from hypothesis import strategies as st

from emulator import Emulator
from emulator.core import ids

NAMES = st.text(max_size=10)


@given(NAMES, NAMES, st.integers(0, 2**40))
def test_id_is_uuid_of_version_4(seed: str, team: str, counter: int) -> None:
    """As those of the live service are; and a token has 22 characters that need no escaping."""
    made = uuid.UUID(ids.uuid4(seed, team, counter))
    assert (made.version, made.variant) == (4, uuid.RFC_4122)
    assert re.fullmatch(r"[A-Za-z0-9_-]{22}", ids.url_token(seed, team, counter))


@given(st.lists(st.tuples(NAMES, NAMES, st.integers(0, 3)), unique=True, max_size=20))
def test_other_seeds_teams_and_counters_give_other_ids(makers: list[tuple[str, str, int]]) -> None:
    """Each has ids of its own."""
    made = [function(*maker) for maker in makers for function in (ids.uuid4, ids.url_token)]
    assert len(set(made)) == len(made)


def test_seeds_are_random() -> None:
    """Unless one is given."""
    assert len({ids.random_seed() for _ in range(10)}) == 10


def conversation(emulator: Emulator) -> list[dict[str, Any]]:
    """What an emulator answers to some requests."""
    headers = {"authorization": f"Bearer {emulator.api_key}"}
    with httpx.Client(base_url=emulator.base_url, headers=headers) as client:
        file = client.post("/files", files={"file": ("a.png", b"\x89PNG")}).json()
        url = client.post(f"/files/{file['id']}/public-url").json()
        key = client.get("/api-key").json()
    emulator.reset()
    del file["created_at"]
    url["public_url"] = url["public_url"].removeprefix(emulator.url)
    return [file, url, key]


def test_same_seed_and_requests_give_same_responses() -> None:
    """From one emulator to the next, and again after a reset; emulators without a seed differ."""
    said: list[list[dict[str, Any]]] = []
    for settings in ({"random_seed": "7"}, {"random_seed": "7"}, {"random_seed": "8"}, {}, {}):
        with Emulator(**settings) as emulator:
            said.append(conversation(emulator))
            assert conversation(emulator) == said[-1]
    assert said[0] == said[1]
    assert all(one != other for n, one in enumerate(said[1:]) for other in said[n + 2 :])


def test_answer_uuids_differ_by_epoch_and_number() -> None:
    found = {ids.answer_uuid("s", "t", epoch, number) for epoch in (1, 11) for number in (1, 11, 111)}
    assert len(found) == 6
    assert all(uuid.UUID(each).version == 4 and uuid.UUID(each).variant == uuid.RFC_4122 for each in found)
