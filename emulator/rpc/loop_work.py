"""Work of a gRPC call that runs on the event loop, while the thread of the call waits for it."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import grpc


class LoopWork:
    """What runs on the loop for one call. A client that cancels its call cancels that.

    A way of its own from a thread to the loop and back: `run_coroutine_threadsafe` takes half as long again.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, context: grpc.ServicerContext) -> None:
        self._loop = loop
        self._task: asyncio.Task[None] | None = None  # while it runs: before, to cancel it would end it unseen
        self._ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._waiting = False  # for a result
        self._gone = not context.add_callback(self._cancel)

    def start(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None = None) -> None:
        """Run a coroutine, after the one before it has ended."""
        self._waiting = True
        self._loop.call_soon_threadsafe(lambda: self._loop.create_task(self._run(work, then)))

    def result(self) -> Any:
        """Wait for what the coroutine returns, or raises."""
        result, error = self._ended.get()
        self._waiting = False
        if error is not None:
            raise error
        return result

    async def _run(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None) -> None:
        self._task = asyncio.current_task()
        try:
            if self._gone:
                work.close()
                raise asyncio.CancelledError
            self._ended.put((await work, None))
        except BaseException as error:
            self._ended.put((None, error))
        finally:
            self._task = None
            if then is not None:
                then()

    def _cancel(self) -> None:
        """Cancel what runs. grpcio calls this at the end of every call, also of one that was answered."""
        self._gone = True
        if not self._waiting:  # to wake the loop for nothing takes a twentieth of a call
            return
        with suppress(RuntimeError):  # the loop is closed, and with it the call has ended
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
