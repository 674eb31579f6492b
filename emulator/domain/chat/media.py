"""Images and videos: the rules of their requests, the form of their results, and their cost.

REST, gRPC and batches use the same functions: one request has one result and one cost everywhere.
"""

from __future__ import annotations

from typing import Any

from emulator.core.errors import ApiError, Kind, invalid
from emulator.domain.batches.batch import RequestKind, ResultKind
from emulator.domain.chat.answers import BadAnswer
from emulator.domain.chat.bodies import Json
from emulator.domain.chat.models import IMAGE_MODELS, VIDEO_MODELS, ImageModel, VideoModel, find
from emulator.domain.chat.requests import ModelRequest

IMAGES_MAX = 10  # OpenAPI: GenerateImageRequest.n
SECONDS_MAX = {RequestKind.VIDEO_GENERATION: 15, RequestKind.VIDEO_EXTENSION: 10}  # OpenAPI: `duration`
DEFAULT_MODELS = {ResultKind.IMAGE: "grok-imagine-image", ResultKind.VIDEO: "grok-imagine-video"}
IMAGE_TYPES = ("image/jpeg", "image/png", "image/webp")  # OpenAPI: ImageUrl
_SINGLE_SOURCES = ("image", "video", "last_frame", "input_reference")
_SOURCE_LISTS = ("images", "reference_images")

# Recorded live, 2026-04, for images and videos. Chat says `Model not found` (domain/chat/rules.py).
MODEL_UNAVAILABLE = (
    "The model {model} does not exist or your team {team} does not have access to it. Please ensure you're using the "
    "correct API key. If you believe this is a mistake, please contact support and quote your team ID and the model "
    "name."
)


# --- models


def image_model(name: str) -> ImageModel:
    """Return the model that generates an image; the default one if the name is unknown."""
    found = find(name, IMAGE_MODELS) or find(DEFAULT_MODELS[ResultKind.IMAGE], IMAGE_MODELS)
    assert found is not None
    return found


def video_model(name: str) -> VideoModel:
    """Return the model that generates a video; the default one if the name is unknown."""
    found = find(name, VIDEO_MODELS) or find(DEFAULT_MODELS[ResultKind.VIDEO], VIDEO_MODELS)
    assert found is not None
    return found


def check_model(request: ModelRequest, team_id: str) -> None:
    """Refuse a model that does not generate media of the kind. A request may omit the model."""
    models: Any = IMAGE_MODELS if request.result_kind is ResultKind.IMAGE else VIDEO_MODELS
    if request.model and find(request.model, models) is None:
        sentence = MODEL_UNAVAILABLE.format(model=request.model[:200], team=team_id)
        raise ApiError(Kind.NOT_FOUND, sentence, rule="model_not_found", param="model")


def _model_name(request: ModelRequest, model: ImageModel | VideoModel) -> str:
    """Return the name in a result: of the model behind an alias, else as sent."""
    known = not request.model or request.model == model.id or request.model in model.aliases
    return model.id if known else request.model


# --- arguments


def check_media(request: ModelRequest) -> None:
    """Refuse a request for an image or video with invalid arguments. Raises ApiError."""
    _check_sources(request.body)
    if request.result_kind is ResultKind.IMAGE:
        _check_image(request)
    else:
        _check_video(request)


def _check_image(request: ModelRequest) -> None:
    body = request.body
    if body.get("size") is not None:  # of OpenAI's API (recorded, 2026-09)
        raise invalid("Argument not supported: size", rule="argument", param="size")
    n = body.get("n")
    if n is not None and not 1 <= n <= IMAGES_MAX:
        raise invalid(f"n must be between 1 and {IMAGES_MAX}, got {n}", rule="images", param="n")
    if body.get("image") is not None and body.get("images"):
        raise invalid("Only one of image or images can be set.", rule="media_source", param="images")


def _check_video(request: ModelRequest) -> None:
    body, most = request.body, SECONDS_MAX[RequestKind(request.kind)]
    if not 1 <= request.seconds <= most:
        sentence = f"duration must be between 1 and {most} seconds, got {request.seconds}"
        raise invalid(sentence, rule="video_seconds", param="duration")
    is_generation = request.kind == RequestKind.VIDEO_GENERATION.value
    has_source = any(body.get(name) for name in ("image", "input_reference", "keyframes", "video"))
    if is_generation and not request.prompt and not has_source:
        # OpenAPI: GenerateVideoRequest.prompt; the message is assumed.
        raise invalid("A prompt is required unless an image is given.", rule="prompt", param="prompt")


