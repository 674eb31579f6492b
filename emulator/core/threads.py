"""Blocking work in threads that delay neither the end of the event loop nor that of the process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = 16


def start_thread(work: Callable[[], object], name: str) -> threading.Thread:
    """Start a daemon thread `xai-emulator-NAME`."""
    thread = threading.Thread(target=work, name=f"xai-emulator-{name}", daemon=True)
    thread.start()
    return thread


def in_thread(work: Callable[[], T], name: str, *, ended: Callable[[], object] = lambda: None) -> asyncio.Future[T]:
    """Run blocking work in its own thread; the future gets its result or exception.

    Unlike a thread of an executor it does not delay the end of the loop or the process, and starts at once. `ended` is
    called on the loop when the work has ended, whether or not the future is still awaited.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()

    def deliver(result: Any, error: BaseException | None) -> None:
        ended()
        if future.done():  # it was cancelled
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def run() -> None:
        result: Any = None
        error: BaseException | None = None
        try:
            result = work()
        except StopIteration as raised:  # futures reject StopIteration
            error = RuntimeError(repr(raised))
        except BaseException as raised:
            error = raised
        with suppress(RuntimeError):  # the loop is closed, so no caller waits
            loop.call_soon_threadsafe(deliver, result, error)

    start_thread(run, name)
    return future


async def map_in_threads(work: Callable[[T], Any], items: Sequence[T], *, threads: int = THREADS) -> list[Any]:
    """Return the result of `work` for each item, in order; an exception takes the place of a result."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    answers: list[Any] = [None] * len(items)
    numbers, lock = iter(range(len(items))), threading.Lock()
    threads = min(threads, len(items))
    left = threads

    def run() -> None:
        nonlocal left
        while True:
            with lock:
                number = next(numbers, None)
            if number is None:
                break
            answers[number] = _answer(work, items[number])
        with lock:
            left -= 1
            last = left == 0
        if last and not loop.is_closed():
            loop.call_soon_threadsafe(done.set)

    for _ in range(threads):
        start_thread(run, "work")
    if threads:
        await done.wait()
    return answers


def _answer(work: Callable[[T], Any], item: T) -> Any:
    try:
        return work(item)
    except Exception as error:
        return error
    except BaseException as error:  # sys.exit() in a responder ends its request only; callers wait for this thread
        return RuntimeError(f"{type(error).__name__}: {error}")
