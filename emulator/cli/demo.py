"""The verb `demo`: demonstrate the features."""

from __future__ import annotations

import argparse
from typing import Any

from emulator.state.settings import BadSetting, parse


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser("demo", help="start an emulator and demonstrate it with both SDKs")
    parser.add_argument("--port", metavar="PORT", default="0", help="port to listen on; by default a free one")
    parser.add_argument("--once", action="store_true", help="end after the tour; otherwise Ctrl-C ends it")
    parser.set_defaults(run=_demo)


def _demo(options: argparse.Namespace) -> int:
    port = parse("port", options.port, "--port")
    from emulator.runtime.demo import demo, missing

    absent = missing()
    if absent:
        names = " and ".join(absent)
        hint = f"pip install {' '.join(absent)}"
        raise BadSetting(f"the demo uses both SDKs, but {names} cannot be imported: {hint}")
    return demo(port, once=options.once)
