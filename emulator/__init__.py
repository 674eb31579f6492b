"""A local emulator of the xAI Files, Collections, Documents-search and Batch APIs.

    from emulator import Emulator

    with Emulator(port=0) as emulator:
        client = openai.OpenAI(base_url=emulator.base_url, api_key=emulator.api_key)

Importing this package costs next to nothing; the rest is loaded when `Emulator` is first used.
"""

from emulator.core.version import VERSION as __version__

TYPE_CHECKING = False  # to import it from typing would take ten times as long as the rest
if TYPE_CHECKING:
    from emulator.runtime.app import Emulator

__all__ = ["Emulator", "__version__"]


def __getattr__(name: str) -> object:
    if name == "Emulator":
        from emulator.runtime.app import Emulator

        return Emulator
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
