"""The libraries that extract text from documents, each imported when a file needs it."""

from __future__ import annotations

import importlib
from typing import Any

from emulator.search.extraction.result import ExtractionError


def library(name: str) -> Any:
    """Import a library. Raises ExtractionError, which says how to install it, if it is missing."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ExtractionError(
            f"{error.name}, which reads files of this type, is not installed: install xai-emulator again"
        ) from None
