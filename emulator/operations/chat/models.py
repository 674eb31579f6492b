"""Lists of models, and single models by name or alias."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from emulator.core.errors import ApiError, Kind
from emulator.core.limits import Confidence
from emulator.domain.chat.models import (
    EMBEDDING_MODELS,
    IMAGE_MODELS,
    LANGUAGE_MODELS,
    MODELS,
    VIDEO_MODELS,
    EmbeddingModel,
    ImageModel,
    LanguageModel,
    Model,
    VideoModel,
    find,
)
from emulator.domain.keys import Plane
from emulator.operations.base import Call, Operation
from emulator.state.services import Services

M = TypeVar("M", bound=Model)


class ListModels(msgspec.Struct, frozen=True):
    """All models of a kind."""


class ModelName(msgspec.Struct, frozen=True):
    """One model, by its name or an alias."""

    model_id: str


async def list_models(services: Services, call: Call, request: ListModels) -> tuple[Model, ...]:
    """List all models."""
    return MODELS


async def get_model(services: Services, call: Call, request: ModelName) -> Model:
    """Return one model of any kind."""
    return _required(find(request.model_id, MODELS), request)


async def list_language(services: Services, call: Call, request: ListModels) -> tuple[LanguageModel, ...]:
    """List the language models."""
    return LANGUAGE_MODELS


async def get_language(services: Services, call: Call, request: ModelName) -> LanguageModel:
    """Return one language model."""
    return _required(find(request.model_id, LANGUAGE_MODELS), request)


async def list_image_generation(services: Services, call: Call, request: ListModels) -> tuple[ImageModel, ...]:
    """List the models that make images."""
    return IMAGE_MODELS


async def get_image_generation(services: Services, call: Call, request: ModelName) -> ImageModel:
    """Return one model that makes images."""
    return _required(find(request.model_id, IMAGE_MODELS), request)


async def list_video_generation(services: Services, call: Call, request: ListModels) -> tuple[VideoModel, ...]:
    """List the models that make videos."""
    return VIDEO_MODELS


async def get_video_generation(services: Services, call: Call, request: ModelName) -> VideoModel:
    """Return one model that makes videos."""
    return _required(find(request.model_id, VIDEO_MODELS), request)


async def list_embedding(services: Services, call: Call, request: ListModels) -> tuple[EmbeddingModel, ...]:
    """List the embedding models: there are none, as on the live service."""
    return EMBEDDING_MODELS


async def get_embedding(services: Services, call: Call, request: ModelName) -> EmbeddingModel:
    """Return one embedding model."""
    return _required(find(request.model_id, EMBEDDING_MODELS), request)


def _required(model: M | None, request: ModelName) -> M:
    if model is None:
        sentence = f"Model not found: {request.model_id[:200]}"
        raise ApiError(Kind.NOT_FOUND, sentence, rule="model_not_found", param="model_id")
    return model


_REST = "OpenAPI: GET /v1/{}"
_RECORDED = Confidence.RECORDED

OPERATIONS = (
    Operation("models.list", Plane.INFERENCE, ListModels, list_models, "recorded live, 2026-04 and 2026-09", _RECORDED),
    Operation("models.get", Plane.INFERENCE, ModelName, get_model, _REST.format("models/{model_id}")),
    Operation("models.list_language", Plane.INFERENCE, ListModels, list_language, "recorded live, 2026-04", _RECORDED),
    Operation(
        "models.get_language", Plane.INFERENCE, ModelName, get_language, _REST.format("language-models/{model_id}")
    ),
    Operation(
        "models.list_image_generation",
        *(Plane.INFERENCE, ListModels, list_image_generation),
        _REST.format("image-generation-models"),
    ),
    Operation(
        "models.get_image_generation",
        *(Plane.INFERENCE, ModelName, get_image_generation),
        _REST.format("image-generation-models/{model_id}"),
    ),
    Operation(
        "models.list_video_generation",
        *(Plane.INFERENCE, ListModels, list_video_generation),
        _REST.format("video-generation-models"),
    ),
    Operation(
        "models.get_video_generation",
        *(Plane.INFERENCE, ModelName, get_video_generation),
        _REST.format("video-generation-models/{model_id}"),
    ),
    Operation(
        "models.list_embedding", Plane.INFERENCE, ListModels, list_embedding, "recorded live, 2026-09", _RECORDED
    ),
    Operation(
        "models.get_embedding", Plane.INFERENCE, ModelName, get_embedding, _REST.format("embedding-models/{model_id}")
    ),
)
