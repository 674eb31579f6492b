"""Cancel the work for a client that disconnects."""

from __future__ import annotations

import asyncio
from types import TracebackType

from starlette.types import Scope

from emulator.core.errors import CallerGone
from emulator.http.requests import connection_of


class CancelOnDisconnect:
    """Cancel the current task when the client of a request disconnects, and raise CallerGone.

    Any other cancellation, such as the stop of the server, stays a CancelledError. This is a class because a
    generator-based context manager takes five times as long, in every call.
    """

    __slots__ = ("_connection", "_disconnected", "_task")

    def __init__(self, scope: Scope) -> None:
        self._connection = connection_of(scope)
        self._disconnected = False

    def __enter__(self) -> None:
        if self._connection is not None:
            self._task = asyncio.current_task(self._connection.loop)
            self._connection.on_lost(self._cancel)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._connection is not None:
            self._connection.on_lost(None)
            task = self._task
            if self._disconnected and task and isinstance(error, asyncio.CancelledError) and not task.uncancel():
                raise CallerGone from None

    def _cancel(self) -> None:
        self._disconnected = True
        if self._task is not None:
            self._task.cancel()
