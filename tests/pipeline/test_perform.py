"""The order of the middlewares, and how a call ends."""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest

from emulator.core.errors import ApiError, CallerGone, Dropped, Kind
from emulator.operations import OPERATIONS
from emulator.operations.base import Call
from emulator.pipeline.faults.plan import Rule, Script
from emulator.pipeline.middleware import DecodedMiddleware, NextDecoded
from emulator.pipeline.perform import chain, order, perform
from emulator.state.services import Services

BEFORE = ["record", "warn_of_real_key", "apply_planned_faults", "apply_chaos", "authenticate"]
AFTER = ["check_contract", "check_limits", "check_key_limits", "apply_chaos_to_request", "audit"]
NO_FAILURE = None


def names(middlewares: Sequence[Callable[..., Any]]) -> list[str]:
    return [middleware.__name__ for middleware in middlewares]


@pytest.mark.parametrize(
    ("operation", "idle"),
    [("collections.create", set()), ("files.delete", {"check_contract"}), ("files.get", {"check_contract", "audit"})],
)
def test_middlewares_have_documented_order(operation: str, idle: set[str]) -> None:
    """An operation that decodes first is authenticated right after it is decoded; nothing else moves."""
    before, after = order(operation, decode_first=False)
    assert names(before) == BEFORE
    assert names(after) == [name for name in AFTER if name not in idle]

    decoded_before, decoded_after = order(operation, decode_first=True)
    assert names(decoded_before) == BEFORE[:-1]
    assert names(decoded_after) == ["authenticate_decoded", *names(after)]


def test_chain_runs_first_middleware_outermost(services: Services, make_call: Callable[..., Call]) -> None:
    """The handler runs last, and each middleware can change what the next one gets and returned."""
    seen: list[str] = []

    def named(name: str) -> DecodedMiddleware:
        async def middleware(call_next: NextDecoded, services: Services, call: Call, request: Any) -> Any:
            seen.append(name)
            return f"{name}({await call_next(services, call, f'{request}{name}')})"

        return middleware

    async def handler(services: Services, call: Call, request: Any) -> Any:
        seen.append("handler")
        return request

    async def run() -> Any:
        return await chain([named("a"), named("b")], handler)(services, make_call(), "request ")

    assert asyncio.run(run()) == "a(b(request ab))"
    assert seen == ["a", "b", "handler"]


def failing_call(make_call: Callable[..., Call], team: str, failure: BaseException | None, **changes: Any) -> Call:
    """Return a call of `auth.api_key` whose operation raises, with a valid key of the team."""

    async def read(call: Call) -> Any:
        return call.operation.request()

    async def run(services: Services, call: Call, request: Any) -> Any:
        if failure is not None:
            raise failure
        return "result"

    operation = msgspec.structs.replace(OPERATIONS["auth.api_key"], run=run, **changes)
    call = make_call("auth.api_key", team=team)
    return msgspec.structs.replace(call, operation=operation, read=read)


def run(services: Services, call: Call) -> tuple[BaseException | None, list[dict[str, Any]]]:
    """Perform a call in a loop of its own; return what it raised and what was reported to the loop."""
    reported: list[dict[str, Any]] = []

    async def work() -> BaseException | None:
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: reported.append(context))
        try:
            await perform(services, call)
        except BaseException as error:
            return error
        return None

    return asyncio.run(work()), reported


@pytest.mark.parametrize(
    ("failure", "raised", "outcome", "rule"),
    [
        (NO_FAILURE, type(None), "ok", None),
        (ApiError(Kind.NOT_FOUND, "no", rule="why"), ApiError, "NOT_FOUND", "why"),
        (CallerGone(), CallerGone, "CANCELLED", None),
        (Dropped(), Dropped, "DROPPED", None),
        (OSError(errno.ENOSPC, "No space left on device"), ApiError, "UNAVAILABLE", "disk"),
        (ZeroDivisionError(), ApiError, "INTERNAL", "defect"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else None,
)
def test_outcome_of_call_is_in_journal_and_script(
    services: Services,
    make_call: Callable[..., Call],
    failure: BaseException | None,
    raised: type[BaseException],
    outcome: str,
    rule: str | None,
) -> None:
    """The entry and the script that counts the call name the same outcome; only a defect is reported to the loop."""
    team = f"outcome-{outcome.lower()}"
    script = services.faults.add_script(team, Script(operation="auth.api_key", steps=["ok"]))  # type: ignore[attr-defined]
    call = failing_call(make_call, team, failure)

    error, reported = run(services, call)
    assert type(error) is raised
    assert (call.entry.outcome, call.entry.rule) == (outcome, rule)
    assert [attempt.outcome for attempt in script.attempts] == [outcome]
    assert [context["exception"] for context in reported] == ([failure] if rule == "defect" else [])


@pytest.mark.parametrize("decode_first", [False, True])
def test_decode_first_decides_which_refusal_comes_first(
    services: Services, make_call: Callable[..., Call], decode_first: bool
) -> None:
    """With a bad body and a bad key, the refusal shows which one was checked first."""
    call = failing_call(make_call, "default", None, decode_first=decode_first)
    call.credentials = None

    async def read(call: Call) -> Any:
        raise ApiError(Kind.MISSHAPEN_BODY, "bad body")

    call.read = read

    error, _ = run(services, call)
    assert isinstance(error, ApiError)
    assert error.kind is (Kind.MISSHAPEN_BODY if decode_first else Kind.NO_CREDENTIALS)


def test_planned_fault_comes_before_authentication(services: Services, make_call: Callable[..., Call]) -> None:
    """A call without a key gets the planned refusal, not a 401."""
    services.faults.add_rule("early", Rule(operation="auth.api_key", error="unavailable"))  # type: ignore[attr-defined]
    call = failing_call(make_call, "early", None)
    call.credentials = "wrong@early"

    error, _ = run(services, call)
    assert isinstance(error, ApiError)
    assert error.kind is Kind.UNAVAILABLE
    assert call.entry.outcome == "UNAVAILABLE"
