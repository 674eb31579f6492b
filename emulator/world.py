"""The world: everything an operation needs that is not in its request. A team's part of it comes first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator import ids
from emulator.clock import Clock, Instant
from emulator.domain.keys import AuthMode, Key
from emulator.limits import Limits, override
from emulator.profiles import PROFILES, Profile
from emulator.settings import Settings
from emulator.store import Store
from emulator.store.jobs import HELD


@dataclass(slots=True)
class Team:
    """What belongs to one team: time, limits, profile, speeds. Rows of the store are keyed by its name."""

    name: str
    clock: Clock
    limits: Limits
    profile: Profile
    indexing: str  # one of settings.SPEEDS


class Journal(Protocol):
    """Remembers calls."""

    def begin(self, call: Any) -> Any: ...

    def replied(self, call: Any, status: int | str | None, reply: bytes | None, size: int | None = None) -> None: ...

    def unmatched(
        self, team: str, at: Instant, door: Any, envelope: Any, credentials: str | None, kind: Any, status: int | str
    ) -> None: ...

    def clear(self, team: str) -> int: ...


class Faults(Protocol):
    """Knows which calls are to fail."""

    def take(self, call: Any) -> Any: ...

    def clear(self, team: str) -> int: ...


@dataclass
class World:
    """The state of one emulator. `app` fills it; nothing here is global to the process."""

    settings: Settings
    store: Store
    journal: Journal
    faults: Faults
    seed: str
    auth_mode: AuthMode
    keys: dict[str, Key]
    origin: str = "http://localhost"  # where the emulator listens, for callers whose own view is not known
    teams: dict[str, Team] = field(default_factory=dict)
    log: Callable[[str], None] = lambda line: None
    real_key_seen: bool = False  # a key that looks like one of xAI's was sent, and its sender was told
    wake: Callable[[], None] = lambda: None  # tells the job loop that jobs or clocks changed
    run_due: Callable[[Team, Instant], Awaitable[object]] = field(init=False)  # runs a team's jobs due by then

    def team(self, name: str) -> Team:
        """The team of a name, created on first use with the server's defaults."""
        team = self.teams.get(name)
        if team is None:
            offset, frozen_at = self.store.teams.open(name)
            profile = PROFILES[self.settings.profile]
            limits = override(profile.limits, self.settings.limits)
            team = self.teams[name] = Team(name, Clock(offset, frozen_at), limits, profile, self.settings.indexing)
        return team

    def new_id(self, team: Team, prefix: str) -> str:
        """A new identifier such as `file_<uuid4>`; an empty prefix gives the bare UUID."""
        value = ids.uuid4(self.seed, team.name, self.store.teams.next_id(team.name))
        return f"{prefix}_{value}" if prefix else value

    def team_id(self, team: Team) -> str:
        """The id of a team: a UUID that stays the same for a name."""
        return ids.fixed_uuid(self.seed, team.name, "team")

    def new_url_token(self, team: Team) -> str:
        """A new unguessable token for a public URL."""
        return ids.url_token(self.seed, team.name, self.store.teams.next_id(team.name))

    def add_job(self, team: Team, kind: str, subject: str, due_at: Instant | None) -> None:
        """Plan something for later and let the job loop know; None waits until somebody releases it."""
        self.store.jobs.add(team.name, kind, subject, HELD if due_at is None else due_at)
        self.wake()

    def change_clock(self, team: Team, change: Callable[[Clock], None]) -> None:
        """Change a team's clock, keep that for a restart, and let the job loop know."""
        change(team.clock)
        self.store.teams.set_clock(team.name, team.clock.offset, team.clock.frozen_at)
        self.wake()

    def reset(self, team: Team) -> dict[str, int]:
        """Back to how the team was at first; how many rows of each kind went."""
        counts = self.store.clear(team.name)
        team.clock.reset()
        self.wake()
        return counts

    def set_limits(self, team: Team, changes: dict[str, int | None]) -> None:
        """Override limits of one team. Raises ValueError for an unknown name."""
        team.limits = override(team.limits, changes)
