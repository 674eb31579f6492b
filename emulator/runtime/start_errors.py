"""Errors that keep an emulator from starting: one sentence with what to do, and the exit code."""

from __future__ import annotations

from emulator.port import CannotListen, PortTaken
from emulator.state.settings import Settings, flag
from emulator.store import DatabaseUnusable, LockTaken


class BadSeed(ValueError):
    """A seed file that cannot be used; the message says which part of it, and why."""


START_ERRORS = (BadSeed, CannotListen, LockTaken, DatabaseUnusable, OSError)

# Advice for errors whose message has none.
_HINTS: dict[type[BaseException], str] = {
    PortTaken: " Stop that, or choose another with {port}: 0 picks a free one.",
    CannotListen: " Give --host an address of this machine: localhost, or 0.0.0.0 for all.",
    LockTaken: ": stop that, or choose another --data-dir",
}


def explain_start_error(error: BaseException, settings: Settings) -> tuple[int, str]:
    """Return the exit code (2 for a wrong setting, 1 for the rest) and one line for stderr."""
    if isinstance(error, BadSeed):
        return 2, f"xai-emulator: --seed: {error}"
    if isinstance(error, CannotListen | LockTaken | DatabaseUnusable):
        tls = isinstance(error, CannotListen) and error.number == settings.tls_port != settings.port
        hint = _HINTS.get(type(error), "").format(port=flag("tls_port" if tls else "port"))
        return 1, f"xai-emulator: {error}{hint}"
    assert isinstance(error, OSError)
    return 1, f"xai-emulator: --data-dir: {error.filename or settings.data_dir}: {error.strerror}"
