"""The Image and Video services."""

from __future__ import annotations

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.requests import Endpoint, ModelRequest
from emulator.operations.chat.completions import DeferredId
from emulator.operations.media.answering import CreateMedia
from emulator.operations.media.images import Images
from emulator.operations.media.videos import VideoView
from emulator.rpc.batches.media import EXTENSION_REQUEST, IMAGE_REQUEST, IMAGE_RESPONSE, VIDEO_REQUEST, VIDEO_RESPONSE
from emulator.rpc.chat.answers import write_started
from emulator.rpc.fields import Shape
from emulator.rpc.messages import load
from emulator.rpc.requests import Message, Method


def _read(message: Message, kind: RequestKind, shape: Shape) -> CreateMedia:
    request = ModelRequest("", "", kind.value, message.model, shape.to_json(message), endpoint=Endpoint.GRPC)
    return CreateMedia(request)


def read_images(message: Message) -> CreateMedia:
    """Read a request for images; one with an input image is an edit."""
    is_edit = message.HasField("image") or bool(message.images)
    return _read(message, RequestKind.IMAGE_EDIT if is_edit else RequestKind.IMAGE_GENERATION, IMAGE_REQUEST)


def read_video(message: Message) -> CreateMedia:
    """Read a request for a video."""
    return _read(message, RequestKind.VIDEO_GENERATION, VIDEO_REQUEST)


def read_extension(message: Message) -> CreateMedia:
    """Read a request to extend a video."""
    return _read(message, RequestKind.VIDEO_EXTENSION, EXTENSION_REQUEST)


def read_video_id(message: Message) -> DeferredId:
    """Return a request for a video."""
    return DeferredId(message.request_id)


def write_images(images: Images) -> Message:
    """Render images."""
    return IMAGE_RESPONSE.to_message(images.members)


def write_video(video: VideoView) -> Message:
    """Render the current state of a video."""
    response = VIDEO_RESPONSE.to_message(video.members) if video.members else None
    if video.status == "pending":
        response = VIDEO_RESPONSE.to_message({"progress": video.progress})
    status = load().enum("xai_api.DeferredStatus").values_by_name[video.status.upper()].number
    return load().message("xai_api.GetDeferredVideoResponse")(status=status, response=response)


_IMAGE, _VIDEO = "xai_api.Image", "xai_api.Video"

METHODS = (
    Method(_IMAGE, "GenerateImage", "images.generate", read_images, write_images),
    Method(_VIDEO, "GenerateVideo", "videos.generate", read_video, write_started),
    Method(_VIDEO, "ExtendVideo", "videos.extend", read_extension, write_started),
    Method(_VIDEO, "GetDeferredVideo", "videos.get", read_video_id, write_video),
)
