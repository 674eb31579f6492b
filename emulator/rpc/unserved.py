"""Calls of methods that are not served: UNIMPLEMENTED with the reason, and a journal entry."""

from __future__ import annotations

import asyncio
from typing import Any, NoReturn

import grpc

from emulator.core.errors import ApiError, Kind
from emulator.domain.keys import bearer, team_of
from emulator.rpc.messages import infrastructure, load
from emulator.rpc.methods import NOT_EMULATED
from emulator.rpc.request_metadata import envelope_of
from emulator.rpc.status import abort, metadata, noted
from emulator.state.services import Services

NAME_CHARS_MAX = 200  # of a name from the client


class Unserved:
    """Refuses every call that has no handler."""

    def __init__(self, services: Services, loop: asyncio.AbstractEventLoop) -> None:
        self._services, self._loop = services, loop

    def handler(self, full_name: str) -> grpc.RpcMethodHandler:
        """Return a handler that refuses `Service/Method`, of any kind of streaming, without waiting for a message."""

        def refuse(raws: Any, context: grpc.ServicerContext) -> NoReturn:
            error = refusal(full_name)
            self._loop.call_soon_threadsafe(self._note, full_name, dict(context.invocation_metadata() or ()), error)
            context.set_trailing_metadata(metadata(None, error))
            abort(context, "UNIMPLEMENTED", error.message)

        return grpc.stream_stream_rpc_method_handler(refuse)

    def _note(self, full_name: str, pairs: dict[str, Any], error: ApiError) -> None:
        """Record the call in the journal."""
        credentials = bearer(pairs.get("authorization"))
        team, envelope = self._services.teams.get(team_of(credentials)), envelope_of(full_name, pairs, None)
        self._services.journal.unmatched(
            *(team.name, team.clock.now(), "grpc", envelope, credentials, error, "UNIMPLEMENTED"),
            headers=noted(metadata(None, error), error),
        )


def refusal(full_name: str) -> ApiError:
    """Return the reason why a method is not served: the real service has it, or no service does."""
    service, _, name = full_name[:NAME_CHARS_MAX].rpartition("/")
    reason = NOT_EMULATED.get(full_name) or NOT_EMULATED.get(service)
    if reason is not None:
        return ApiError(Kind.NOT_EMULATED, f"{full_name[:NAME_CHARS_MAX]}: {reason}.", rule="not_emulated")
    if service in load().services or service in infrastructure().services:
        return ApiError(Kind.NOT_FOUND, f"There is no method {name} in service {service}.", rule="unknown_method")
    return ApiError(Kind.NOT_FOUND, f"There is no service {service or name} in this API.", rule="unknown_method")
