"""The methods of the Chat service."""

from __future__ import annotations

from functools import partial

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.requests import Endpoint, ModelRequest, marks_citations
from emulator.operations.chat.completions import CreateCompletion, DeferredId
from emulator.rpc.chat.answers import write_answer, write_fetched, write_started
from emulator.rpc.chat.chunks import chunks_of
from emulator.rpc.chat.messages import CHAT_REQUEST
from emulator.rpc.requests import Message, Method

_SERVICE = "xai_api.Chat"


def read_completion(message: Message, *, stream: bool = False, deferred: bool = False) -> CreateCompletion:
    """Read a conversation. Raises ApiError for a model that is not there."""
    body = {**CHAT_REQUEST.to_json(message), "stream": stream}
    request = ModelRequest(
        *("", "", RequestKind.CHAT.value, message.model, {"messages": [], **body}),
        endpoint=Endpoint.GRPC,
        inline_citations=marks_citations(body),
    )
    return CreateCompletion(request, stream=stream, deferred=deferred)


def read_deferred_id(message: Message) -> DeferredId:
    """Ask for a deferred completion."""
    return DeferredId(message.request_id)


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
)
