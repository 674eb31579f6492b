"""Read the messages and parts of a chat body, which may have any shape."""

from __future__ import annotations

from typing import Any

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.responses_body import chat_of


def text_of(message: Any) -> str:
    """Return the text of one message: its text parts, one per line."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    return "\n".join(text for part in parts if isinstance(part, dict) and isinstance(text := part.get("text"), str))


def messages_of(chat: Json) -> list[Json]:
    """Return the messages of a chat body."""
    messages = chat.get("messages")
    return [message for message in messages if isinstance(message, dict)] if isinstance(messages, list) else []


def prompt_of(kind: RequestKind, body: Json) -> str:
    """Return the text of the last user message (or else of the last message), or the prompt of an image or video."""
    if kind not in (RequestKind.CHAT, RequestKind.RESPONSES):
        prompt = body.get("prompt")
        return prompt if isinstance(prompt, str) else ""
    return user_text_of(messages_of(chat_of(kind, body)))


def user_text_of(messages: list[Json]) -> str:
    """Return the text of the last user message, or else of the last message."""
    by_user = [message for message in messages if message.get("role") == "user"]
    return text_of((by_user or messages or [{}])[-1])


def parts_of(chat: Json, type: str) -> list[Json]:
    """Return the parts of a type in all messages."""
    return [part for part in all_parts_of(messages_of(chat)) if part.get("type") == type]


def all_parts_of(messages: list[Json]) -> list[Json]:
    """Return the parts of messages, of any type."""
    contents = [message.get("content") for message in messages]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    return [part for part in parts if isinstance(part, dict)]
