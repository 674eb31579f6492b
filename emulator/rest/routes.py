"""Every REST path of the API: bound to an operation, or listed with the reason why not."""

from __future__ import annotations

from emulator.domain.keys import Plane
from emulator.rest import batches, chat, collections, files, keys, media, model_responses, models, search
from emulator.rest.route import Route

ROUTES: tuple[Route, ...] = (
    *files.ROUTES,
    *batches.ROUTES,
    *collections.ROUTES,
    *search.ROUTES,
    *models.ROUTES,
    *chat.ROUTES,
    *model_responses.ROUTES,
    *media.ROUTES,
    *keys.ROUTES,
)

# The rest of the REST API of the real service, with the reasons why it is not emulated. A prefix covers all paths below
# it.
NOT_EMULATED: dict[str, str] = {
    "/v1/complete": "text completion is not emulated",
    "/v1/completions": "text completion is not emulated",
    "/v1/embeddings": "embeddings are not emulated",
    "/v1/messages": "messages are not emulated",
    "/v1/skills": "skills are not emulated",
    "/v1/billing": "billing is not emulated",
}


# The paths of the management host (REST reference); all others belong to the inference host.
_MANAGEMENT = ("/v1/collections", "/v1/billing", "/auth", "/audit")


def plane_of(path: str) -> Plane:
    """Return the plane whose dialect a path uses, whether or not it has a route."""
    return Plane.MANAGEMENT if path.startswith(_MANAGEMENT) else Plane.INFERENCE
