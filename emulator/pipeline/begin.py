"""Begin a call: identify the caller, note the time, and start the entry of the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from emulator.domain import keys
from emulator.domain.keys import AuthMode, team_of
from emulator.operations.base import Call, Envelope, Operation, Transport
from emulator.pipeline.redact import presented
from emulator.state.services import Services


def begin(
    services: Services,
    operation: Operation,
    transport: Transport,
    credentials: str | None,
    origin: str,
    read: Callable[[Call], Awaitable[Any]],
    envelope: Envelope,
    fallback_credentials: str | None = None,
) -> Call:
    """Return the call of an operation, for `perform`. Never refuses: the pipeline checks the key.

    A call without a key uses the key of its connection if the transport has one: on insecure channels xai-sdk sends no
    key with UploadFile.
    """
    warning = None
    if credentials is None and fallback_credentials is not None and services.auth_mode is not AuthMode.STRICT:
        credentials = fallback_credentials
        warning = f"the call carried no key; it was taken as one of team {team_of(credentials)}"
    principal = keys.identify(credentials, operation.plane, services.auth_mode, services.keys)
    team = services.teams.get(principal.team)
    at = team.clock.now()
    secret = None if envelope.is_internal else presented(credentials)
    entry = services.journal.begin(team.name, at, transport, operation.name, envelope, secret)
    call = Call(operation, transport, credentials, secret, principal, team, at, origin, read, envelope, entry)
    if warning is not None:
        call.warn(warning)
    return call
