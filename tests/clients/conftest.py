"""The unmodified xai-sdk on an emulator that was reset; a module with another client has fixtures of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import xai_sdk

from emulator import Emulator


@pytest.fixture
def client(emulator: Emulator) -> Iterator[xai_sdk.Client]:
    """The synchronous client."""
    emulator.reset()
    keys = {"api_key": emulator.api_key, "management_api_key": emulator.management_key}
    hosts = {"api_host": emulator.grpc_target, "management_api_host": emulator.grpc_target}
    with xai_sdk.Client(**keys, **hosts) as client:
        yield client


@pytest.fixture
async def async_client(emulator: Emulator) -> AsyncIterator[xai_sdk.AsyncClient]:
    """The asynchronous client."""
    emulator.reset()
    client = xai_sdk.AsyncClient(api_key=emulator.api_key, api_host=emulator.grpc_target)
    yield client
    await client.close()
