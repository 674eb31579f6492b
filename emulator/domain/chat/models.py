"""The models: names, aliases, prices and capabilities. Lists, refusals and costs use the same table.

Prices are in ticks of 1e-10 US dollar: for a token, an image, or a second of video. A row without a source of its own
is as recorded live in September 2026. Cached prices of grok-4.5 to 4.7 and the creation times of grok-4.5, grok-4.6 and
grok-build-0.1 are assumed.
"""

from __future__ import annotations

import hashlib
from typing import TypeVar

import msgspec

LONG_CONTEXT_THRESHOLD = 200_000  # prompt tokens from which a request costs twice as much (recorded, 2026-09)
LONG_CONTEXT_FACTOR = 2
LATEST = "latest"  # the model of a request without one (recorded, 2026-09)
_EFFORTS = frozenset({"low", "medium", "high", "xhigh", "minimal"})


class LanguageModel(msgspec.Struct, frozen=True):
    """A model that answers a conversation. `efforts` is None if it refuses every reasoning effort."""

    id: str
    created: int  # Unix seconds
    prompt_price: int
    cached_price: int
    completion_price: int
    context_tokens_max: int
    efforts: frozenset[str] | None = None
    aliases: tuple[str, ...] = ()
    retired: tuple[str, ...] = ()  # names of older models that it replaces, and that no list contains
    accepts_stop: bool = False
    recorded_fingerprint: str = ""
    input_modalities: tuple[str, ...] = ("text", "image")
    output_modalities: tuple[str, ...] = ("text",)
    search_price: int = 0
    version: str = "1.0"

    @property
    def fingerprint(self) -> str:
        """Return the recorded fingerprint, or one of the same form."""
        return self.recorded_fingerprint or _fingerprint(self.id)

    @property
    def image_token_price(self) -> int:
        """Return the price of a token of an image in the prompt; 0 if the model accepts none."""
        return self.prompt_price if "image" in self.input_modalities else 0


class ImageModel(msgspec.Struct, frozen=True):
    """A model that generates images."""

    id: str
    created: int
    image_price: int
    aliases: tuple[str, ...] = ()
    quality_prices: tuple[tuple[str, int], ...] = ()  # by the `quality` of a request, if it has one
    input_image_price: int = 20_000_000  # of an input image (recorded, 2026-04)
    max_prompt_length: int = 8000
    input_modalities: tuple[str, ...] = ("text", "image")
    output_modalities: tuple[str, ...] = ("image",)
    version: str = "1.0"

    @property
    def fingerprint(self) -> str:
        return _fingerprint(self.id)


class VideoModel(msgspec.Struct, frozen=True):
    """A model that generates videos."""

    id: str
    created: int
    second_price: int
    aliases: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ("text", "image", "video")
    output_modalities: tuple[str, ...] = ("video",)
    version: str = "1.0"

    @property
    def fingerprint(self) -> str:
        return _fingerprint(self.id)


class EmbeddingModel(msgspec.Struct, frozen=True):
    """A model that generates vectors. The live service lists none (recorded, 2026-09)."""

    id: str
    created: int
    prompt_price: int
    aliases: tuple[str, ...] = ()
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("embedding",)
    version: str = "1.0"

    @property
    def fingerprint(self) -> str:
        return _fingerprint(self.id)


Model = LanguageModel | ImageModel | VideoModel | EmbeddingModel
M = TypeVar("M", bound=Model)


def _fingerprint(id: str) -> str:
    return f"fp_{hashlib.blake2b(id.encode(), digest_size=8).hexdigest()}"


def _with_latest(*names: str) -> tuple[str, ...]:
    return tuple(each for name in names for each in (name, f"{name}-latest"))


