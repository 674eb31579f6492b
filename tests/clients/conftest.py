"""Unmodified clients on an emulator that was reset: xai-sdk, synchronous and asynchronous, and openai."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import openai
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


@pytest.fixture
def openai_client(emulator: Emulator) -> Iterator[openai.OpenAI]:
    """The openai client, without retries."""
    emulator.reset()
    with openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key, max_retries=0) as client:
        yield client
