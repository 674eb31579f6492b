"""Answer requests for images and videos: check them, call the responder, complete and price the result."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from emulator.core.clock import Instant
from emulator.core.errors import ApiError, Kind
from emulator.domain.batches.batch import ResultKind
from emulator.domain.batches.checks import file_ids
from emulator.domain.batches.results import cost_of
from emulator.domain.chat.answers import BadAnswer
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.media import check_file_type, check_media, check_model, image_result, sources, video_result
from emulator.domain.chat.pace import Paced
from emulator.domain.chat.requests import ModelRequest
from emulator.operations.base import Call
from emulator.operations.chat.answering import check_said, invalid_result, refusal, responder_of
from emulator.state.services import Services
from emulator.state.teams import Team


class CreateMedia(msgspec.Struct, frozen=True):
    """A request for images, or for a video."""

    request: ModelRequest


def check(services: Services, call: Call, request: ModelRequest) -> None:
    """Refuse an invalid request. Raises ApiError."""
    if call.team.models != "any":
        check_model(request, services.ids.of_team(call.team))
    check_media(request)
    check_files(services, call.team, call.at, request, file_ids(request.body))


def check_files(services: Services, team: Team, at: Instant, request: ModelRequest, ids: Iterable[str]) -> None:
    """Refuse files that do not exist and, for images and videos, files of the wrong type."""
    files = {id: services.store.files.get(team.name, id, at) for id in ids}
    for id, file in files.items():
        if file is None:
            raise ApiError(Kind.NOT_FOUND, f"File {id} not found", rule="not_found")
    for name, source in () if request.result_kind is ResultKind.CHAT else sources(request.body):
        file = files.get(source.get("file_id") or "")
        if file is not None:
            check_file_type(name, file.id, file.content_type)


async def answer(services: Services, call: Call, request: ModelRequest) -> tuple[Json, int]:
    """Return the result of a checked request, without the media that are created later, and its delay.

    The delay is in microseconds by the team's clock; the responder decides it. Raises ApiError.
    """
    responder = responder_of(services, call.team)
    [said] = await responder.answer([request.changed(team=call.team.name)])
    pace, said = (said.pace, said.said) if isinstance(said, Paced) else (None, said)
    check_said(said)
    complete = image_result if request.result_kind is ResultKind.IMAGE else video_result
    try:
        result = complete(request, said)
        cost_of(result)  # refuses what is no cost
        msgspec.json.encode(result)  # refuses text that is no UTF-8
    except (BadAnswer, TypeError, ValueError, RecursionError) as error:
        raise refusal(invalid_result(error)) from None
    return result, 0 if pace is None else pace.delay_microseconds
