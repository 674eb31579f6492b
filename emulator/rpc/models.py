"""The Models service: names to requests, models to messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from emulator.core.clock import MICROSECONDS
from emulator.domain.chat.models import EmbeddingModel, ImageModel, LanguageModel, Model
from emulator.operations.chat.models import ListModels, ModelName
from emulator.rpc.messages import load, timestamp
from emulator.rpc.requests import Message, Method

_message = load().message
_SERVICE = "xai_api.Models"


def read_list(message: Message) -> ListModels:
    """Return a request for a list."""
    return ListModels()


def read_name(message: Message) -> ModelName:
    """Return a request for one model."""
    return ModelName(message.name)


def _common(model: Model) -> dict[str, Any]:
    modalities = load().enum("xai_api.Modality").values_by_name
    return {
        "name": model.id,
        "version": model.version,
        "input_modalities": [modalities[name.upper()].number for name in model.input_modalities],
        "output_modalities": [modalities[name.upper()].number for name in model.output_modalities],
        "created": timestamp(model.created * MICROSECONDS),
        "system_fingerprint": model.fingerprint,
        "aliases": model.aliases,
    }


def write_language(model: LanguageModel) -> Message:
    """Render a language model."""
    return _message("xai_api.LanguageModel")(
        **_common(model),
        prompt_text_token_price=model.prompt_price,
        prompt_image_token_price=model.image_token_price,
        completion_text_token_price=model.completion_price,
        cached_prompt_token_price=model.cached_price,
        max_prompt_length=model.context_tokens_max,
        search_price=model.search_price,
    )


def write_image(model: ImageModel) -> Message:
    """Render a model that generates images."""
    return _message("xai_api.ImageGenerationModel")(
        **_common(model), max_prompt_length=model.max_prompt_length, image_price=model.image_price
    )


def write_embedding(model: EmbeddingModel) -> Message:
    """Render an embedding model."""
    return _message("xai_api.EmbeddingModel")(**_common(model), prompt_text_token_price=model.prompt_price)


def _list_of(name: str, write: Callable[[Any], Message]) -> Callable[[Iterable[Model]], Message]:
    return lambda models: _message(f"xai_api.{name}")(models=[write(model) for model in models])


METHODS = (
    Method(
        *(_SERVICE, "ListLanguageModels", "models.list_language", read_list),
        _list_of("ListLanguageModelsResponse", write_language),
    ),
    Method(
        *(_SERVICE, "ListEmbeddingModels", "models.list_embedding", read_list),
        _list_of("ListEmbeddingModelsResponse", write_embedding),
    ),
    Method(
        *(_SERVICE, "ListImageGenerationModels", "models.list_image_generation", read_list),
        _list_of("ListImageGenerationModelsResponse", write_image),
    ),
    Method(_SERVICE, "GetLanguageModel", "models.get_language", read_name, write_language),
    Method(_SERVICE, "GetEmbeddingModel", "models.get_embedding", read_name, write_embedding),
    Method(_SERVICE, "GetImageGenerationModel", "models.get_image_generation", read_name, write_image),
)
