"""Exports of journal entries, implemented by packages above the control API that serves them."""

from __future__ import annotations

from collections.abc import Sequence

from emulator.control.route import JournalCall, Snippets
from emulator.domain.keys import Plane


def har(calls: Sequence[JournalCall], origin: str) -> bytes:
    """Return calls as a HAR file; `origin` is the URL of the emulator."""
    from emulator.recordings.journal import har_of

    return har_of(calls, origin)


def snippets(calls: Sequence[JournalCall], origin: str, keys: dict[Plane, str]) -> Snippets:
    """Return the last of these calls as a curl command and as a test, with the earlier calls that it depends on."""
    from emulator.recordings.journal import entries_of
    from emulator.recordings.snippets import CannotCopy, Server, curl_of, pytest_of

    entries = entries_of(calls, origin)
    try:
        curl = curl_of(entries[-1], Server(origin, origin.partition("://")[2], keys))
    except CannotCopy as error:
        return Snippets(None, None, str(error))
    try:
        return Snippets(curl, pytest_of(entries, entries[-1]), None)
    except CannotCopy as error:
        return Snippets(curl, None, f"of a call that has to precede it: {error}")
