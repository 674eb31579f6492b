"""What threads have the loop call: in order, however many wake it, and when the sockets are closed already."""

from __future__ import annotations

import asyncio
import threading

from emulator.rpc.loop_work import LoopCalls

COUNT = 2_000  # more wake-ups than a socket holds
PATIENCE_SECONDS = 30


async def test_functions_of_a_thread_run_on_the_loop_in_order() -> None:
    """Also while the loop is busy and what wakes it fills the socket."""
    calls = LoopCalls(asyncio.get_running_loop())
    seen: list[int] = []
    done = asyncio.Event()

    def add_all() -> None:
        for number in range(COUNT):
            calls.add(lambda number=number: seen.append(number))  # type: ignore[misc]

    thread = threading.Thread(target=add_all)
    thread.start()
    thread.join()  # without a turn of the loop
    calls.add(done.set)
    await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
    calls.close()
    assert seen == list(range(COUNT))


async def test_function_added_after_close_runs() -> None:
    """A call that outlives the stop of the server still ends on the loop."""
    calls = LoopCalls(asyncio.get_running_loop())
    done = asyncio.Event()
    calls.close()
    calls.add(done.set)
    await asyncio.wait_for(done.wait(), PATIENCE_SECONDS)
