"""The paths of models."""

from __future__ import annotations

from emulator.rest.requests import FromPath
from emulator.rest.responses import AsJson
from emulator.rest.route import Route
from emulator.rest.schemas import models as shapes

_LIST, _NAME = FromPath(shapes.list_models), FromPath(shapes.model_name)
_LISTS = {
    "models": ("models.list", AsJson(shapes.ModelsJson, shapes.models_json)),
    "language-models": (
        "models.list_language",
        AsJson(shapes.LanguageModelsJson, shapes.language_models_json),
    ),
    "image-generation-models": (
        "models.list_image_generation",
        AsJson(shapes.ImageModelsJson, shapes.image_models_json),
    ),
    "video-generation-models": (
        "models.list_video_generation",
        AsJson(shapes.VideoModelsJson, shapes.video_models_json),
    ),
    "embedding-models": (
        "models.list_embedding",
        AsJson(shapes.EmbeddingModelsJson, shapes.embedding_models_json),
    ),
}
_ONES = {
    "models": ("models.get", AsJson(shapes.ModelJson, shapes.model_json)),
    "language-models": ("models.get_language", AsJson(shapes.LanguageModelJson, shapes.language_model_json)),
    "image-generation-models": (
        "models.get_image_generation",
        AsJson(shapes.ImageModelJson, shapes.image_model_json),
    ),
    "video-generation-models": (
        "models.get_video_generation",
        AsJson(shapes.VideoModelJson, shapes.video_model_json),
    ),
    "embedding-models": ("models.get_embedding", AsJson(shapes.EmbeddingModelJson, shapes.embedding_model_json)),
}

ROUTES: tuple[Route, ...] = (
    *(Route("GET", f"/v1/{path}", operation, _LIST, write) for path, (operation, write) in _LISTS.items()),
    *(Route("GET", f"/v1/{path}/{{model_id}}", operation, _NAME, write) for path, (operation, write) in _ONES.items()),
)
