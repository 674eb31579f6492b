"""Videos: generated, edited or extended in the background, and fetched by a request id."""

from __future__ import annotations

from typing import Literal

import msgspec

from emulator.core.clock import MICROSECONDS, Instant, later
from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Confidence
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.media import failed_video
from emulator.domain.chat.requests import ModelRequest
from emulator.domain.keys import Plane
from emulator.domain.quotas import check_team_quota
from emulator.domain.speeds import STAGE, first_due
from emulator.operations.base import Call, Operation
from emulator.operations.chat.completions import DeferredId, Started
from emulator.operations.media.answering import CreateMedia, answer, check
from emulator.operations.media.making import add_media
from emulator.operations.media.urls import absolute_members
from emulator.state.services import Services
from emulator.state.teams import Team
from emulator.store.videos import DeferredVideo

REALISTIC = 4 * STAGE  # microseconds from the request to the video; assumed
PROGRESS_MAX = 99  # percent, of a video that is pending (OpenAPI: VideoResponse.progress)
_NEEDED = ("prompt", "aspect_ratio", "duration", "seconds", "storage_options")  # to make the video when it is due
_ERROR_CODES = {  # OpenAPI: VideoErrorCode
    Kind.INVALID_ARGUMENT: "invalid_argument",
    Kind.PERMISSION_DENIED: "permission_denied",
    Kind.UNAVAILABLE: "service_unavailable",
}


class VideoView(msgspec.Struct, frozen=True):
    """The state of a video. `members` is the JSON of its result, empty while it is pending and after it expired."""

    status: Literal["pending", "done", "failed", "expired"]
    progress: int = 0  # percent
    members: Json = {}


async def generate_video(services: Services, call: Call, request: CreateMedia) -> Started:
    """Start to generate a video."""
    return await _start(services, call, request.request)


async def edit_video(services: Services, call: Call, request: CreateMedia) -> Started:
    """Start to edit a video."""
    return await _start(services, call, request.request)


async def extend_video(services: Services, call: Call, request: CreateMedia) -> Started:
    """Start to extend a video."""
    return await _start(services, call, request.request)


async def _start(services: Services, call: Call, request: ModelRequest) -> Started:
    """Call the responder at once, and publish its result at the speed of batches."""
    check(services, call, request)
    present = services.store.videos.total(call.team.name)
    check_team_quota(present, call.team.limits, "deferred_videos_max", "videos")
    try:
        result, delay = await answer(services, call, request)
    except ApiError as error:
        result, delay = failed_video(_ERROR_CODES.get(error.kind, "internal_error"), error.message), 0
    _insert(services, call, id := services.ids.uuid(call.team), request, result, delay)
    return Started(id)


def _insert(services: Services, call: Call, id: str, request: ModelRequest, result: Json, delay: int) -> None:
    team, at = call.team, call.at
    due = first_due(team.batches, later(at, delay), REALISTIC)
    lifetime = team.limits.deferred_video_seconds * MICROSECONDS
    expires = later(at, lifetime)
    with services.store.transaction():
        services.teams.keep(team)
        if due == at:
            add_media(services, team, request, result, at)
        kept = {"kind": request.kind, "body": {name: request.body.get(name) for name in _NEEDED}}
        encoded = (msgspec.json.encode(kept), msgspec.json.encode(result))
        services.store.videos.insert(team.name, DeferredVideo(id, *encoded, due == at, at, due, expires))
        if due != at:
            services.jobs.add(team, "complete_video", id, due)
        services.jobs.add(team, "delete_video", id, later(expires, lifetime))  # until then it shows as expired


def complete_video(services: Services, team: Team, video: DeferredVideo, at: Instant) -> None:
    """Create a video that is due, so that it can be fetched. In a transaction."""
    request, result = msgspec.json.decode(video.request), msgspec.json.decode(video.result)
    try:
        add_media(services, team, ModelRequest("", "", request["kind"], "", request["body"]), result, at)
    except ApiError as error:
        result = failed_video("failed_precondition", error.message)
    services.store.videos.finish(team.name, video.id, msgspec.json.encode(result))


async def get_video(services: Services, call: Call, request: DeferredId) -> VideoView:
    """Return a video, or its progress."""
    video = services.store.videos.get(call.team.name, request.request_id)
    if video is None:
        sentence = "No deferred video could be found with the given request_id."  # OpenAPI: the 404 of this path
        raise ApiError(Kind.NOT_FOUND, sentence, rule="not_found", param="request_id")
    if video.expires_at <= call.at:
        return VideoView("expired")
    if not video.is_ready:
        return VideoView("pending", _progress(video, call.at))
    members = absolute_members(services, call, video.result)
    return VideoView("failed" if members["status"] == "failed" else "done", 100, members)


def _progress(video: DeferredVideo, at: Instant) -> int:
    if video.due_at is None:
        return 0
    done = 100 * (at - video.created_at) // (video.due_at - video.created_at)
    return max(0, min(PROGRESS_MAX, done))


_RECORDED = Confidence.RECORDED

OPERATIONS = (
    Operation(
        "videos.generate",
        *(Plane.INFERENCE, CreateMedia, generate_video),
        "OpenAPI: POST /v1/videos/generations; recorded live, 2026-04",
        _RECORDED,
        decode_first=True,  # recorded, 2026-03
    ),
    Operation(
        "videos.edit",
        *(Plane.INFERENCE, CreateMedia, edit_video),
        "OpenAPI: POST /v1/videos/edits",
        decode_first=True,
    ),
    Operation(
        "videos.extend",
        *(Plane.INFERENCE, CreateMedia, extend_video),
        "OpenAPI: POST /v1/videos/extensions",
        decode_first=True,
    ),
    Operation(
        "videos.get",
        *(Plane.INFERENCE, DeferredId, get_video),
        "OpenAPI: GET /v1/videos/{request_id}; recorded live, 2026-04",
        _RECORDED,
    ),
)
