"""Work of a gRPC call that runs on the event loop, while the thread of the call waits for it.

A way of its own from a thread to the loop and back, because every call takes it: `run_coroutine_threadsafe` takes half
as long again, and waking the loop with `call_soon_threadsafe` costs more switches between the two threads. It writes to
the loop while it holds the interpreter lock, so the loop's thread wakes up, finds the lock taken and sleeps again.
`LoopCalls` writes with the lock released: the loop runs at once, and an operation that does not wait has a result
before the thread of the call asks for it.
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

WAKES_BYTES = 4096  # read at once, one for each call


class LoopCalls:
    """Calls functions on the loop, in order, for the threads of gRPC calls."""

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
            self._sender.send(b"\0")  # which releases the interpreter lock
        except BlockingIOError:
            pass  # the loop has yet to read what woke it before
        except OSError:  # closed
            self.loop.call_soon_threadsafe(self._call)

    def close(self) -> None:
        """Free the sockets, on the loop. What is added afterwards is called all the same."""
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
        self._task: asyncio.Task[None] | None = None  # while it runs: before, to cancel it would end it unseen
        self._ended: queue.SimpleQueue[tuple[Any, BaseException | None]] = queue.SimpleQueue()
        self._waiting = False  # for a result
        self._gone = not context.add_callback(self._cancel)

    def start(self, work: Coroutine[Any, Any, Any], then: Callable[[], None] | None = None) -> None:
        """Run a coroutine, after the one before it has ended."""
        self._waiting = True
        self._calls.add(lambda: self._loop.create_task(self._run(work, then)))

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
