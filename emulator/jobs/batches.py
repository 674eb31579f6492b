"""Batches on their way: input files are read, requests are answered, batches expire.

All of it goes in slices of a few milliseconds, each one job: so nothing else waits for long, what is done is written
down as it goes, and a process that dies goes on where it was.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from emulator import ids
from emulator.clock import Instant, seconds
from emulator.domain.batches import KINDS, PHASES, Batch, Failure, Phase, Request, due, finish, model_of
from emulator.domain.batches_checks import complaint, file_ids
from emulator.domain.batches_jsonl import BadFile, read_line
from emulator.domain.batches_results import BadAnswer, BatchRequest, cost_of, result_of
from emulator.domain.json_depth import WALKED_MAX, is_deeper
from emulator.domain.transitions import step
from emulator.errors import Kind
from emulator.functions import words_of
from emulator.jobs.batches_media import add_media
from emulator.store.batch_requests import NewRow
from emulator.store.batches import Cost
from emulator.store.jobs import Job
from emulator.world import Responder, Team, World

SLICE_BYTES = 128 * 1024  # of an input file, or of the bodies of requests
DISCARDED_AT_ONCE = 2000  # rows


def _go_on(world: World, team: Team, job: Job) -> None:
    """Plan the next slice of a job.

    As a rule for now, so that what became due meanwhile comes first. Where the clock stands still or was moved past the
    job, all slices belong to the instant at which the job was due.
    """
    past = team.clock.frozen or job.due_at < team.moved_at
    world.add_job(team, job.kind, job.subject, job.due_at if past else team.clock.now())


async def expire_batch(world: World, job: Job) -> None:
    """End a batch whose time has come; its results stay."""
    with world.store.transaction():
        world.store.jobs.done(job)
        batch = world.store.batches.get(job.team, job.subject)
        if batch is not None and not batch.closed:
            phase = step(PHASES, batch.phase, Phase.EXPIRED)
            world.store.batches.close(job.team, batch.id, phase, job.due_at)


# --- input files


async def read_batch_file(world: World, job: Job) -> None:
    """Read a slice of an input file. Its requests count when all of it has been read, all at once."""
    team = world.team(job.team)
    await asyncio.sleep(0)
    batch = world.store.batches.get(job.team, job.subject)
    if batch is None or batch.phase is not Phase.VALIDATING:
        _discard(world, team, job)
        return
    try:
        with world.store.transaction():
            world.store.jobs.done(job)
            if _stage(world, team, batch, job.due_at):
                _admit(world, team, batch)
            else:
                _go_on(world, team, job)
    except BadFile as error:
        with world.store.transaction():
            phase = step(PHASES, batch.phase, Phase.CANCELLED)
            world.store.batches.close(job.team, batch.id, phase, job.due_at, because=str(error))
            _discard(world, team, job)


def _stage(world: World, team: Team, batch: Batch, at: Instant) -> bool:
    """Keep the requests of the next lines; whether these were the last. Raises BadFile."""
    assert batch.input_blob is not None
    path, limits = world.store.blobs.present(batch.input_blob), team.limits
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
            id, due_at = request.id or "", due(team.batches, at, number)
            if id in numbers:
                raise _duplicate(number, id)
            numbers[id] = number
            rows.append(NewRow(id, request.kind, model_of(request.body), due_at, len(line), offset=offset))
        offset += len(line) + 1
    if not world.store.batch_requests.insert(team.name, batch.id, at, rows):
        raise next(_duplicate(numbers[row.id], row.id) for row in rows if _is_elsewhere(world, team, batch, row))
    world.store.batches.set_read(team.name, batch.id, bytes=offset, lines=number)
    _check_count(world, team, batch, number)
    return ended


def _duplicate(number: int, id: str) -> BadFile:
    return BadFile(f"line {number}: duplicate custom_id '{id}'")


def _is_elsewhere(world: World, team: Team, batch: Batch, row: NewRow) -> bool:
    """Whether the request of that id stands on another line."""
    found = world.store.batch_requests.get(team.name, batch.id, row.id)
    return found is not None and found.offset != row.offset


def _next_lines(path: Path, offset: int, line_bytes_max: int | None) -> tuple[bytes, bool]:
    """A piece of the file that ends with a line's end, and whether the file ends with it.

    A line that is longer than it may be comes cut off, but still too long.
    """
    with open(path, "rb") as file:
        file.seek(offset)
        data = file.read(SLICE_BYTES)
        ended = len(data) < SLICE_BYTES
        if not ended and not data.endswith(b"\n"):
            data += file.readline(-1 if line_bytes_max is None else line_bytes_max + 1)
            data += b"" if data.endswith(b"\n") else b"\n"  # the last line of a file may lack it
    return data, ended


def _check_count(world: World, team: Team, batch: Batch, lines: int) -> None:
    most = team.limits.jsonl_lines_max
    if most is not None and lines > most and world.store.batch_requests.staged(team.name, batch.id) > most:
        raise BadFile(f"the file has more than {most} requests")


def _admit(world: World, team: Team, batch: Batch) -> None:
    """Let all requests of a file count, from none to all at once."""
    count = world.store.batch_requests.staged(team.name, batch.id)
    if not count:
        raise BadFile("the file has no requests")
    world.store.batches.set_phase(team.name, batch.id, step(PHASES, batch.phase, Phase.SEALED))
    world.store.batches.count(team.name, batch.id, requests=count)
    first = world.store.batch_requests.next_due(team.name, batch.id)
    world.add_job(team, "process_batch", batch.id, first)


def _discard(world: World, team: Team, job: Job) -> None:
    """Remove what was staged for a batch that will never admit it."""
    with world.store.transaction():
        world.store.jobs.done(job)
        if world.store.batch_requests.discard(team.name, job.subject, DISCARDED_AT_ONCE) == DISCARDED_AT_ONCE:
            _go_on(world, team, job)


# --- requests


async def process_batch(world: World, job: Job) -> None:
    """Answer a slice of what is due. What was cancelled while it was being answered stays cancelled."""
    team = world.team(job.team)
    await asyncio.sleep(0)
    batch, responder = _alive(world, job), _responder(world, team)
    requests: list[Request] = []
    if batch is not None:
        requests = world.store.batch_requests.due(
            team.name, batch.id, job.due_at, limit=responder.requests_max, bytes=SLICE_BYTES
        )
    if batch is None or not requests:
        _plan_next(world, team, job)
        return
    asked = _asked(world, batch, requests)
    answers = await _answers(world, team, responder, job.due_at, asked)
    batch = _alive(world, job)
    with world.store.transaction():
        world.store.jobs.done(job)
        if batch is not None:
            _settle(world, team, batch, job.due_at, list(zip(requests, asked, answers, strict=True)))
        _go_on(world, team, job)


def _alive(world: World, job: Job) -> Batch | None:
    """The batch of a job, if there is still something to be done for it."""
    batch = world.store.batches.get(job.team, job.subject)
    return None if batch is None or (batch.closed and not batch.cancel_reverts) else batch


def _plan_next(world: World, team: Team, job: Job) -> None:
    """Go on when the next request is due."""
    with world.store.transaction():
        world.store.jobs.done(job)
        batch = _alive(world, job)
        due_at = None if batch is None else world.store.batch_requests.next_due(team.name, job.subject)
        if due_at is not None and not world.store.jobs.is_planned(team.name, job.kind, job.subject, due_at):
            world.add_job(team, job.kind, job.subject, due_at)


def _asked(world: World, batch: Batch, requests: list[Request]) -> list[BatchRequest]:
    bodies = world.store.batch_requests.bodies(batch, requests)
    return [
        BatchRequest(batch.id, request.id, request.kind.value, request.model, msgspec.json.decode(body))
        for request, body in zip(requests, bodies, strict=True)
    ]


class _Nobody:
    """Answers for a responder that is not there any more: a file that is gone since the last start."""

    requests_max = 100

    def __init__(self, error: ValueError) -> None:
        self._error = error

    async def answer(self, requests: Sequence[BatchRequest]) -> list[Any]:
        return [self._error for _ in requests]


def _responder(world: World, team: Team) -> Responder:
    try:
        return world.responder(team)
    except ValueError as error:
        return _Nobody(error)


async def _answers(world: World, team: Team, responder: Responder, at: Instant, asked: list[BatchRequest]) -> list[Any]:
    """What is said to each request: by the responder, unless it asks for what cannot be."""
    answers: list[Any] = [_refused(world, team, at, request) for request in asked]
    open = [number for number, answer in enumerate(answers) if answer is None]
    said = await responder.answer([asked[number] for number in open])
    for number, answer in zip(open, said, strict=True):
        answers[number] = answer
    return answers


def _refused(world: World, team: Team, at: Instant, request: BatchRequest) -> Failure | None:
    wrong = complaint(request)
    if wrong is not None:
        return Failure(Kind.INVALID_ARGUMENT, wrong)
    for id in file_ids(request.body):
        if world.store.files.get(team.name, id, at) is None:
            return Failure(Kind.NOT_FOUND, f"File {id} not found")
    return None


def _settle(
    world: World, team: Team, batch: Batch, at: Instant, answered: list[tuple[Request, BatchRequest, Any]]
) -> None:
    """Write down results and failures, and count them."""
    success = error = 0
    ticks: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for request, asked, said in answered:
        outcome, cost = _outcome(world, team, request, asked, said, at)
        finish(batch, request, outcome)
        if not world.store.batch_requests.finish(request, outcome, at):
            continue
        if isinstance(outcome, Failure):
            error += 1
        else:
            success += 1
            endpoint = KINDS[request.kind].endpoint
            ticks[endpoint] += cost
            counts[endpoint] += 1
    world.store.batches.count(team.name, batch.id, success=success, error=error)
    for endpoint, count in counts.items():
        world.store.batches.add_cost(team.name, batch.id, Cost(endpoint, ticks[endpoint], count))


def _outcome(
    world: World, team: Team, request: Request, asked: BatchRequest, said: Any, at: Instant
) -> tuple[bytes | Failure, int]:
    """A request's result in JSON and its cost, or its failure."""
    if isinstance(said, Failure):
        return said, 0
    if isinstance(said, Exception):
        return Failure(Kind.INTERNAL, words_of(said)), 0
    id = ids.fixed_uuid(world.seed, team.name, f"result {asked.batch_id} {request.id}")
    try:
        result = result_of(asked, said, id=id, created=seconds(at))
        cost = cost_of(result)
        add_media(world, team, asked, result, at)
        outcome = msgspec.json.encode(result)
        if is_deeper(outcome, WALKED_MAX):
            raise BadAnswer(f"it is nested more than {WALKED_MAX} levels deep")
        return outcome, cost
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        return Failure(Kind.INTERNAL, f"the responder's answer is none: {error}"), 0
