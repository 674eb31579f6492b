"""Run the work of a gRPC call on the event loop, while the thread of the call waits for it.

Every call passes from a thread to the loop and back, so this module optimises the way: `run_coroutine_threadsafe` takes
one and a half times as long, and waking the loop with `call_soon_threadsafe` costs more switches between the two
threads. It writes to the loop's socket while it holds the GIL, so the loop's thread wakes up, finds the GIL taken and
sleeps again. `LoopCalls` writes with the GIL released: the loop runs at once, and an operation that does not wait has a
result before the thread of the call requests it.
"""

from __future__ import annotations

import asyncio
import queue
import socket
from collections import deque
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any

import grpc

WAKES_BYTES = 4096  # read in one call; each byte is for one function


class LoopCalls:
    """Calls functions on the loop, in order, from the threads of gRPC calls."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._functions: deque[Callable[[], object]] = deque()
        self._receiver, self._sender = socket.socketpair()
        self._receiver.setblocking(False)
        self._sender.setblocking(False)
        loop.call_soon_threadsafe(loop.add_reader, self._receiver, self._woken)

    def add(self, function: Callable[[], object]) -> None:
        """Call a function on the loop. Raises RuntimeError if the loop is closed."""
        self._functions.append(function)
        try:
            self._sender.send(b"\0")  # this releases the GIL
        except BlockingIOError:
            pass  # the buffer is full, so the loop will wake up
        except OSError:  # closed
            self.loop.call_soon_threadsafe(self._call)

    def close(self) -> None:
        """Close the sockets, on the loop. Functions that are added afterwards are called nevertheless."""
        self.loop.remove_reader(self._receiver)
        self._receiver.close()
        self._sender.close()
        self._call()

    def _woken(self) -> None:
        self._receiver.recv(WAKES_BYTES)
        self._call()

    def _call(self) -> None:
        while self._functions:
            self._functions.popleft()()


class LoopWork:
    """The work of one call on the loop. It is cancelled when the client cancels its call."""

    def __init__(self, calls: LoopCalls, context: grpc.ServicerContext) -> None:
        self._calls, self._loop = calls, calls.loop
        # Only while it runs: cancelled earlier, it would end without a result.
        self._task: asyncio.Task[None] | None = None
        self._ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._waiting = False  # for a result
        self._gone = not context.add_callback(self._cancel)

    def start(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None = None) -> None:
        """Run a coroutine after the previous one has ended."""
        self._waiting = True
        self._calls.add(lambda: self._loop.create_task(self._run(work, then)))

    def result(self) -> Any:
        """Wait for the result of the coroutine, and return or raise it."""
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
        """Cancel the running coroutine. grpcio calls this at the end of every call, also after a response."""
        self._gone = True
        if not self._waiting:  # waking the loop without need takes a twentieth of the time of a call
            return
        with suppress(RuntimeError):  # the loop is closed, so the call has ended
            self._loop.call_soon_threadsafe(self._cancel_task)

    def _cancel_task(self) -> None:
        if self._task is not None:
            self._task.cancel()
