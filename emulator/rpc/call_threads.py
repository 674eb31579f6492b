"""The threads of gRPC calls, and the cancellation of stalled calls that keep threads from others.

grpcio gives every call a thread and keeps it while the call waits for its client: for a message that does not arrive,
or for a client that does not read. So unary calls and streams have a pool each, and stalled streams never delay a unary
call. A stalled call continues as long as every other call of the pool gets a thread; if calls queue, those that have
waited for their clients longer than the pool's patience are cancelled, the longest first, one for each call in the
queue. A cancelled call counts as a thread that will be free soon, however long it takes to end, so that no more calls
are cancelled than necessary. grpcio reads the pool from the attribute `experimental_thread_pool` of a handler's
function.

The pool has its own queue and counter: the futures and semaphores of a `ThreadPoolExecutor`, the class that grpcio
expects, take a twentieth of the time of a call.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, TypeVar

import grpc

from emulator.core.clock import monotonic_ms
from emulator.core.threads import start_thread
from emulator.rpc.status import abort

CHECK_SECONDS = 0.25  # how often a pool with a queue looks for stalled calls
RECEIVE_SECONDS = 1.0  # the time to receive its message for a call that queued longer than the patience

Behaviour = TypeVar("Behaviour", bound=Callable[..., Any])
_Queued = tuple[float, Callable[..., Any], tuple[Any, ...]]  # when it arrived, and the call


class ClientWait:
    """The context manager of `CallThreads.waiting_for_client`: a class, because a generator is five times as slow."""

    __slots__ = ("_context", "_threads")

    def __init__(self, threads: CallThreads, context: grpc.ServicerContext) -> None:
        self._threads, self._context = threads, context

    def __enter__(self) -> None:
        self._threads.begin_wait(self._context)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.end_wait(self._context)


class CallThreads(ThreadPoolExecutor):
    """A pool of threads for calls of one kind. Threads are started on demand."""

    def __init__(
        self,
        kind: str,
        threads: int,
        patience_seconds: float,
        loop: asyncio.AbstractEventLoop,
        log: Callable[[str], None],
    ) -> None:
        super().__init__(threads)
        self._kind, self._thread_count, self._patience_seconds = kind, threads, patience_seconds
        self._loop, self._log = loop, log
        self._queue: queue.SimpleQueue[_Queued | None] = queue.SimpleQueue()  # None ends a thread
        self._lock = threading.Lock()  # guards the next four
        self._started = 0  # threads
        self._open = 0
        self._checking = False
        self._leaving: set[grpc.ServicerContext] = set()  # cancelled calls that still have their threads
        # Calls that wait for their clients, and when they are overdue.
        self._waits: dict[grpc.ServicerContext, float] = {}
        # .since: the last action of the client of the call in this thread; .context: of that call, while it waits
        self._current = threading.local()

    @property
    def open_calls(self) -> int:
        """Return the number of running and queued calls."""
        return self._open

    def runs(self, behaviour: Behaviour) -> Behaviour:
        """Mark a handler's function to run in this pool."""
        behaviour.experimental_thread_pool = self  # type: ignore[attr-defined]
        return behaviour

    def submit(self, function: Callable[..., Any], /, *arguments: Any) -> None:  # type: ignore[override]
        """Run a call in a thread, now or when one is free. grpcio needs a future only if it limits the calls."""
        with self._lock:
            self._open += 1
            needs_thread = self._started < min(self._open, self._thread_count)
            self._started += needs_thread
            begin = self._open > self._thread_count and not self._checking
            self._checking = self._checking or begin
        self._queue.put((monotonic_ms(), function, arguments))
        if needs_thread:
            self._start()
        if begin:
            self._loop.call_soon_threadsafe(self._check)

    def shutdown(self, wait: bool = False, *, cancel_futures: bool = False) -> None:
        """End the threads after the queued calls."""
        for _ in range(self._started):
            self._queue.put(None)

    def waiting_for_client(self, context: grpc.ServicerContext) -> ClientWait:
        """Mark a block, in the thread of a call, that only waits for the client of this call."""
        return ClientWait(self, context)

    def begin_wait(self, context: grpc.ServicerContext) -> None:
        """Note that the call in this thread waits for its client."""
        now = monotonic_ms()
        self._current.context = context
        self._waits[context] = max(self._current.since + self._patience_seconds * 1000, now + RECEIVE_SECONDS * 1000)

    def end_wait(self, context: grpc.ServicerContext) -> None:
        """Note that the client of the call in this thread has acted."""
        del self._waits[context]
        self._current.since = monotonic_ms()

    def only_message(self, raws: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        """Wait for the only message of a unary request; if there is none, end the call."""
        with self.waiting_for_client(context):
            raw = next(raws, None)
        if raw is None:
            abort(context, "UNIMPLEMENTED", "The call has no request message.")
        return raw

    def _start(self) -> None:
        """Start a thread; if the system has none left, the calls wait for the existing ones."""
        try:
            start_thread(self._work, f"grpc-{self._kind}")
        except RuntimeError as error:
            with self._lock:
                self._started -= 1
            self._log(f"No thread could be started for a gRPC call, so it waits until another call ends: {error}.")

    def _work(self) -> None:
        while (queued := self._queue.get()) is not None:
            self._run(*queued)
            del queued  # release the messages of the call

    def _run(self, arrived: float, function: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._current.since, self._current.context = arrived, None
        try:
            function(*arguments)
        except Exception as error:  # an error of grpcio itself, which catches those of a handler
            self._log(f"A gRPC call failed: {type(error).__name__}: {error}")
        finally:
            with self._lock:
                self._open -= 1
                self._leaving.discard(self._current.context)

    def _check(self) -> None:
        """Cancel stalled calls as long as others queue. Runs on the loop."""
        now = monotonic_ms()
        with self._lock:  # a call in `_waits` has not ended, and will remove itself from `_leaving`
            queued = self._open - self._thread_count
            self._checking = queued > 0
            if queued <= 0:
                return
            waits = [wait for wait in list(self._waits.items()) if wait[0] not in self._leaving and wait[1] <= now]
            waits.sort(key=lambda wait: wait[1])
            overdue = [context for context, _ in waits[: max(0, queued - len(self._leaving))]]
            self._leaving.update(overdue)
        for context in overdue:
            context.cancel()
        if overdue:
            self._log(
                f"Stalled gRPC calls were cancelled ({len(overdue)} of kind {self._kind}): their clients "
                f"neither sent nor read anything for {self._patience_seconds:g} s, and other calls queued."
            )
        self._loop.call_later(CHECK_SECONDS, self._check)
