"""What to do about a refusal, for each rule that one can name."""

from __future__ import annotations

from emulator.control.route import Answer, Asked, ControlRoute
from emulator.control.server import NoQuery
from emulator.core.error_hints import RULES, hint_for
from emulator.core.limits import ROWS


class RulesShown(Answer):
    """For each rule that `x-emulator-rule` can name, a sentence that says what to do."""

    rules: dict[str, str]


async def read(asked: Asked) -> RulesShown:
    """Return what to do about each rule that a refusal can name."""
    return RulesShown(rules={name: hint_for(name) or "" for name in (*ROWS, *RULES)})


ROUTES = (ControlRoute("GET", "/rules", read, RulesShown, query=NoQuery),)
