"""Stored and compacted conversations under the unmodified xai-sdk."""

from __future__ import annotations

import grpc
import pytest
import xai_sdk
from xai_sdk.chat import user

MODEL = "grok-4.3"


def test_stored_completion_is_read_and_deleted(client: xai_sdk.Client) -> None:
    asked = client.chat.create(MODEL, messages=[user("Hello")], store_messages=True).sample()
    [found] = client.chat.get_stored_completion(asked.id)
    assert (found.id, found.content, found.usage) == (asked.id, asked.content, asked.usage)
    assert client.chat.delete_stored_completion(asked.id) == asked.id
    with pytest.raises(grpc.RpcError) as refused:
        client.chat.get_stored_completion(asked.id)
    assert refused.value.code() is grpc.StatusCode.NOT_FOUND


def test_conversation_continues_stored_completion(client: xai_sdk.Client) -> None:
    first = client.chat.create(MODEL, messages=[user("my name is Ada")], store_messages=True).sample()
    second = client.chat.create(MODEL, messages=[user("and now?")], previous_response_id=first.id).sample()
    assert second.content == "and now?"
    assert second.usage.prompt_tokens > first.usage.prompt_tokens


def test_streamed_completion_is_stored(client: xai_sdk.Client) -> None:
    *_, (response, _) = client.chat.create(MODEL, messages=[user("one two")], store_messages=True).stream()
    [found] = client.chat.get_stored_completion(response.id)
    assert found.content == "one two"


def test_compacted_conversation_goes_on(client: xai_sdk.Client) -> None:
    chat = client.chat.create(MODEL, messages=[user("my name is Ada")])
    chat.append(chat.sample())
    before = len(chat.messages)
    chat.compact()
    assert len(chat.messages) < before
    chat.append(user("and now?"))
    assert chat.sample().content == "and now?"


async def test_async_client_stores_and_reads(async_client: xai_sdk.AsyncClient) -> None:
    asked = await async_client.chat.create(MODEL, messages=[user("Hello")], store_messages=True).sample()
    [found] = await async_client.chat.get_stored_completion(asked.id)
    assert found.content == "Hello"
    assert await async_client.chat.delete_stored_completion(asked.id) == asked.id
