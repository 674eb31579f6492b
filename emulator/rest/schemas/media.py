"""Images and videos in JSON (OpenAPI: GenerateImageRequest to VideoResponse). Refusals name these structs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, Struct, UnsetType

from emulator.domain.batches.batch import RequestKind
from emulator.domain.batches.bodies import (
    ImageEditBody,
    ImageGenerationBody,
    VideoEditBody,
    VideoExtensionBody,
    VideoGenerationBody,
)
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.operations.chat.completions import DeferredId, Started
from emulator.operations.media.answering import CreateMedia
from emulator.operations.media.images import Images
from emulator.operations.media.videos import VideoView

Path = Mapping[str, str]


class GenerateImageRequest(ImageGenerationBody):
    """The body of `POST /v1/images/generations`."""


class EditImageRequest(ImageEditBody, kw_only=True):
    """The body of `POST /v1/images/edits`."""


class GenerateVideoRequest(VideoGenerationBody):
    """The body of `POST /v1/videos/generations`."""


class EditVideoRequest(VideoEditBody):
    """The body of `POST /v1/videos/edits`."""


class ExtendVideoRequest(VideoExtensionBody):
    """The body of `POST /v1/videos/extensions`."""


class FileOutputJson(Struct):
    """The file that `storage_options` requested; times in Unix seconds."""

    file_id: str
    filename: str
    expires_at: int | UnsetType = UNSET
    public_url: str | UnsetType = UNSET
    public_url_expires_at: int | UnsetType = UNSET
    public_url_error: str | UnsetType = UNSET


class GeneratedImageJson(Struct):
    """An image: its URL, or its bytes in base64."""

    url: str | UnsetType = UNSET
    b64_json: str | UnsetType = UNSET
    mime_type: str | UnsetType = UNSET
    revised_prompt: str | UnsetType = UNSET
    file_output: FileOutputJson | UnsetType = UNSET
    storage_error: str | UnsetType = UNSET


class MediaUsage(Struct):
    """The cost in ticks of 1e-10 US dollar."""

    cost_in_usd_ticks: int


class GeneratedImageResponse(Struct):
    """The images of a request."""

    data: list[GeneratedImageJson]
    usage: MediaUsage


class StartDeferredResponse(Struct):
    """The request id of a video."""

    request_id: str


class GeneratedVideoJson(Struct):
    """A video; the duration is in seconds."""

    url: str
    duration: int
    respect_moderation: bool
    file_output: FileOutputJson | UnsetType = UNSET
    storage_error: str | UnsetType = UNSET


class VideoErrorJson(Struct):
    """The reason why a video failed."""

    code: str
    message: str


class VideoResponse(Struct):
    """The current state of a video; the progress is in percent."""

    status: str
    video: GeneratedVideoJson | UnsetType = UNSET
    error: VideoErrorJson | UnsetType = UNSET
    model: str | UnsetType = UNSET
    usage: MediaUsage | UnsetType = UNSET
    progress: int | UnsetType = UNSET


def create(kind: RequestKind) -> Callable[[Path, dict[str, Any]], CreateMedia]:
    """Return a reader of bodies of a kind."""

    def read(path: Path, body: dict[str, Any]) -> CreateMedia:
        return CreateMedia(ModelRequest("", "", kind.value, body.get("model") or "", body, endpoint=Endpoint.MEDIA))

    return read


def video_id(path: Path) -> DeferredId:
    """Return a request for a video."""
    return DeferredId(path["request_id"])


def images_json(result: Images) -> dict[str, Any]:
    """Render images. Over REST the response does not name the model (recorded, 2026-04)."""
    return {name: value for name, value in result.members.items() if name != "model"}


def started_json(result: Started) -> StartDeferredResponse:
    """Render the request id of a video."""
    return StartDeferredResponse(result.request_id)


def video_json(result: VideoView) -> dict[str, Any]:
    """Render a video; a pending one has its progress."""
    if result.status == "pending":
        return {"status": result.status, "progress": result.progress}
    return result.members or {"status": result.status}
