"""Slices of long jobs."""

from __future__ import annotations

from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.jobs import Job

SLICE_BYTES = 128 * 1024  # of an input file, or of the bodies of requests


def go_on(services: Services, team: Team, job: Job, *, careful: int = 0) -> None:
    """Plan the next slice of a job.

    As a rule for now, so that what became due meanwhile comes first. Where the clock stands still or was moved past the
    job, all slices belong to the instant at which the job was due.
    """
    past = team.clock.frozen or job.due_at < team.moved_at
    services.jobs.add(team, job.kind, job.subject, job.due_at if past else team.clock.now(), careful=careful)
