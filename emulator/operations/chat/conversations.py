"""Conversations over several requests: load what a request continues, and store its answer for the next one.

`continue_conversation` comes before every check of a conversation, of live calls and of batches: it reads the stored
response that a request names and the encrypted content that it holds. `stored_response` makes what `store` keeps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import msgspec

from emulator.core import ids
from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import disk_unusable, invalid, is_of_disk
from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat import response_rules
from emulator.domain.chat.answers import Answer, Choice
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.conversation import messages_of
from emulator.domain.chat.encrypted_content import decode_messages, encode_messages
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.domain.chat.responses_body import chat_of
from emulator.domain.chat.stored import StoredResponse, conversation, input_items
from emulator.operations.base import Call
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.responses import size_of


def continue_conversation(services: Services, team: Team, at: Instant, request: ModelRequest) -> ModelRequest:
    """Return a request with the messages that it continues.

    Raises ApiError for a response that is not stored, and for encrypted content of another team.
    """
    if request.endpoint is Endpoint.CHAT:  # which has neither
        return request
    key = _key(services, team)
    restored = {content: decode_messages(content, key) for content in _encrypted(request)}
    history: Sequence[Json] = ()
    previous = request.chat.get("previous_response_id")
    if previous:
        stored = services.store.responses.get(team.name, str(previous), at)
        if stored is None:
            raise response_rules.not_found(str(previous))
        history = stored.messages
    if not history and not restored:
        return request
    return msgspec.structs.replace(request, history=tuple(history), restored=restored)


def _encrypted(request: ModelRequest) -> Iterator[str]:
    """The encrypted content of a request, that of reasoning included, which is checked and has no other effect."""
    given = request.body.get("input")
    items = given if isinstance(given, list) else messages_of(chat_of(RequestKind(request.kind), request.body))
    for item in items:
        content = item.get("encrypted_content") if isinstance(item, dict) else None
        if isinstance(content, str) and content:
            yield content


def _key(services: Services, team: Team) -> bytes:
    return ids.fixed_uuid(services.ids.seed, team.name, "encrypted content").encode()


def encrypted_messages(services: Services, team: Team, messages: Sequence[Json]) -> str:
    """Return messages as encrypted content that only this team can decode."""
    return encode_messages(messages, _key(services, team))


def with_encrypted_reasoning(services: Services, team: Team, request: ModelRequest, answer: Answer) -> Answer:
    """Return an answer with encrypted reasoning, if the request asks for it."""
    if not request.chat.get("use_encrypted_content") or not any(choice.reasoning for choice in answer.choices):
        return answer
    choices = [
        msgspec.structs.replace(choice, encrypted_reasoning=_encrypted_reasoning(services, team, choice))
        for choice in answer.choices
    ]
    return msgspec.structs.replace(answer, choices=tuple(choices))


def _encrypted_reasoning(services: Services, team: Team, choice: Choice) -> str:
    thought = {"role": "assistant", "reasoning_content": choice.reasoning}
    return encrypted_messages(services, team, [thought]) if choice.reasoning else ""


def keeper(services: Services, call: Call, request: ModelRequest, answer: Answer) -> Callable[[], None]:
    """Return a function that stores an answer, if the request asks for it.

    Raises ApiError for a conversation that is too large: a streamed answer is stored at its end, which is too late to
    refuse anything.
    """
    if not request.is_stored:
        return lambda: None
    response = _stored_response(call, request, answer)

    def keep() -> None:
        try:
            _keep(services, call, response)
        except OSError as error:
            if not is_of_disk(error):
                raise
            raise disk_unusable(error) from error

    return keep


def _stored_response(call: Call, request: ModelRequest, answer: Answer) -> StoredResponse:
    limits = call.team.limits
    response = StoredResponse(
        id=answer.id,
        created_at=call.at,
        expires_at=later(call.at, limits.stored_response_seconds * MICROSECONDS),
        answer=answer,
        input=input_items(request, answer.id),
        messages=conversation(request, answer),
    )
    most = limits.stored_response_bytes_max
    if most is not None and size_of(response) > most:
        sentence = f"The conversation has more than {most} bytes, so it cannot be stored: send store=false."
        raise invalid(sentence, rule="stored_response_bytes_max", param="store")
    return response


def _keep(services: Services, call: Call, response: StoredResponse) -> None:
    """Store a response, and delete the oldest ones if the team has too many."""
    most, team = call.team.limits.stored_responses_max, call.team.name
    with services.store.transaction():
        services.store.responses.insert(team, response)
        services.jobs.add(call.team, "expire_response", response.id, response.expires_at)
        surplus = 0 if most is None else services.store.responses.total(team) - most
        if surplus > 0:
            for id in services.store.responses.oldest(team, surplus):
                remove_response(services, team, id)


def remove_response(services: Services, team: str, id: str) -> bool:
    """Delete a stored response with its planned expiry; return whether it existed."""
    with services.store.transaction():
        services.store.jobs.cancel(team, "expire_response", id)
        return services.store.responses.delete(team, id)
