"""The limits of a team: the value in force, the default, its source and confidence."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from emulator.control.route import Answer, ControlError, ControlRequest, ControlRoute
from emulator.core.limits import DEFAULTS, DOCUMENTED, ROWS, override, parse_value

Number = Annotated[int, Meta(ge=0, le=2**62)]
Quantity = Annotated[str, Meta(max_length=40, description="A number with a unit, such as `512MiB`, or `none`.")]


class LimitShown(Struct):
    """One row. A value of null means that the limit is off."""

    value: int | None
    default: int
    source: str
    confidence: str


class LimitsShown(Answer):
    """Every limit by name."""

    limits: dict[str, LimitShown]


def _change_shape() -> type[Struct]:
    """Return a struct with a field for every row; null is valid only for those that can be switched off."""
    fields: list[tuple[str, Any, Any]] = []
    for name in ROWS:
        try:
            override(DOCUMENTED, {name: None})
            fields.append((name, Number | Quantity | None | UnsetType, UNSET))
        except ValueError:
            fields.append((name, Number | Quantity | UnsetType, UNSET))
    return msgspec.defstruct("LimitsChange", fields, forbid_unknown_fields=True, module=__name__)


LimitsChange = _change_shape()


async def read(request: ControlRequest) -> LimitsShown:
    """List every limit: the value in force for a team, the default, its source and confidence."""
    limits = request.team.limits
    return LimitsShown(
        limits={
            name: LimitShown(getattr(limits, name), DEFAULTS[name], row.source, row.confidence.value)
            for name, row in ROWS.items()
        }
    )


async def change(request: ControlRequest) -> LimitsShown:
    """Override limits of a team: `{"file_bytes_max": "512MiB"}` or a number, null for none."""
    given: dict[str, int | str | None] = msgspec.to_builtins(request.body)
    try:
        changes = {name: parse_value(name, value) if isinstance(value, str) else value for name, value in given.items()}
        request.services.teams.set_limits(request.team, changes)
    except ValueError as error:
        raise ControlError(422, str(error)) from None
    return await read(request)


ROUTES = (
    ControlRoute("GET", "/limits", read, LimitsShown),
    ControlRoute("PUT", "/limits", change, LimitsShown, LimitsChange, refusals=(422,)),
)
