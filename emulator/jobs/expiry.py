"""Jobs that delete expired files."""

from __future__ import annotations

from emulator.state.services import Services
from emulator.store.jobs import Job


async def expire_file(services: Services, job: Job) -> None:
    """Remove a file that has expired. If its expiry was moved, a later job will do it."""
    with services.store.transaction():
        services.store.jobs.done(job)
        file = services.store.files.get_including_expired(job.team, job.subject)
        if file is not None and not file.alive(job.due_at):
            services.store.remove_file(job.team, job.subject)
