"""The services that every operation uses, besides its request and its team."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from emulator.core.keyed_locks import KeyedLocks
from emulator.domain.keys import AuthMode, Key
from emulator.search.extraction.readers import Readers
from emulator.state.address import ListenAddress
from emulator.state.clock_waits import ClockWaits
from emulator.state.identifiers import Identifiers
from emulator.state.jobs import JobQueue
from emulator.state.protocols import Faults, Journal, PlannedAnswers
from emulator.state.responders import Responders
from emulator.state.settings import Settings
from emulator.state.teams import Teams
from emulator.store import Store


class Services(msgspec.Struct, eq=False):
    """The services of one emulator. `runtime/app` builds them; nothing here is global to the process."""

    settings: Settings
    store: Store
    journal: Journal
    faults: Faults
    answers: PlannedAnswers
    responders: Responders
    teams: Teams
    ids: Identifiers
    jobs: JobQueue
    waits: ClockWaits
    auth_mode: AuthMode
    keys: dict[str, Key]
    address: ListenAddress
    log: Callable[[str], None]  # writes a line to the terminal
    control_token: str | None = None  # the bearer token of the control API, if it needs one
    readers: Readers = msgspec.field(default_factory=Readers)
    locks: KeyedLocks = msgspec.field(default_factory=KeyedLocks)
    real_key_seen: bool = False  # a key that looks real was sent, and the warning was logged
