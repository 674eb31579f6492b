"""Slices of long jobs."""

from __future__ import annotations

from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.jobs import Job

SLICE_BYTES = 128 * 1024  # of an input file, or of the bodies of requests


def go_on(services: Services, team: Team, job: Job, *, careful: int = 0) -> None:
    """Plan the next slice of a job.

    It is usually due now, so that jobs that became due meanwhile run first. If the clock is frozen or was moved past
    the job, all slices are due at the instant at which the job was due.
    """
    past = team.clock.frozen or job.due_at < team.moved_at
    services.jobs.add(team, job.kind, job.subject, job.due_at if past else team.clock.now(), careful=careful)
