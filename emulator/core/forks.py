"""Release what a forked child inherits of an emulator: listeners, connections, locks, the event loop.

A fork copies file descriptors, not threads. Without this, a child that outlives its parent would keep a port bound on
which no process answers, and a data directory locked that no process uses. In the child each such descriptor is
replaced by one of the null device. So objects that still have the number cannot affect files that are opened later, and
nothing changes in the parent.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol
from weakref import WeakSet


class Inherited(Protocol):
    """An object that belongs to the process that created it."""

    def leave_to_parent(self) -> None:
        """Release, in a forked child, what the parent still uses."""


_inherited: WeakSet[Inherited] = WeakSet()  # global, because the hook below cannot be unregistered


def on_fork(owner: Inherited) -> None:
    """Call `owner.leave_to_parent()` in each child that is forked while the owner exists."""
    _inherited.add(owner)


def replace_by_null(descriptors: Iterable[int]) -> None:
    """Redirect descriptors to the null device; closed ones (negative) are skipped."""
    null = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    for descriptor in descriptors:
        if descriptor >= 0:
            with suppress(OSError):
                os.dup2(null, descriptor, inheritable=False)
    os.close(null)


def _in_child() -> None:
    for owner in list(_inherited):
        with suppress(Exception):  # an exception here would be printed by a program that only forks
            owner.leave_to_parent()


if hasattr(os, "register_at_fork"):  # not on Windows
    os.register_at_fork(after_in_child=_in_child)
