"""Operations called without a transport: what comes out of the pipeline goes in, and the answer comes back as it is."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from emulator.core import time_slices
from emulator.core.clock import MICROSECONDS
from emulator.core.errors import ApiError
from emulator.operations import OPERATIONS
from emulator.operations.base import Call, Content, Envelope
from emulator.operations.files.upload import UploadFile
from emulator.pipeline.begin import begin
from emulator.state.services import Services


def call_of(services: Services, name: str, key: str = "xai-emulator") -> Call:
    """Begin a call of the default team."""

    async def read(call: Call) -> Any:
        raise AssertionError("the request was decoded before")

    return begin(services, OPERATIONS[name], "rest", key, "http://localhost", read, Envelope())


def run(services: Services, name: str, request: Any) -> Coroutine[Any, Any, Any]:
    """What an operation answers."""
    call = call_of(services, name)
    return call.operation.run(services, call, request)  # type: ignore[return-value]


def stepwise(call: Coroutine[Any, Any, Any], after_step: Callable[[int], None]) -> None:
    """Run a call that waits for nothing, and something after each of its steps."""
    step = 0
    while True:
        try:
            call.send(None)
        except StopIteration:
            return
        step += 1
        after_step(step)


async def refusal(answer: Coroutine[Any, Any, Any]) -> tuple[str | None, str | None]:
    """The rule and the field that a call is refused for."""
    try:
        await answer
    except ApiError as error:
        return error.rule, error.param
    raise AssertionError("it was not refused")


def advance(services: Services, seconds: float) -> None:
    """Move the clock of the default team. What becomes due is left to lie."""
    services.teams.get("default").clock.advance(round(seconds * MICROSECONDS))


async def pieces(*content: bytes) -> AsyncIterator[bytes]:
    """Content as it arrives."""
    for piece in content:
        yield piece


async def uploaded(services: Services, name: str = "a.txt", content: bytes = b"text", **fields: Any) -> str:
    """The id of a new file."""
    file = await run(services, "files.upload", UploadFile(name, pieces(content), **fields))
    id: str = file.id
    return id


def rows(services: Services, sql: str) -> list[Any]:
    """What is stored."""
    return services.store.database.rows(sql)


def planned(services: Services, kind: str) -> int:
    """How many jobs of a kind there are."""
    return len(rows(services, f"SELECT 1 FROM jobs WHERE kind = '{kind}'"))


async def bytes_of(content: Content, *part: int) -> bytes:
    """Content that is read, whole or in part."""
    return b"".join([piece async for piece in content.read(*part)])


def blobs(services: Services) -> int:
    """How many contents there are on the disk."""
    return len(list(services.store.blobs._blobs.iterdir()))


def end_slices_after(steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a slice of processor time be so many steps of a loop, so that nothing depends on the machine."""
    passed = itertools.count()
    monkeypatch.setattr(time_slices, "processor_seconds", lambda: next(passed))
    monkeypatch.setattr(time_slices, "SLICE_SECONDS", steps)


@contextmanager
def turns(sample: Callable[[], Any]) -> Iterator[list[Any]]:
    """Collect the value of `sample` each time that the event loop runs other tasks."""
    had: list[Any] = []

    async def other() -> None:
        while True:
            had.append(sample())
            await asyncio.sleep(0)

    task = asyncio.create_task(other())
    yield had
    task.cancel()
