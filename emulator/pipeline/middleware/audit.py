"""Record what calls change in the audit log of their team."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

import msgspec

from emulator.domain.audit import AuditEvent
from emulator.operations.base import Call
from emulator.pipeline.middleware import NextDecoded
from emulator.state.services import Services

NAME_CHARS_MAX = 200  # of a name in a description


class Change(msgspec.Struct, frozen=True):
    """A description of an operation, and where the id and the name of its subject are: in `request` or `result`."""

    sentence: str
    subject: str
    name: str = ""


# Every operation that changes the objects of a team. Answers of models are no changes.
CHANGES: dict[str, Change] = {
    "files.upload": Change("Uploaded a file", "result.id", "result.filename"),
    "files.initialize": Change("Began the upload of a file", "result.id", "result.filename"),
    "files.upload_chunks": Change("Uploaded a part of a file", "result.id", "result.filename"),
    "files.batch_upload": Change("Began the upload of several files", "result.batch_job_id"),
    "files.complete_batch_upload": Change("Completed the upload of several files", "result.batch_job_id"),
    "files.update": Change("Changed a file", "result.file.id", "result.file.filename"),
    "files.delete": Change("Deleted a file", "request.file_id"),
    "files.create_public_url": Change("Published a file", "result.file.id", "result.file.filename"),
    "files.revoke_public_url": Change("Revoked the public URL of a file", "request.file_id"),
    "collections.create": Change("Created a collection", "result.id", "result.name"),
    "collections.update": Change("Changed a collection", "result.id", "result.name"),
    "collections.delete": Change("Deleted a collection", "request.collection_id"),
    "documents.add": Change("Added a document to a collection", "request.file_id"),
    "documents.upload": Change("Uploaded a document to a collection", "result.file.id", "result.file.filename"),
    "documents.update": Change("Changed a document", "result.file.id", "result.file.filename"),
    "documents.reindex": Change("Indexed a document again", "request.file_id"),
    "documents.remove": Change("Removed a document from a collection", "request.file_id"),
    "batches.create": Change("Created a batch", "result.batch.id", "result.batch.name"),
    "batches.add_requests": Change("Added requests to a batch", "request.batch_id"),
    "batches.cancel": Change("Cancelled a batch", "request.batch_id"),
    "keys.create": Change("Created an API key", "result.key.id", "result.key.name"),
    "keys.update": Change("Changed an API key", "result.key.id", "result.key.name"),
    "keys.rotate": Change("Rotated an API key", "result.key.id", "result.key.name"),
    "keys.delete": Change("Deleted an API key", "request.api_key_id"),
}


async def audit(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Any:
    """Append an event after a successful call of an operation in `CHANGES`."""
    change = CHANGES[call.operation.name]
    result = await call_next(services, call, request)
    subject = _value(change.subject, request, result)
    name = _value(change.name, request, result)[:NAME_CHARS_MAX] if change.name else ""
    key = call.principal.api_key
    event = AuditEvent(
        at=call.at,
        user_id=services.ids.of_user(call.team),
        api_key_id=services.ids.of_key(call.team, call.principal.secret) if key is None else key.id,
        action=call.operation.name,
        subject=subject,
        description=f"{change.sentence}: {name} ({subject})" if name else f"{change.sentence}: {subject}",
    )
    try:
        services.store.audit.append(call.team.name, event, call.team.limits.audit_events_per_team_max)
    except OSError as error:  # the change is committed and must be acknowledged
        services.log(f"Could not write an audit event of team {call.team.name}: {error}")
    return result


def _value(path: str, request: Any, result: Any) -> str:
    root, _, rest = path.partition(".")
    return str(attrgetter(rest)(request if root == "request" else result))
