"""The bodies of batch requests: the documented schema of each kind, and the validation of a body.

Only documented members are checked, and only their types (OpenAPI: ChatRequest, ModelRequest, GenerateImageRequest,
EditImageRequest, GenerateVideoRequest, EditVideoRequest, ExtendVideoRequest; and further members of xai-sdk's
messages). A body is stored as sent, including unknown members.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import Struct

from emulator.domain.batches.batch import RequestKind
from emulator.domain.chat.bodies import ChatBody, ImageUrl, Int32, ResponsesBody

AspectRatio = Literal[
    "1:1", "3:4", "4:3", "9:16", "16:9", "2:3", "3:2", "9:19.5", "19.5:9", "9:20", "20:9", "1:2", "2:1", "auto"
]  # fmt: skip
VideoAspectRatio = Literal["1:1", "16:9", "9:16", "4:3", "3:4", "3:2", "2:3"]
ImageFormat = Literal["url", "b64_json"]


class VideoUrl(Struct):
    """A video: its URL, or the id of a file."""

    url: str | None = None
    file_id: str | None = None


class ImageGenerationBody(Struct):
    """The body of /v1/images/generations."""

    prompt: str | None = None
    model: str | None = None
    aspect_ratio: AspectRatio | None = None
    n: Int32 | None = None
    quality: str | None = None
    resolution: Literal["1k", "2k"] | None = None
    response_format: ImageFormat | None = None
    service_tier: str | None = None
    storage_options: dict[str, Any] | None = None  # StorageOptions
    user: str | None = None


class ImageEditBody(ImageGenerationBody, kw_only=True):
    """The body of /v1/images/edits."""

    prompt: str
    image: ImageUrl | None = None
    images: list[ImageUrl] | None = None


class VideoGenerationBody(Struct):
    """The body of /v1/videos/generations, or in a batch of /v1/videos/edits, which has a video."""

    prompt: str | None = None
    model: str | None = None
    aspect_ratio: VideoAspectRatio | None = None
    duration: Int32 | str | None = None  # seconds
    generate_audio: bool | None = None
    image: ImageUrl | None = None
    input_reference: ImageUrl | None = None  # another name of `image`
    keyframes: list[dict[str, Any]] | None = None
    last_frame: ImageUrl | None = None
    reference_audios: list[dict[str, Any]] | None = None
    reference_images: list[ImageUrl] | None = None
    resolution: Literal["480p", "720p", "1080p"] | None = None
    seconds: Int32 | str | None = None  # OpenAI's name for the duration
    service_tier: str | None = None
    storage_options: dict[str, Any] | None = None  # StorageOptions
    user: str | None = None
    video: VideoUrl | None = None


class VideoEditBody(Struct):
    """The body of /v1/videos/edits."""

    prompt: str
    video: VideoUrl
    model: str | None = None
    service_tier: str | None = None
    storage_options: dict[str, Any] | None = None  # StorageOptions
    user: str | None = None


class VideoExtensionBody(Struct):
    """The body of /v1/videos/extensions."""

    prompt: str
    video: VideoUrl
    model: str | None = None
    duration: Int32 | str | None = None  # seconds
    service_tier: str | None = None
    storage_options: dict[str, Any] | None = None  # StorageOptions


class PublicUrlOptions(Struct):
    """A public URL; its expiry is in seconds."""

    expires_after: int | None = None


class StorageOptions(Struct):
    """Stores generated media as a file of the team too; the expiry is in seconds."""

    filename: str
    expires_after: int | None = None
    public_url: bool | PublicUrlOptions | None = None


# The `url` values of a JSONL line (Batch guide; the last one was observed), each with its kind and its body.
URLS: dict[str, tuple[RequestKind, type[Struct]]] = {
    "/v1/chat/completions": (RequestKind.CHAT, ChatBody),
    "/v1/responses": (RequestKind.RESPONSES, ResponsesBody),
    "/v1/images/generations": (RequestKind.IMAGE_GENERATION, ImageGenerationBody),
    "/v1/images/edits": (RequestKind.IMAGE_EDIT, ImageEditBody),
    "/v1/videos/generations": (RequestKind.VIDEO_GENERATION, VideoGenerationBody),
    "/v1/videos": (RequestKind.VIDEO_GENERATION, VideoGenerationBody),
    "/v1/videos/edits": (RequestKind.VIDEO_GENERATION, VideoEditBody),
    "/v1/videos/extensions": (RequestKind.VIDEO_EXTENSION, VideoExtensionBody),
}


def check_body(body: Any, shape: type[Struct]) -> str | None:
    """Return the error of a body for a schema, or None."""
    try:
        msgspec.convert(body, shape)
    except msgspec.ValidationError as error:
        return str(error).replace("Object missing required field", "missing field").replace("`$.", "`")
    return None