def _check_sources(body: Json) -> None:
    """Refuse an image or video with two sources (OpenAPI: `url` and `file_id` are mutually exclusive)."""
    for name, source in sources(body):
        if source.get("file_id") and (source.get("url") or source.get("image_url")):
            raise invalid(f"Only one of {name}.url or {name}.file_id can be set.", rule="media_source", param=name)


def sources(body: Json) -> list[tuple[str, Json]]:
    """Return the images and videos of a request, each with the name of its member."""
    found = [(name, body.get(name)) for name in _SINGLE_SOURCES]
    found += [(name, each) for name in _SOURCE_LISTS for each in body.get(name) or ()]
    return [(name, source) for name, source in found if isinstance(source, dict)]


def check_file_type(name: str, file_id: str, content_type: str) -> None:
    """Refuse a file of a type that its member does not accept (OpenAPI: ImageUrl.file_id, VideoUrl.file_id)."""
    if name == "video" and not content_type.startswith("video/"):
        raise invalid(f"File {file_id} is not a video.", rule="media_type", param=name)
    if name != "video" and content_type not in IMAGE_TYPES:
        raise invalid(f"File {file_id} is not an image (JPEG, PNG or WebP).", rule="media_type", param=name)


# --- results


def image_result(request: ModelRequest, said: Any) -> Json:
    """Complete a responder's answer for images. Raises BadAnswer."""
    whole = said if isinstance(said, dict) else {}
    if isinstance(said, str):
        whole = {"data": [{"url": said}] * request.count}
    elif not isinstance(whole.get("data"), list):
        whole = {**whole, "data": [{} for _ in range(request.count)]}
    if not all(isinstance(image, dict) for image in whole["data"]):
        raise BadAnswer(f"an image answer is a URL or has data, unlike {_shown(said)}")
    if sum(lacks_content(image) for image in whole["data"]) > IMAGES_MAX:
        raise BadAnswer(f"at most {IMAGES_MAX} images are made for one request")
    model = image_model(request.model)
    usage = _usage(whole, _image_cost(request, model, len(whole["data"])))
    return {"model": _model_name(request, model), **whole, "usage": usage}


def _image_cost(request: ModelRequest, model: ImageModel, count: int) -> int:
    """Price all generated and input images (recorded, 2026-04: an edit of one image costs 220,000,000)."""
    quality = request.body.get("quality")
    price = dict(model.quality_prices).get(quality if isinstance(quality, str) else "", model.image_price)
    given = sum(name in ("image", "images") for name, _ in sources(request.body))
    return price * count + model.input_image_price * given


def lacks_content(image: Json) -> bool:
    """Return whether the emulator has to create the image."""
    return not image.get("url") and not image.get("b64_json")


def video_result(request: ModelRequest, said: Any) -> Json:
    """Complete a responder's answer for a video. Raises BadAnswer."""
    whole = said if isinstance(said, dict) else {}
    if isinstance(said, str):
        whole = {"video": {"url": said}}
    video = whole.get("video") or {}
    if not isinstance(video, dict):
        raise BadAnswer(f"a video answer is a URL or has a video, unlike {_shown(said)}")
    video = {"url": "", "duration": request.seconds, "respect_moderation": True, **video}
    model = video_model(request.model)
    others = {key: value for key, value in whole.items() if key not in ("status", "video", "model", "usage")}
    seconds = video["duration"]
    is_number = isinstance(seconds, int) and not isinstance(seconds, bool)
    cost = model.second_price * (seconds if is_number else request.seconds)
    return {
        "status": whole.get("status", "done"),
        "video": video,
        "model": whole.get("model") or _model_name(request, model),
        "usage": _usage(whole, cost),
        "progress": 100,
        **others,
    }


def failed_video(code: str, message: str) -> Json:
    """Return the result of a failed video (recorded, 2026-04)."""
    video = {"url": "", "duration": 0, "respect_moderation": True}
    return {"status": "failed", "video": video, "error": {"code": code, "message": message}, "progress": 0}


def _usage(whole: Json, cost: int) -> Json:
    given = whole.get("usage")
    return {"cost_in_usd_ticks": cost, **(given if isinstance(given, dict) else {})}


def _shown(value: Any) -> str:
    return repr(value)[:80]
