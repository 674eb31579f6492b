"""Locks by key: one for each, while it is used."""

from __future__ import annotations

import gc

from emulator.core.keyed_locks import KeyedLocks


async def test_tasks_with_the_same_key_share_a_lock_that_ends_with_its_use() -> None:
    """Another key has another lock, and an unused lock takes no memory."""
    locks = KeyedLocks()
    async with locks.of("batch", "a"):
        assert locks.of("batch", "a").locked()
        assert not locks.of("batch", "b").locked()
    gc.collect()
    assert len(locks._locks) == 0
