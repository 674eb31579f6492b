"""Chaos of a team: read and change the enabled flags."""

from __future__ import annotations

from msgspec import Struct

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.domain.chaos import ChaosFlag
from emulator.state.settings import BadSetting


class ChaosFlagView(Struct):
    """One flag."""

    name: str
    description: str
    enabled: bool


class ChaosView(Answer):
    """The seed of all random decisions (null while chaos is off), and all flags."""

    seed: str | None
    flags: list[ChaosFlagView]


class ChaosChange(Struct, forbid_unknown_fields=True):
    """A seed and the flags to turn on; all of them without a list, none without a seed."""

    seed: str | None = None
    flags: list[str] | None = None


async def read(request: ControlRequest) -> ChaosView:
    """List the chaos flags, and which of them are enabled for a team."""
    config = None if request.team.chaos is None else request.team.chaos.config
    return ChaosView(
        seed=None if config is None else config.seed,
        flags=[
            ChaosFlagView(flag.word, flag.value, enabled=config is not None and flag in config.flags)
            for flag in ChaosFlag
        ],
    )


async def change(request: ControlRequest) -> ChaosView:
    """Turn chaos on or off for a team, whatever the server's setting is."""
    body: ChaosChange = request.body
    text = "off"
    if body.seed is not None and body.flags != []:
        text = body.seed if body.flags is None else f"{body.seed}:{','.join(body.flags)}"
    try:
        request.services.teams.configure(request.team, {"chaos": text})
    except BadSetting as error:
        raise ControlError(422, str(error)) from None
    return await read(request)


ROUTES = (
    ControlRoute("GET", "/chaos", read, ChaosView),
    ControlRoute("PUT", "/chaos", change, ChaosView, ChaosChange, refusals=(422,)),
)
