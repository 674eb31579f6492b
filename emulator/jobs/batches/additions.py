"""Jobs that delete what failed additions of requests have written."""

from __future__ import annotations

from emulator.operations.batches import additions
from emulator.state.services import Services
from emulator.store.jobs import Job


async def remove_addition(services: Services, job: Job) -> None:
    """Delete the requests of an addition that failed. The next addition to the batch may have done it before."""
    await additions.remove_addition(services, job.team, job.subject)
    services.store.jobs.done(job)
