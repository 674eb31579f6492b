"""Add requests to a batch, in steps if there are many, and either all of them or none.

A step is a transaction of a few milliseconds; other calls run between two steps. Until the last step, a row of
`batch_additions` hides the requests of the others: from lists, from the jobs that answer requests, from snapshots.
If the addition fails, a job deletes its requests; if the process ends, the next one does.

The lock of the batch permits one addition at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress

from emulator.domain.batches.batch import check_open, due
from emulator.operations.base import Call
from emulator.operations.batches.lifecycle import PROCESS, get_batch
from emulator.state.services import Services
from emulator.store.batch_requests import NewRow

STEP_ROWS = 500  # about 4 ms
STEP_BYTES = 1024 * 1024  # of bodies
REMOVED_AT_ONCE = 1000  # rows: about 2 ms


def addition_lock(services: Services, team: str, batch_id: str) -> asyncio.Lock:
    """Return the lock for additions to a batch."""
    return services.locks.of("batch", team, batch_id)


async def write_requests(services: Services, call: Call, batch_id: str, rows: list[NewRow]) -> bool:
    """Add requests. Return False, and add none, if the batch has one of their ids or was replaced meanwhile.

    The caller holds the batch's lock.
    """
    check_open(get_batch(services, call, batch_id))
    await _delete_incomplete(services, call.team.name, batch_id)
    steps = list(_steps(rows))
    return (
        _at_once(services, call, batch_id, rows) if len(steps) < 2 else await _staged(services, call, batch_id, steps)
    )


def _steps(rows: list[NewRow]) -> Iterator[list[NewRow]]:
    """Yield the rows of each step."""
    step, size = list[NewRow](), 0
    for row in rows:
        if step and (len(step) == STEP_ROWS or size + row.size > STEP_BYTES):
            yield step
            step, size = [], 0
        step.append(row)
        size += row.size
    yield step


class _Changed(Exception):
    """A request exists already, or the batch was replaced."""


def _at_once(services: Services, call: Call, batch_id: str, rows: list[NewRow]) -> bool:
    check_open(get_batch(services, call, batch_id))
    with suppress(_Changed), services.store.transaction():
        if not services.store.batch_requests.insert(call.team.name, batch_id, call.at, rows):
            raise _Changed
        _admit(services, call, batch_id, len(rows))
        return True
    return False


async def _staged(services: Services, call: Call, batch_id: str, steps: list[list[NewRow]]) -> bool:
    team, requests = call.team.name, services.store.batch_requests
    requests.begin_addition(team, batch_id)
    try:
        for rows in steps:
            with services.store.transaction():
                check_open(get_batch(services, call, batch_id))
                if not (requests.is_adding(team, batch_id) and requests.insert(team, batch_id, call.at, rows)):
                    raise _Changed
            await asyncio.sleep(0)
        with services.store.transaction():
            check_open(get_batch(services, call, batch_id))
            if not requests.end_addition(team, batch_id):
                raise _Changed
            _admit(services, call, batch_id, sum(map(len, steps)))
    except BaseException as error:
        with suppress(OSError):  # the next addition, or the next process, deletes the rest
            _plan_removal(services, call, batch_id)
        if isinstance(error, _Changed):
            return False
        raise
    return True


def _admit(services: Services, call: Call, batch_id: str, count: int) -> None:
    """Count added requests, and schedule their processing. In a transaction."""
    services.store.batches.count(call.team.name, batch_id, requests=count)
    due_at = due(call.team.batches, call.at)
    # An earlier job processes these requests too; with one job per call, thousands would read them all.
    if count and (due_at is None or not services.store.jobs.is_planned(call.team.name, PROCESS, batch_id, due_at)):
        services.jobs.add(call.team, PROCESS, batch_id, due_at)


def _plan_removal(services: Services, call: Call, batch_id: str) -> None:
    if services.store.batch_requests.is_adding(call.team.name, batch_id):
        services.jobs.add(call.team, "remove_addition", batch_id, call.team.clock.now())


async def remove_addition(services: Services, team: str, batch_id: str) -> None:
    """Delete the requests that a failed addition has written to a batch."""
    async with addition_lock(services, team, batch_id):
        await _delete_incomplete(services, team, batch_id)


async def _delete_incomplete(services: Services, team: str, batch_id: str) -> None:
    requests = services.store.batch_requests
    while requests.is_adding(team, batch_id) and not requests.take_back(team, batch_id, REMOVED_AT_ONCE):
        await asyncio.sleep(0)
