"""Images and videos as messages and as JSON: the requests, and the responses."""

from __future__ import annotations

from typing import Any

from emulator.rpc.chat.messages import IMAGE_URL, NUMBER, SECONDS, USAGE
from emulator.rpc.fields import FLAG, TEXT, WHOLE, EnumCodec, Field, FunctionCodec, Shape
from emulator.rpc.requests import Message


def _ratio(name: str) -> str:
    """Return `9:19.5` for `9_19_5`, `auto` for `AUTO`."""
    return name.replace("19_5", "19.5").replace("_", ":").lower()


_FORMATS = {"BASE64": "b64_json", "URL": "url", "INVALID": ""}
_PUBLIC_URL = Shape("xai_api.PublicUrlOptions", (Field("expires_after", WHOLE),))


def _public_url_to_message(wanted: Any) -> Message:
    if wanted is False:
        raise ValueError(wanted)
    return _PUBLIC_URL.to_message({} if wanted is True else wanted)


_STORAGE = Shape(
    "xai_api.StorageOptions",
    (
        Field("filename", TEXT),
        Field("expires_after", WHOLE),
        Field("public_url", FunctionCodec(_PUBLIC_URL.to_json, _public_url_to_message)),
    ),
)
IMAGE_REQUEST = Shape(
    "xai_api.GenerateImageRequest",
    (
        Field("prompt", TEXT),
        Field("model", TEXT),
        Field("n", WHOLE),
        Field("user", TEXT),
        Field("image", IMAGE_URL),
        Field("images", IMAGE_URL),
        Field("format", EnumCodec("xai_api.ImageFormat", "IMG_FORMAT_", _FORMATS.__getitem__), "response_format"),
        Field("quality", EnumCodec("xai_api.ImageQuality", "IMG_QUALITY_")),
        Field("aspect_ratio", EnumCodec("xai_api.ImageAspectRatio", "IMG_ASPECT_RATIO_", _ratio)),
        Field("resolution", EnumCodec("xai_api.ImageResolution", "IMG_RESOLUTION_")),
        Field("storage_options", _STORAGE),
    ),
)
_VIDEO_URL = Shape("xai_api.VideoUrlContent", (Field("url", TEXT), Field("file_id", TEXT)))
_DURATION = FunctionCodec(lambda seconds: seconds, int)  # a string in some bodies
_KEYFRAME = Shape("xai_api.VideoKeyframe", (Field("image", IMAGE_URL), Field("timestamp_s", NUMBER)))
VIDEO_REQUEST = Shape(
    "xai_api.GenerateVideoRequest",
    (
        Field("prompt", TEXT),
        Field("model", TEXT),
        Field("image", IMAGE_URL, aliases=("input_reference",)),
        Field("duration", _DURATION, aliases=("seconds",)),
        Field("video", _VIDEO_URL),
        Field("aspect_ratio", EnumCodec("xai_api.VideoAspectRatio", "VIDEO_ASPECT_RATIO_", _ratio)),
        Field("resolution", EnumCodec("xai_api.VideoResolution", "VIDEO_RESOLUTION_")),
        Field("reference_images", IMAGE_URL),
        Field("storage_options", _STORAGE),
        Field("reference_audios", Shape("xai_api.AudioUrlContent", (Field("voice_id", TEXT),))),
        Field("generate_audio", FLAG),
        Field("last_frame", IMAGE_URL),
        Field("keyframes", _KEYFRAME),
    ),
)
EXTENSION_REQUEST = Shape(
    "xai_api.ExtendVideoRequest",
    (
        Field("prompt", TEXT),
        Field("model", TEXT),
        Field("video", _VIDEO_URL),
        Field("duration", _DURATION),
        Field("storage_options", _STORAGE),
    ),
)

# --- responses

_FILE_OUTPUT = Shape(
    "xai_api.FileOutput",
    (
        Field("file_id", TEXT),
        Field("filename", TEXT),
        Field("public_url", TEXT),
        Field("public_url_expires_at", SECONDS),
        Field("expires_at", SECONDS),
        Field("public_url_error", TEXT),
    ),
)
_STORED = (Field("file_output", _FILE_OUTPUT), Field("storage_error", TEXT))
_IMAGE = Shape(
    "xai_api.GeneratedImage",
    (Field("base64", TEXT), Field("url", TEXT), Field("respect_moderation", FLAG), *_STORED),
)


def _image_to_message(image: Any) -> Message:
    """xai-sdk raises for images without `respect_moderation`, and decodes only data URLs."""
    found = {"respect_moderation": True, **image}
    if isinstance(image.get("b64_json"), str):
        found["base64"] = f"data:{image.get('mime_type') or 'image/png'};base64,{image['b64_json']}"
    return _IMAGE.to_message(found)


IMAGE_RESPONSE = Shape(
    "xai_api.ImageResponse",
    (
        Field("images", FunctionCodec(_IMAGE.to_json, _image_to_message), "data"),
        Field("model", TEXT),
        Field("usage", USAGE),
    ),
)
_VIDEO = Shape(
    "xai_api.GeneratedVideo",
    (Field("url", TEXT), Field("duration", WHOLE), Field("respect_moderation", FLAG), *_STORED),
)
VIDEO_RESPONSE = Shape(
    "xai_api.VideoResponse",
    (
        Field(
            "video",
            FunctionCodec(_VIDEO.to_json, lambda video: _VIDEO.to_message({"respect_moderation": True, **video})),
        ),
        Field("model", TEXT),
        Field("usage", USAGE),
        Field("error", Shape("xai_api.VideoError", (Field("code", TEXT), Field("message", TEXT)))),
        Field("progress", WHOLE),
    ),
)
