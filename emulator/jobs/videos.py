"""Jobs that create and delete the videos of live calls."""

from __future__ import annotations

from emulator.operations.media.videos import complete_video as complete
from emulator.state.services import Services
from emulator.store.jobs import Job


async def complete_video(services: Services, job: Job) -> None:
    """Create a video that is due."""
    with services.store.transaction():
        services.store.jobs.done(job)
        video = services.store.videos.get(job.team, job.subject)
        if video is not None:
            complete(services, services.teams.get(job.team), video, job.due_at)


async def delete_video(services: Services, job: Job) -> None:
    """Delete a video that expired."""
    with services.store.transaction():
        services.store.jobs.done(job)
        services.store.videos.delete(job.team, job.subject)