LANGUAGE_MODELS: tuple[LanguageModel, ...] = (
    LanguageModel(
        *("grok-4.7", 1_789_516_800, 20_000, 5_000, 60_000, 500_000),
        efforts=_EFFORTS,
    ),
    LanguageModel(
        *("grok-4.6", 1_785_542_400, 20_000, 5_000, 60_000, 500_000),
        efforts=_EFFORTS,
        recorded_fingerprint="fp_a7b4933f4a93564d",
    ),
    LanguageModel(
        *("grok-4.5", 1_782_864_000, 20_000, 5_000, 60_000, 500_000),
        efforts=_EFFORTS - {"xhigh"},
        aliases=("grok-build-latest",),
        recorded_fingerprint="fp_2fda1e3fdd929079",
    ),
    LanguageModel(
        *("grok-4.3", 1_776_556_800, 12_500, 2_000, 25_000, 1_000_000),
        efforts=_EFFORTS | {"none"},
        aliases=("grok-4.3-latest", "grok-latest"),
        # Migration guide of May 2026: requests for the models before grok-4.20 are sent to this one.
        retired=(
            *_with_latest("grok-3", "grok-3-fast", "grok-3-mini", "grok-3-mini-fast"),
            *("grok-3-beta", "grok-3-fast-beta", "grok-3-mini-beta", "grok-3-mini-fast-beta"),
            *("grok-4-0709", *_with_latest("grok-4", "grok-4-fast", "grok-4-1-fast")),
            *_with_latest("grok-4-fast-reasoning", "grok-4-fast-non-reasoning"),
            *_with_latest("grok-4-1-fast-reasoning", "grok-4-1-fast-non-reasoning"),
        ),
        accepts_stop=True,
        recorded_fingerprint="fp_eb3c003fc66c14ed",
    ),
    LanguageModel(
        *("grok-4.20-0309-reasoning", 1_773_014_400, 12_500, 2_000, 25_000, 2_000_000),
        aliases=("grok-4.20", "grok-4.20-0309", "grok-4.20-reasoning", "grok-4.20-reasoning-latest"),
        accepts_stop=True,
    ),
    LanguageModel(
        *("grok-4.20-0309-non-reasoning", 1_773_014_400, 12_500, 2_000, 25_000, 2_000_000),
        aliases=("grok-4.20-non-reasoning", "grok-4.20-non-reasoning-latest"),
        accepts_stop=True,
    ),
    LanguageModel(
        *("grok-4.20-multi-agent-0309", 1_773_014_400, 12_500, 2_000, 25_000, 2_000_000),
        efforts=_EFFORTS,
        aliases=("grok-4.20-multi-agent", "grok-4.20-multi-agent-latest"),
        accepts_stop=True,
    ),
    LanguageModel(
        *("grok-build-0.1", 1_779_321_600, 10_000, 2_000, 20_000, 256_000),
        aliases=("grok-code-fast-1",),
        input_modalities=("text",),
    ),
)
IMAGE_MODELS: tuple[ImageModel, ...] = (
    ImageModel("grok-imagine-image", 1_769_472_000, 200_000_000),
    ImageModel(
        *("grok-imagine-image-2.0", 1_785_542_400, 600_000_000),
        # Recorded, 2026-09: 400 to 800 million, 600 by default. Which quality has which price is assumed.
        quality_prices=(("low", 400_000_000), ("medium", 600_000_000), ("high", 800_000_000)),
    ),
    ImageModel("grok-imagine-image-quality", 1_773_014_400, 700_000_000, aliases=("grok-imagine-image-pro",)),
)
VIDEO_MODELS: tuple[VideoModel, ...] = (
    VideoModel("grok-imagine-video", 1_769_472_000, 500_000_000),
    VideoModel("grok-imagine-video-1.5", 1_785_542_400, 500_000_000),  # its price is not known
)
EMBEDDING_MODELS: tuple[EmbeddingModel, ...] = ()
MODELS: tuple[Model, ...] = (*LANGUAGE_MODELS, *IMAGE_MODELS, *VIDEO_MODELS, *EMBEDDING_MODELS)


def find(name: str, models: tuple[M, ...]) -> M | None:
    """Return the model of a name, an alias or a retired name; None if there is none."""
    return next((model for model in models if name in names(model)), None)


def find_language(name: str) -> LanguageModel | None:
    """Return the language model of a name, by a look-up, because every request needs one."""
    return _LANGUAGE_MODELS_BY_NAME.get(name)


def model_name(name: str) -> str:
    """Return the name of a language model in answers: its own for an alias, else the one that was sent."""
    found = find_language(name)
    return name or LATEST if found is None else found.id


def names(model: Model) -> tuple[str, ...]:
    """Return every name by which a request may select a model."""
    retired = model.retired if isinstance(model, LanguageModel) else ()
    return (model.id, *model.aliases, *retired)


_LANGUAGE_MODELS_BY_NAME = {name: model for model in LANGUAGE_MODELS for name in names(model)}
