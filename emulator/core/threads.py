"""Work off the loop, in threads that hold up neither the loop's end nor the process'."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

T = TypeVar("T")

THREADS = 16


async def each_in_threads(work: Callable[[T], Any], items: Sequence[T], *, threads: int = THREADS) -> list[Any]:
    """What `work` says to each item, in order; what it raises takes the place of the answer."""
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
        threading.Thread(target=run, name="xai-emulator-work", daemon=True).start()
    if threads:
        await done.wait()
    return answers


def _answer(work: Callable[[T], Any], item: T) -> Any:
    try:
        return work(item)
    except Exception as error:
        return error
    except BaseException as error:  # sys.exit() in a responder ends a request, not a thread that others wait for
        return RuntimeError(f"{type(error).__name__}: {error}")
