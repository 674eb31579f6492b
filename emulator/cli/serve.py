"""The verbs that run an emulator."""

from __future__ import annotations

import argparse
import gc
from typing import Any

from emulator.cli.flags import add_settings, settings_from


def add_verbs(verbs: Any) -> None:
    """Declare the verbs of this module."""
    parser = verbs.add_parser(
        "serve",
        help="start an emulator",
        examples=(
            "serve --port 0 --log requests",
            "serve --data-dir ./state --seed seed.yaml",
            "serve --profile strict --limit file_bytes_max=1MiB",
        ),
    )
    add_settings(parser)
    parser.add_argument(
        "--quiet", dest="log", action="store_const", const="quiet", help="print only problems, as --log quiet"
    )
    parser.set_defaults(run=_serve)


def _serve(options: argparse.Namespace) -> int:
    settings = settings_from(options)
    # Until the port listens: what is imported is no garbage, and to look for some takes a tenth of a start.
    gc.disable()
    from emulator.runtime.serve import serve

    return serve(settings)
