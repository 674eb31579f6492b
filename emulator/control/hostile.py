"""Hostile mode of a team: which traps are set for its clients."""

from __future__ import annotations

from msgspec import Struct

from emulator.control.route import Answer, Asked, ControlError, ControlRoute
from emulator.domain.hostility import Switch
from emulator.settings import BadSetting


class SwitchShown(Struct):
    """One trap."""

    name: str
    sentence: str
    on: bool


class HostilityShown(Answer):
    """The seed that decides when a trap snaps shut, null for none, and every trap there is."""

    seed: str | None
    switches: list[SwitchShown]


class HostilityChange(Struct, forbid_unknown_fields=True):
    """A seed, and the traps to set; without a list all of them, without a seed none."""

    seed: str | None = None
    switches: list[str] | None = None


async def read(asked: Asked) -> HostilityShown:
    """List the traps, and say which of them are set for a team."""
    mischief = asked.team.mischief
    hostility = None if mischief is None else mischief.hostility
    return HostilityShown(
        seed=None if hostility is None else hostility.seed,
        switches=[
            SwitchShown(switch.word, switch.value, hostility is not None and switch in hostility.switches)
            for switch in Switch
        ],
    )


async def change(asked: Asked) -> HostilityShown:
    """Set traps for the clients of a team, or take them away, whatever the server was started with."""
    body: HostilityChange = asked.body
    text = "off"
    if body.seed is not None and body.switches != []:
        text = body.seed if body.switches is None else f"{body.seed}:{','.join(body.switches)}"
    try:
        asked.world.configure(asked.team, {"hostile": text})
    except BadSetting as error:
        raise ControlError(422, str(error)) from None
    return await read(asked)


ROUTES = (
    ControlRoute("GET", "/hostile", read, HostilityShown),
    ControlRoute("PUT", "/hostile", change, HostilityShown, HostilityChange, refusals=(422,)),
)
