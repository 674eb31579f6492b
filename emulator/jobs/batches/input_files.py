"""Jobs that read the input file of a batch, in slices."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec

from emulator.core.clock import Instant
from emulator.core.limits import Limits
from emulator.core.threads import map_in_threads
from emulator.domain.batches.batch import PHASES, Batch, Phase, due, model_of
from emulator.domain.batches.jsonl import BadFile, read_line
from emulator.domain.transitions import step
from emulator.jobs.batches.slices import SLICE_BYTES, go_on
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.batch_requests import NewRow
from emulator.store.jobs import Job

DISCARDED_AT_ONCE = 2000  # rows


async def read_batch_file(services: Services, job: Job) -> None:
    """Read a slice of an input file. Its requests become visible together, when all of it has been read."""
    team = services.teams.get(job.team)
    await asyncio.sleep(0)
    batch = services.store.batches.get(job.team, job.subject)
    if batch is None or batch.phase is not Phase.VALIDATING:
        _discard(services, team, job)
        return
    try:
        lines = await _read(services, team, batch, job.due_at)
        batch = services.store.batches.get(job.team, job.subject)
        if batch is None or batch.phase is not Phase.VALIDATING:  # it was cancelled meanwhile
            _discard(services, team, job)
            return
        with services.store.transaction():
            services.store.jobs.done(job)
            _stage(services, team, batch, job.due_at, lines)
            if lines.ended:
                _admit(services, team, batch)
            else:
                go_on(services, team, job)
    except BadFile as error:
        _reject(services, team, job, error)


async def reject_batch_file(services: Services, job: Job) -> None:
    """Reject an input file that ended the process repeatedly."""
    error = BadFile(f"the emulator ended {job.attempts} times while it read the file")
    _reject(services, services.teams.get(job.team), job, error)


def _reject(services: Services, team: Team, job: Job, error: BadFile) -> None:
    """Cancel a batch whose input file is invalid, and remove the requests that were read from it."""
    batch = services.store.batches.get(job.team, job.subject)
    with services.store.transaction():
        if batch is not None and batch.phase is Phase.VALIDATING:
            phase = step(PHASES, batch.phase, Phase.CANCELLED)
            services.store.batches.close(job.team, batch.id, phase, job.due_at, because=str(error))
        _discard(services, team, job)


class _Lines(msgspec.Struct, frozen=True):
    """The requests of the next lines of an input file, the offset after them, and whether they are the last."""

    rows: list[NewRow]
    numbers: dict[str, int]  # of the lines, by the ids of their requests
    bytes: int
    number: int
    ended: bool


async def _read(services: Services, team: Team, batch: Batch, at: Instant) -> _Lines:
    """Read the next lines in a thread: one of them can be large. Raises BadFile."""
    assert batch.input_blob is not None
    path, limits = services.store.blobs.require(batch.input_blob), team.limits
    [lines] = await map_in_threads(lambda path: _parse(path, batch, limits, team.batches, at), [path])
    if isinstance(lines, Exception):
        raise lines
    assert isinstance(lines, _Lines)
    return lines


def _parse(path: Path, batch: Batch, limits: Limits, speed: str, at: Instant) -> _Lines:
    if limits.jsonl_file_bytes_max is not None and path.stat().st_size > limits.jsonl_file_bytes_max:
        raise BadFile(f"the file has {path.stat().st_size} bytes, at most {limits.jsonl_file_bytes_max} are allowed")
    data, ended = _next_lines(path, batch.read_bytes, limits.batch_request_bytes_max)
    numbers: dict[str, int] = {}
    rows: list[NewRow] = []
    number, offset = batch.read_lines, batch.read_bytes
    for line in data.split(b"\n")[: None if ended else -1]:
        number += 1
        if line.strip():
            request = read_line(number, line, limits)
            id, due_at = request.id or "", due(speed, at, number)
            if id in numbers:
                raise _duplicate(number, id)
            numbers[id] = number
            rows.append(NewRow(id, request.kind, model_of(request.body), due_at, len(line), offset=offset))
        offset += len(line) + 1
    return _Lines(rows, numbers, offset, number, ended)


def _stage(services: Services, team: Team, batch: Batch, at: Instant, lines: _Lines) -> None:
    """Stage the requests of some lines. Raises BadFile."""
    if not services.store.batch_requests.insert(team.name, batch.id, at, lines.rows):
        raise next(
            _duplicate(lines.numbers[row.id], row.id) for row in lines.rows if _is_elsewhere(services, team, batch, row)
        )
    services.store.batches.set_read(team.name, batch.id, bytes=lines.bytes, lines=lines.number)
    _check_count(services, team, batch, lines.number)


def _duplicate(number: int, id: str) -> BadFile:
    return BadFile(f"line {number}: duplicate custom_id '{id}'")


def _is_elsewhere(services: Services, team: Team, batch: Batch, row: NewRow) -> bool:
    """Return whether another line has a request with the same id."""
    found = services.store.batch_requests.get(team.name, batch.id, row.id)
    return found is not None and found.offset != row.offset


def _next_lines(path: Path, offset: int, line_bytes_max: int | None) -> tuple[bytes, bool]:
    """Return a piece of the file that ends at a line break, and whether the file ends with it.

    A line over the limit is truncated to a length that is still over the limit.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(SLICE_BYTES)
        ended = len(data) < SLICE_BYTES
        if not ended and not data.endswith(b"\n"):
            data += file.readline(-1 if line_bytes_max is None else line_bytes_max + 1)
            data += b"" if data.endswith(b"\n") else b"\n"  # the last line of a file may lack it
    return data, ended


def _check_count(services: Services, team: Team, batch: Batch, lines: int) -> None:
    most = team.limits.jsonl_lines_max
    if most is not None and lines > most and services.store.batch_requests.staged(team.name, batch.id) > most:
        raise BadFile(f"the file has more than {most} requests")


def _admit(services: Services, team: Team, batch: Batch) -> None:
    """Make all requests of a file visible at once."""
    count = services.store.batch_requests.staged(team.name, batch.id)
    if not count:
        raise BadFile("the file has no requests")
    services.store.batches.set_phase(team.name, batch.id, step(PHASES, batch.phase, Phase.SEALED))
    services.store.batches.count(team.name, batch.id, requests=count)
    first = services.store.batch_requests.next_due(team.name, batch.id)
    services.jobs.add(team, "process_batch", batch.id, first)


def _discard(services: Services, team: Team, job: Job) -> None:
    """Remove the staged requests of a batch that will never admit them."""
    with services.store.transaction():
        services.store.jobs.done(job)
        if services.store.batch_requests.discard(team.name, job.subject, DISCARDED_AT_ONCE) == DISCARDED_AT_ONCE:
            go_on(services, team, job)
