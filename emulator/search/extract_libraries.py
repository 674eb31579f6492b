"""The libraries of the extra `extract`, each loaded when a file needs it."""

from __future__ import annotations

import importlib
from typing import Any

from emulator.search.extracted import ExtractionError


def library(name: str) -> Any:
    """A module of the extra, or the sentence that says how to install it."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ExtractionError(
            f'{error.name} is missing, which reads files of this type: pip install "xai-emulator[extract]"'
        ) from None
