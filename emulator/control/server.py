"""The emulator as a whole: health, reset, evidence, planned jobs, the document of `/v1`."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.core.clock import rfc3339
from emulator.core.version import VERSION
from emulator.http.responses import FileDownload
from emulator.operations import OPERATIONS
from emulator.pipeline.faults.effects import downloads, uploads
from emulator.state.settings import flag
from emulator.store.jobs import HELD, Job

JOBS_SHOWN = 1_000


class Health(Answer):
    """The state and the addresses of the emulator."""

    status: str
    version: str
    url: str
    grpc: str
    tls: str | None


class Cleared(Answer):
    """The number of removed objects, by kind."""

    cleared: dict[str, int]


class JobShown(Struct):
    """A job that is planned or has just run; `at` is null while it waits to be released."""

    kind: str
    subject: str
    at: str | None


class Jobs(Answer):
    """Jobs, in the order in which they run."""

    jobs: list[JobShown]


class PlannedJobs(Jobs):
    """The first planned jobs, and how many there are in all."""

    planned: int


class OperationShown(Struct):
    """One verb of the API and how its contract is known."""

    name: str
    plane: str
    source: str
    confidence: str
    paths: list[str]
    uploads: bool
    downloads: bool


class Evidence(Answer):
    """How each operation's contract is known."""

    operations: list[OperationShown]


class NoQuery(Struct, forbid_unknown_fields=True):
    """The query of a call that concerns no team."""


def job_shown(job: Job) -> JobShown:
    """Return the view of a job."""
    return JobShown(job.kind, job.subject, None if job.due_at == HELD else rfc3339(job.due_at))


async def health(request: ControlRequest) -> Health:
    """Report that REST and gRPC accept calls: the port opens for both at once."""
    url = request.services.address.origin
    tls = request.services.address.tls_origin
    return Health(status="ok", version=VERSION, url=url, grpc=url.partition("://")[2], tls=tls)


async def authority(request: ControlRequest) -> FileDownload:
    """Download the certificate that clients have to trust, in PEM, if the emulator created its own for TLS."""
    content = request.services.address.authority
    if content is None:
        raise ControlError(404, f"the emulator has no certificate authority: start it with {flag('tls')} self-signed")
    return FileDownload.of(content.encode(), "ca.pem")


async def reset(request: ControlRequest) -> Cleared:
    """Reset a team to its initial state.

    This removes its objects, clock changes, overrides, planned faults and answers, and journal. With a seed file the
    team then has the objects of that file.
    """
    return Cleared(cleared=request.services.teams.reset(request.team))


async def jobs(request: ControlRequest) -> PlannedJobs:
    """List the pending jobs of a team."""
    store = request.services.store.jobs
    planned = store.planned(request.team.name, JOBS_SHOWN)
    return PlannedJobs(jobs=[job_shown(job) for job in planned], planned=store.count(request.team.name))


async def run_jobs(request: ControlRequest) -> Jobs:
    """Run the jobs of a team that are due, and those that wait because a speed is `manual`."""
    return Jobs(jobs=[job_shown(job) for job in await request.parts.runner.release(request.team)])


async def evidence(request: ControlRequest) -> Evidence:
    """Return the confidence of every operation: documented, recorded or assumed."""
    paths: dict[str, list[str]] = {}
    for route in request.parts.api.routes:
        paths.setdefault(route.operation, []).append(f"{route.method} {route.path}")
    return Evidence(
        operations=[
            OperationShown(
                name=operation.name,
                plane=operation.plane.value,
                source=operation.source,
                confidence=operation.confidence.value,
                paths=paths.get(operation.name, []),
                uploads=bool(uploads(operation.request)),
                downloads=downloads(operation.run),
            )
            for operation in OPERATIONS.values()
        ]
    )


async def openapi(request: ControlRequest) -> dict[str, Any]:
    """Describe `/v1` in OpenAPI 3.1, with the limits and the profile of a team."""
    return request.parts.api.describe(request.team, request.services.address.origin)


ROUTES = (
    ControlRoute("GET", "/health", health, Health, query=NoQuery, public=True),
    ControlRoute("GET", "/ready", health, Health, query=NoQuery, public=True),
    ControlRoute("GET", "/ca.pem", authority, FileDownload, query=NoQuery, public=True, refusals=(404,)),
    ControlRoute("POST", "/reset", reset, Cleared),
    ControlRoute("GET", "/jobs", jobs, PlannedJobs),
    ControlRoute("POST", "/jobs/run", run_jobs, Jobs),
    ControlRoute("GET", "/evidence", evidence, Evidence, query=NoQuery),
    ControlRoute("GET", "/openapi.json", openapi, dict, public=True),
)
