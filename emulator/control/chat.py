"""The searches that a model endpoint runs before it answers, with the rank and score of each passage."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.core.errors import ApiError, Kind
from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.evidence import Passage, Search
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.operations.chat.answering import prepare
from emulator.operations.chat.conversations import continue_conversation

_KINDS = {"chat": RequestKind.CHAT, "responses": RequestKind.RESPONSES}


class ChatSearch(Struct, forbid_unknown_fields=True):
    """A model request: the endpoint and the JSON of its body."""

    endpoint: Literal["chat", "responses"]
    body: dict[str, Any]


class PassageShown(Struct):
    """A matching passage. `collection_id` is null for an attached file."""

    rank: int
    score: float
    file_id: str
    filename: str
    collection_id: str | None
    text: str


class SearchShown(Struct):
    """One search. `opening` is the part of an attached file that an answer may quote if no passage matched."""

    tool: str
    query: str
    limit: int
    mode: str
    passages: list[PassageShown]
    opening: PassageShown | None
    notes: list[str]


class SearchesShown(Answer):
    """The searches of a model request, in their order."""

    searches: list[SearchShown]


async def searches(request: ControlRequest) -> SearchesShown:
    """Run only the searches of a model request. Rules do not count it, and the journal does not show it."""
    given: ChatSearch = request.body
    team, services = request.team, request.services
    model = given.body.get("model")
    model_request = ModelRequest(
        *("", "", _KINDS[given.endpoint].value, model if isinstance(model, str) else "", given.body),
        endpoint=Endpoint(given.endpoint),
    )
    try:
        responder, at = services.responders.of(team), team.clock.now()
        whole = continue_conversation(services, team, at, model_request)
        prepared = await prepare(services, team, at, whole, responder)
    except ApiError as error:
        raise ControlError(404 if error.kind is Kind.NOT_FOUND else 422, error.message) from None
    except ValueError as error:  # a file of rules that was deleted since the last start
        raise ControlError(422, str(error)) from None
    return SearchesShown(searches=[_search(each) for each in prepared.evidence])


def _search(search: Search) -> SearchShown:
    return SearchShown(
        tool=search.tool.value,
        query=search.query,
        limit=search.limit,
        mode=search.mode,
        passages=[_passage(rank, each) for rank, each in enumerate(search.passages, 1)],
        opening=None if search.opening is None else _passage(1, search.opening),
        notes=list(search.notes),
    )


def _passage(rank: int, passage: Passage) -> PassageShown:
    collection = passage.collection_ids[0] if passage.collection_ids else None
    return PassageShown(rank, passage.score, passage.file_id, passage.filename, collection, passage.text)


ROUTES = (ControlRoute("POST", "/chat/searches", searches, SearchesShown, ChatSearch, reads=True, refusals=(404, 422)),)
