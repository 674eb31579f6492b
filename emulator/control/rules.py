"""Advice about refusals, for each rule."""

from __future__ import annotations

from emulator.control.route import Answer, ControlRequest, ControlRoute
from emulator.control.server import NoQuery
from emulator.core.error_hints import RULES, hint_for
from emulator.core.limits import ROWS


class RulesShown(Answer):
    """Advice for each rule that `x-emulator-rule` can name."""

    rules: dict[str, str]


async def read(request: ControlRequest) -> RulesShown:
    """Return advice for each rule that a refusal can name."""
    return RulesShown(rules={name: hint_for(name) or "" for name in (*ROWS, *RULES)})


ROUTES = (ControlRoute("GET", "/rules", read, RulesShown, query=NoQuery),)
