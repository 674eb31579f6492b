"""Routes of the REST API."""

from __future__ import annotations

import msgspec

from emulator.rest.requests import Reading
from emulator.rest.responses import Writing


class Route(msgspec.Struct, frozen=True):
    """One method of one path. `{name}` in the path is a parameter; a `:verb` after it is literal."""

    method: str
    path: str
    operation: str
    read: Reading
    write: Writing
