"""Models in JSON (OpenAPI: Model, LanguageModel, ImageGenerationModel, VideoGenerationModel, EmbeddingModel)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from emulator.domain.chat.models import (
    LONG_CONTEXT_FACTOR,
    LONG_CONTEXT_THRESHOLD,
    EmbeddingModel,
    ImageModel,
    LanguageModel,
    Model,
    VideoModel,
)
from emulator.operations.chat.models import ListModels, ModelName

OWNER: Literal["xai"] = "xai"


class ModelJson(Struct):
    """A model, in brief. Language models have a context length, in tokens; prices are not shown (recorded, 2026-09)."""

    id: str
    created: int
    object: Literal["model"] = "model"
    owned_by: str = OWNER
    context_length: int | UnsetType = UNSET


class ModelsJson(Struct):
    """All models."""

    data: list[ModelJson]
    object: Literal["list"] = "list"


class _WholeModelJson(Struct):
    id: str
    fingerprint: str
    created: int
    object: Literal["model"]
    owned_by: str
    version: str
    input_modalities: list[str]
    output_modalities: list[str]


class LanguageModelJson(_WholeModelJson):
    """A language model. Prices are in USD cents per 100 million tokens."""

    prompt_text_token_price: int
    cached_prompt_text_token_price: int
    prompt_image_token_price: int
    completion_text_token_price: int
    search_price: int
    prompt_text_token_price_long_context: int
    cached_prompt_text_token_price_long_context: int
    completion_text_token_price_long_context: int
    long_context_threshold: int
    aliases: list[str]


class LanguageModelsJson(Struct):
    """All language models."""

    models: list[LanguageModelJson]


class ImageModelJson(Struct):
    """A model that generates images."""

    id: str
    fingerprint: str
    max_prompt_length: int
    created: int
    object: Literal["model"]
    owned_by: str
    version: str
    input_modalities: list[str]
    output_modalities: list[str]
    image_price: int
    aliases: list[str]


class ImageModelsJson(Struct):
    """All models that generate images."""

    models: list[ImageModelJson]


class VideoModelJson(_WholeModelJson):
    """A model that generates videos."""

    aliases: list[str]


class VideoModelsJson(Struct):
    """All models that generate videos."""

    models: list[VideoModelJson]


class EmbeddingModelJson(_WholeModelJson):
    """An embedding model."""

    prompt_text_token_price: int
    prompt_image_token_price: int
    aliases: list[str]


class EmbeddingModelsJson(Struct):
    """All embedding models."""

    models: list[EmbeddingModelJson]


def list_models(path: Mapping[str, str]) -> ListModels:
    """Return a request for a list."""
    return ListModels()


def model_name(path: Mapping[str, str]) -> ModelName:
    """Return a request for one model."""
    return ModelName(path["model_id"])


def model_json(model: Model) -> ModelJson:
    """Render a model in brief."""
    length = model.context_tokens_max if isinstance(model, LanguageModel) else UNSET
    return ModelJson(model.id, model.created, context_length=length)


def models_json(models: tuple[Model, ...]) -> ModelsJson:
    """Render models in brief."""
    return ModelsJson([model_json(model) for model in models])


def _common(model: Model) -> dict[str, object]:
    return {
        "id": model.id,
        "fingerprint": model.fingerprint,
        "created": model.created,
        "object": "model",
        "owned_by": OWNER,
        "version": model.version,
        "input_modalities": list(model.input_modalities),
        "output_modalities": list(model.output_modalities),
        "aliases": list(model.aliases),
    }


def language_model_json(model: LanguageModel) -> LanguageModelJson:
    """Render a language model."""
    return msgspec.convert(
        {
            **_common(model),
            "prompt_text_token_price": model.prompt_price,
            "cached_prompt_text_token_price": model.cached_price,
            "prompt_image_token_price": model.image_token_price,
            "completion_text_token_price": model.completion_price,
            "search_price": model.search_price,
            "prompt_text_token_price_long_context": LONG_CONTEXT_FACTOR * model.prompt_price,
            "cached_prompt_text_token_price_long_context": LONG_CONTEXT_FACTOR * model.cached_price,
            "completion_text_token_price_long_context": LONG_CONTEXT_FACTOR * model.completion_price,
            "long_context_threshold": LONG_CONTEXT_THRESHOLD,
        },
        LanguageModelJson,
    )


def language_models_json(models: tuple[LanguageModel, ...]) -> LanguageModelsJson:
    """Render language models."""
    return LanguageModelsJson([language_model_json(model) for model in models])


def image_model_json(model: ImageModel) -> ImageModelJson:
    """Render a model that generates images."""
    members = {**_common(model), "max_prompt_length": model.max_prompt_length, "image_price": model.image_price}
    return msgspec.convert(members, ImageModelJson)


def image_models_json(models: tuple[ImageModel, ...]) -> ImageModelsJson:
    """Render models that generate images."""
    return ImageModelsJson([image_model_json(model) for model in models])


def video_model_json(model: VideoModel) -> VideoModelJson:
    """Render a model that generates videos."""
    return msgspec.convert(_common(model), VideoModelJson)


def video_models_json(models: tuple[VideoModel, ...]) -> VideoModelsJson:
    """Render models that generate videos."""
    return VideoModelsJson([video_model_json(model) for model in models])


def embedding_model_json(model: EmbeddingModel) -> EmbeddingModelJson:
    """Render an embedding model."""
    prices = {"prompt_text_token_price": model.prompt_price, "prompt_image_token_price": 0}
    return msgspec.convert({**_common(model), **prices}, EmbeddingModelJson)


def embedding_models_json(models: tuple[EmbeddingModel, ...]) -> EmbeddingModelsJson:
    """Render embedding models."""
    return EmbeddingModelsJson([embedding_model_json(model) for model in models])
