"""A recorder in front of an emulator that stands for the service, or in front of a server written by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from emulator import Emulator
from emulator.domain.keys import Plane
from emulator.recorder.server import Recorder, RecorderOptions, RecorderThread

# Of the form of real keys, so that everything that looks for those finds them.
REAL_KEYS = {
    Plane.INFERENCE: "xai-" + "Real0Inference1Key2" * 4,
    Plane.MANAGEMENT: "xai-token-" + "Real3Management4Key5" * 4,
}


@pytest.fixture(scope="module")
def service() -> Iterator[Emulator]:
    """The service, as far as the recorder knows."""
    with Emulator() as running:
        yield running


@pytest.fixture
def record(tmp_path: Path) -> Iterator[Callable[..., Recorder]]:
    """Start a recorder before a URL; it stops, and its file is complete, at the end of the test or with `stop`."""
    with ExitStack() as stack:

        def start(to: str, **options: Any) -> Recorder:
            chosen = {"out": tmp_path / "live.har", "keys": REAL_KEYS, "port": 0, **options}
            return stack.enter_context(RecorderThread(RecorderOptions(to=to, **chosen), log=lambda line: None))

        yield start
