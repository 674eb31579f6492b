"""The paths of images and videos."""

from __future__ import annotations

from typing import Any

from emulator.core.errors import ApiError
from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.media import sources
from emulator.http.requests import Request
from emulator.http.responses import JsonResponse, Response
from emulator.operations.base import Call
from emulator.rest import serde_errors
from emulator.rest.chat import FromWholeJson
from emulator.rest.requests import FromPath
from emulator.rest.responses import AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import media as shapes


class FromMediaJson(FromWholeJson, frozen=True):
    """A body whose images and videos each need a URL or a file."""

    async def __call__(self, request: Request, call: Call) -> Any:
        read = await super().__call__(request, call)
        refused = _missing_url(read.request.body, request.received)
        if refused is not None:
            raise refused
        return read


def _missing_url(body: dict[str, Any], raw: bytes) -> ApiError | None:
    """Return the refusal of a source without a URL and a file (recorded for `image`, 2026-04)."""
    for name, source in sources(body):
        if not any(source.get(key) for key in ("url", "image_url", "file_id")):
            given = body[name]
            steps: list[str | int] = [name, given.index(source)] if isinstance(given, list) else [name]
            return serde_errors.missing_field(raw, steps, "url")
    return None


class AsVideoJson(AsJson, frozen=True):
    """A video: 202 while it is pending, then 200, also if it failed (recorded, 2026-04)."""

    def __call__(self, request: Request, result: Any) -> Response:
        return JsonResponse(self.make(result), 202 if result.status == "pending" else 200)


_IMAGES = AsJson(shapes.GeneratedImageResponse, shapes.images_json)
_STARTED = AsJson(shapes.StartDeferredResponse, shapes.started_json)

ROUTES: tuple[Route, ...] = (
    Route(
        "POST",
        "/v1/images/generations",
        "images.generate",
        FromMediaJson(shapes.GenerateImageRequest, shapes.create(RequestKind.IMAGE_GENERATION)),
        _IMAGES,
    ),
    Route(
        "POST",
        "/v1/images/edits",
        "images.edit",
        FromMediaJson(shapes.EditImageRequest, shapes.create(RequestKind.IMAGE_EDIT)),
        _IMAGES,
    ),
    Route(
        "POST",
        "/v1/videos/generations",
        "videos.generate",
        FromMediaJson(shapes.GenerateVideoRequest, shapes.create(RequestKind.VIDEO_GENERATION)),
        _STARTED,
    ),
    Route(
        "POST",
        "/v1/videos/edits",
        "videos.edit",
        FromMediaJson(shapes.EditVideoRequest, shapes.create(RequestKind.VIDEO_GENERATION)),
        _STARTED,
    ),
    Route(
        "POST",
        "/v1/videos/extensions",
        "videos.extend",
        FromMediaJson(shapes.ExtendVideoRequest, shapes.create(RequestKind.VIDEO_EXTENSION)),
        _STARTED,
    ),
    Route(
        "GET",
        "/v1/videos/{request_id}",
        "videos.get",
        FromPath(shapes.video_id),
        AsVideoJson(shapes.VideoResponse, shapes.video_json),
    ),
)
