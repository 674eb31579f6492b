"""Blocking work in threads: results, errors, and callers that leave."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

from emulator.core.threads import in_thread, map_in_threads


def fail(error: BaseException) -> Callable[[], None]:
    """Work that raises."""

    def work() -> None:
        raise error

    return work


async def test_result_of_work_is_returned() -> None:
    """It is made in a thread of that name, which does not keep the process from ending."""
    thread = await in_thread(threading.current_thread, "test")
    assert (thread.name, thread.daemon) == ("xai-emulator-test", True)
    assert thread is not threading.current_thread()


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(3)])
async def test_error_of_work_is_raised(error: BaseException) -> None:
    """The same error, also one that would end a thread silently."""
    with pytest.raises(type(error)) as caught:
        await in_thread(fail(error), "test")
    assert caught.value is error


async def test_stop_iteration_of_work_is_raised_as_runtime_error() -> None:
    """A future does not take it."""
    with pytest.raises(RuntimeError, match="StopIteration"):
        await in_thread(fail(StopIteration()), "test")


async def test_end_of_work_is_noticed_after_the_caller_has_left() -> None:
    """Not before the work has ended, and without an error."""
    go_on, ended = threading.Event(), asyncio.Event()
    future = in_thread(go_on.wait, "test", ended=ended.set)
    future.cancel()
    await asyncio.sleep(0)
    assert not ended.is_set()
    go_on.set()
    async with asyncio.timeout(60):
        await ended.wait()


async def test_errors_take_the_place_of_results() -> None:
    """In the order of the items."""
    found = await map_in_threads(lambda number: 6 // number, [1, 0, 3], threads=2)
    assert (found[0], type(found[1]), found[2]) == (6, ZeroDivisionError, 2)
