"""The methods of the Chat service."""

from __future__ import annotations

from functools import partial

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.operations.chat.completions import CreateCompletion, DeferredId
from emulator.operations.chat.responses import CompactContext, Compacted, ResponseId
from emulator.rpc.chat.answers import write_answer, write_fetched, write_started
from emulator.rpc.chat.chunks import chunks_of
from emulator.rpc.chat.messages import CHAT_REQUEST, MESSAGE
from emulator.rpc.chat.parts import usage_message
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method

_SERVICE = "xai_api.Chat"


def read_completion(message: Message, *, stream: bool = False, deferred: bool = False) -> CreateCompletion:
    """Read a conversation."""
    body = {**CHAT_REQUEST.to_json(message), "stream": stream}
    return CreateCompletion(_asked(message.model, body), stream=stream, deferred=deferred)


def _asked(model: str, body: Json) -> ModelRequest:
    return ModelRequest("", "", RequestKind.CHAT.value, model, {"messages": [], **body}, endpoint=Endpoint.GRPC)


def read_deferred_id(message: Message) -> DeferredId:
    """Return a request for a deferred completion."""
    return DeferredId(message.request_id, shows_expiry=True)


def read_response_id(message: Message) -> ResponseId:
    """Return a request for a stored completion."""
    return ResponseId(message.response_id)


def write_deleted(deleted: ResponseId) -> Message:
    """Render the id of a deleted completion."""
    return load().message("xai_api.DeleteStoredCompletionResponse")(response_id=deleted.response_id)


def read_compaction(message: Message) -> CompactContext:
    """Read a conversation to compact."""
    conversation = {"messages": [MESSAGE.to_json(each) for each in message.input]}
    return CompactContext(_asked(message.model, {"model": message.model, **conversation}))


def write_compacted(compacted: Compacted) -> Message:
    """Render a compacted conversation."""
    return load().message("xai_api.CompactContextResponse")(
        id=compacted.id,
        encrypted_content=compacted.encrypted_content,
        dropped_message_count=compacted.messages_count,
        usage=usage_message(compacted.usage),
    )


def write_chunk(chunk: Message) -> Message:
    """Return a chunk as it is."""
    return chunk


METHODS = (
    Method(_SERVICE, "GetCompletion", "chat.create", read_completion, write_answer),
    Method(
        *(_SERVICE, "GetCompletionChunk", "chat.create", partial(read_completion, stream=True), write_chunk),
        pieces=chunks_of,
    ),
    Method(
        *(_SERVICE, "StartDeferredCompletion", "chat.create", partial(read_completion, deferred=True)),
        write_started,
    ),
    Method(_SERVICE, "GetDeferredCompletion", "chat.get_deferred", read_deferred_id, write_fetched),
    Method(_SERVICE, "GetStoredCompletion", "responses.get", read_response_id, write_answer),
    Method(_SERVICE, "DeleteStoredCompletion", "responses.delete", read_response_id, write_deleted),
    Method(_SERVICE, "CompactContext", "responses.compact", read_compaction, write_compacted),
)
