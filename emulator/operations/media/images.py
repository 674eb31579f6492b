"""Images: generated from a prompt, or edited."""

from __future__ import annotations

import msgspec

from emulator.core.clock import later
from emulator.core.limits import Confidence
from emulator.domain.chat.bodies import Json
from emulator.domain.keys import Plane
from emulator.operations.base import Call, Operation
from emulator.operations.media.answering import CreateMedia, answer, check
from emulator.operations.media.making import add_media
from emulator.operations.media.urls import absolute_members
from emulator.state.services import Services


class Images(msgspec.Struct, frozen=True):
    """Images with their usage, as the JSON members of the result."""

    members: Json


async def generate_images(services: Services, call: Call, request: CreateMedia) -> Images:
    """Generate images from a prompt."""
    check(services, call, request.request)
    result, delay = await answer(services, call, request.request)
    await services.waits.after(call.team, call.at, delay)
    with services.store.transaction():
        services.teams.keep(call.team)
        add_media(services, call.team, request.request, result, later(call.at, delay))
    return Images(absolute_members(services, call, msgspec.json.encode(result)))


async def edit_images(services: Services, call: Call, request: CreateMedia) -> Images:
    """Edit one image or several."""
    return await generate_images(services, call, request)


OPERATIONS = (
    Operation(
        "images.generate",
        *(Plane.INFERENCE, CreateMedia, generate_images),
        "OpenAPI: POST /v1/images/generations; recorded live, 2026-04",
        Confidence.RECORDED,
        decode_first=True,  # as observed for videos, 2026-03
    ),
    Operation(
        "images.edit",
        *(Plane.INFERENCE, CreateMedia, edit_images),
        "OpenAPI: POST /v1/images/edits; recorded live, 2026-04",
        Confidence.RECORDED,
        decode_first=True,
    ),
)
