"""Functions that a setting names as MODULE:FUNCTION."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from typing import Any

from emulator.core.redaction import redact_url


def load(name: str) -> Callable[..., Any]:
    """Return the function of a module, which may be in the working directory. Raises ValueError with one sentence."""
    module, colon, attribute = name.partition(":")
    if not colon or not module or not attribute or "@" in name:  # a mistyped URL; the part before `@` may be a key
        raise ValueError(f"{redact_url(name)!r} is not MODULE:FUNCTION, such as my_module:my_function")
    if os.getcwd() not in sys.path and "" not in sys.path:  # sys.path of a console script lacks the working directory
        sys.path.insert(0, os.getcwd())
    try:
        function: Callable[..., Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"{name}: {error}") from None
    except Exception as error:  # raised by the module, or by the import of a name such as `..`
        raise ValueError(f"{name}: {type(error).__name__}: {error}") from None
    if not callable(function):
        raise ValueError(f"{name}: {attribute} cannot be called")
    return function


def describe_error(error: Exception) -> str:
    """Return the text of an exception of such a function, encodable as UTF-8, also if its `__str__` raises."""
    try:
        words = str(error).encode("utf-8", "replace").decode()
    except Exception:
        words = ""
    return words or type(error).__name__
